"""Which of our columns this release of Lamassu has and this role may read, and the SQL that follows from it."""

# ruff: noqa: S608 - SQL is put together from the constants of `columns.py` only; values are parameters

from __future__ import annotations

from dataclasses import dataclass

from psycopg import AsyncConnection

from dca_daemon.domain.cash_out import BITCOIN_CODES
from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.columns import CASH_OUT_ACTIONS, CASH_OUT_TXS, COLUMNS, DEVICES, SCHEMA, Column

NEWEST_ACTIONS = 2_000  # how many of the newest actions are looked through before all of them are

_CATALOG_SQL = """
SELECT c.relname::text, a.attname::text, coalesce(b.typname, t.typname)::text,
       pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typbasetype <> 0
WHERE n.nspname = %s AND c.relname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""

# PostgreSQL's time stamps go further than Python's, to infinity even. One odd row must not hide the others.
_EARLIEST, _LATEST = "'0001-01-03 00:00:00+00'", "'9999-12-29 00:00:00+00'"


@dataclass(frozen=True, slots=True)
class Shape:
    """What can be read here. `missing`, `unreadable` and `odd` name needed columns that can't be."""

    readable: frozenset[tuple[str, str]]
    missing: tuple[str, ...]
    unreadable: tuple[str, ...]
    odd: tuple[str, ...]

    def has(self, table: str, *names: str) -> bool:
        """Whether all these columns can be read."""
        return all((table, name) in self.readable for name in names)

    @property
    def has_actions(self) -> bool:
        """Whether the time of the dispense can be read."""
        return self.has(CASH_OUT_ACTIONS, "id", "tx_id", "action", "created")

    @property
    def has_devices(self) -> bool:
        """Whether a machine's name and version can be read."""
        return self.has(DEVICES, "device_id", "name", "version")

    def require(self) -> None:
        """Raises `SourceError`, naming every needed column that is missing, unreadable or of another type."""
        if self.missing:
            raise SourceError(
                f"Lamassu's database has no column {', '.join(self.missing)}",
                remedy="check that lamassu.dsn names Lamassu's own database; a newer release may need a newer "
                "dca-daemon; nothing is booked until then",
            )
        if self.unreadable:
            raise SourceError(
                f"the role may not read the column {', '.join(self.unreadable)}",
                remedy="grant it: see `dca-daemon lamassu grants --print`",
            )
        if self.odd:
            raise SourceError(
                f"Lamassu's database has an unknown type for the column {', '.join(self.odd)}",
                remedy="a newer release of Lamassu may need a newer dca-daemon; nothing is booked until then",
            )


async def read_shape(conn: AsyncConnection) -> Shape:
    """Looks it up in the catalogue."""
    tables = [CASH_OUT_TXS, CASH_OUT_ACTIONS, DEVICES]
    found = await (await conn.execute(_CATALOG_SQL, (SCHEMA, tables))).fetchall()
    known = {(table, name): (kind, bool(may)) for table, name, kind, may in found}
    missing: list[str] = []
    unreadable: list[str] = []
    odd: list[str] = []
    readable: set[tuple[str, str]] = set()
    for column in COLUMNS:
        kind, may = known.get((column.table, column.name), (None, False))
        trouble = missing if kind is None else unreadable if not may else None
        if trouble is None and not _known_type(column, str(kind)):
            trouble = odd
        if trouble is None:
            readable.add((column.table, column.name))
        elif column.required:
            trouble.append(f"{column.table}.{column.name}" + (f" ({kind})" if trouble is odd else ""))
    return Shape(frozenset(readable), tuple(missing), tuple(unreadable), tuple(odd))


def _known_type(column: Column, kind: str) -> bool:
    return column.types == ("*",) or kind in column.types


def _clamped(column: str) -> str:
    return (
        f"CASE WHEN {column} IS NOT NULL THEN least(greatest({column}, timestamptz {_EARLIEST}), "
        f"timestamptz {_LATEST}) END"
    )


@dataclass(frozen=True, slots=True)
class Queries:
    """The SQL for one shape. Every name is schema-qualified; nothing takes a lock; nothing says `*`."""

    point: str  # (id) → one row, with the time of its dispense if that is recent
    rows: str  # (ids, ids) → rows likewise
    plain_rows: str  # (ids) → rows without it, by the primary key alone
    dispenses: str  # (ids) → (id, time of the dispense), looking through all actions
    digests_first: str  # (window, wide, limit)
    digests_next: str  # (window, wide, after id, limit)
    successes_first: str  # (limit)
    successes_next: str  # (after id, limit)
    newest: str  # (limit) → the newest successes


def build_queries(shape: Shape) -> Queries:
    """Writes the SQL for what can be read here."""
    columns = _row_columns(shape)
    machine = "LEFT JOIN public.devices d ON d.device_id = t.device_id" if shape.has_devices else ""
    base = f"SELECT {columns}, {{dispensed}} FROM public.cash_out_txs t {machine}"
    plain = base.format(dispensed="NULL::timestamptz")
    coins = ", ".join(f"'{code}'" for code in BITCOIN_CODES)
    success = f"t.dispense_confirmed IS TRUE AND t.crypto_code IN ({coins})"
    digest = (
        "SELECT t.id::text, t.tx_version, t.status::text, t.dispense, t.dispense_confirmed, t.error, t.error_code,"
        f" {_clamped('t.created')}, coalesce({success}, false) FROM public.cash_out_txs t"
        " CROSS JOIN (SELECT pg_catalog.now() - %s::interval AS start, %s::boolean AS wide) w"
        f" WHERE (t.created >= w.start OR t.confirmed_at >= w.start OR (w.wide AND {success}))"
    )
    return Queries(
        point=_point(base, shape),
        rows=_rows(base, shape),
        plain_rows=f"{plain} WHERE t.id = ANY (%s::uuid[])",
        dispenses=(
            "SELECT a.tx_id::text, (pg_catalog.array_agg(" + _clamped("a.created") + " ORDER BY a.id DESC))[1]"
            " FROM public.cash_out_actions a WHERE a.action = 'dispense' AND a.tx_id = ANY (%s::uuid[])"
            " GROUP BY a.tx_id"
        ),
        digests_first=f"{digest} ORDER BY t.id LIMIT %s",
        digests_next=f"{digest} AND t.id > %s::uuid ORDER BY t.id LIMIT %s",
        successes_first=f"{plain} WHERE {success} ORDER BY t.id LIMIT %s",
        successes_next=f"{plain} WHERE {success} AND t.id > %s::uuid ORDER BY t.id LIMIT %s",
        newest=f"{plain} WHERE {success} ORDER BY t.created DESC LIMIT %s",
    )


def _row_columns(shape: Shape) -> str:
    fixed_fee = "t.fixed_fee" if shape.has(CASH_OUT_TXS, "fixed_fee") else "NULL::numeric"
    machine = "d.name, d.version" if shape.has_devices else "NULL::text, NULL::text"
    return (
        "t.id::text, t.device_id, t.crypto_code, t.crypto_atoms, t.fiat, t.fiat_code, t.status::text, t.dispense, "
        f"t.dispense_confirmed, t.redeem, t.error, t.error_code, {_clamped('t.created')}, "
        f"{_clamped('t.confirmed_at')}, t.commission_percentage, t.discount, t.raw_ticker_price, {fixed_fee}, "
        f"t.tx_version, {machine}"
    )


def _newest() -> str:
    return (
        "SELECT a.id, a.tx_id, a.action, a.created FROM public.cash_out_actions a"
        f" ORDER BY a.id DESC LIMIT {NEWEST_ACTIONS}"
    )


def _point(base: str, shape: Shape) -> str:
    """For one row: walks the newest actions backwards by the primary key and stops at the first that fits."""
    if not shape.has_actions:
        return base.format(dispensed="NULL::timestamptz") + " WHERE t.id = %s::uuid"
    lateral = (
        f" LEFT JOIN LATERAL (SELECT n.created FROM ({_newest()}) n"
        " WHERE n.tx_id = t.id AND n.action = 'dispense' ORDER BY n.id DESC LIMIT 1) a ON true"
    )
    return base.format(dispensed=_clamped("a.created")) + lateral + " WHERE t.id = %s::uuid"


def _rows(base: str, shape: Shape) -> str:
    """For many rows: the newest actions are read once, whatever the number of rows."""
    if not shape.has_actions:
        return (
            base.format(dispensed="NULL::timestamptz")
            + " WHERE %s::uuid[] IS NOT NULL AND t.id = ANY (%s::uuid[])"
        )
    joined = (
        f" LEFT JOIN (SELECT DISTINCT ON (n.tx_id) n.tx_id, n.created FROM ({_newest()}) n"
        " WHERE n.action = 'dispense' AND n.tx_id = ANY (%s::uuid[]) ORDER BY n.tx_id, n.id DESC) a"
        " ON a.tx_id = t.id"
    )
    return base.format(dispensed=_clamped("a.created")) + joined + " WHERE t.id = ANY (%s::uuid[])"
