"""Filters: coins, machines and pools whose cash-outs are left out, and recorded as ignored.

What a filter has left out stays so when the filter is removed; it can be processed on demand (`decisions.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import BITCOIN_CODES, SourceRow
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError, at_field
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, execute, one, rows
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services import pools
from dca_daemon.services.audit import audit
from dca_daemon.services.pools import Pool

log = structlog.get_logger()

LEFT_OUT = ("filter-coin", "filter-machine", "filter-pool")  # the reasons of what a filter left out


class FilterKind(StrEnum):
    """What a filter looks at."""

    COIN = "coin"
    MACHINE = "machine"
    POOL = "pool"


@dataclass(frozen=True, slots=True)
class FilterView:
    """A filter. `value` is a coin's code, a device id, or a pool's id; `name` says it in people's words."""

    filter_id: int
    kind: FilterKind
    value: str
    name: str
    reason: str | None
    created_at: datetime
    created_by: str
    removed_at: datetime | None
    removed_by: str | None
    left_out: int


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters in force, by what they leave out; with the number of each."""

    by_value: Mapping[tuple[str, str], int] = field(default_factory=dict)

    def leaves_out(self, row: SourceRow, pool: Pool) -> tuple[str, str] | None:
        """The reason, and a sentence with the filter's number, when one of them leaves the row out."""
        if (number := self.by_value.get((FilterKind.COIN, row.crypto_code))) is not None:
            return "filter-coin", f"filter {number} leaves out the coin {row.crypto_code}"
        if (number := self.by_value.get((FilterKind.MACHINE, row.device_id))) is not None:
            return "filter-machine", f"filter {number} leaves out this machine"
        if (number := self.by_value.get((FilterKind.POOL, str(pool.pool_id)))) is not None:
            return "filter-pool", f"filter {number} leaves out the pool {pool.name!r}"
        return None


async def in_force(conn: AsyncConnection) -> Filters:
    """The filters in force now."""
    return _filters(await rows(conn, "SELECT id, kind, value FROM intake_filter WHERE removed_at IS NULL"))


def _filters(found: Iterable[tuple[int, str, str]]) -> Filters:
    return Filters({(kind, value): number for number, kind, value in found})


async def add(db: Database, kind: FilterKind, value: str, *, reason: str, actor: str) -> FilterView:
    """Leaves out what comes from now on. Raises `InputError`, and `ConflictError` where it is left out already."""

    async def work(conn: AsyncConnection) -> FilterView:
        with at_field("value"):
            kept = await _value(conn, kind, value)
        added = await one(
            conn,
            """INSERT INTO intake_filter (kind, value, reason, created_by) VALUES (:kind, :value, :reason, :actor)
               ON CONFLICT (kind, value) WHERE removed_at IS NULL DO NOTHING RETURNING id""",
            kind=kind,
            value=kept,
            reason=_reason(reason),
            actor=actor,
        )
        if added is None:
            remedy = "see: dca-daemon filter list"
            raise ConflictError(f"the {kind} {plain(value)!r} is left out already", remedy=remedy, field="value")
        await audit(
            conn,
            actor=actor,
            action="filter.add",
            subject=f"filter:{added.id}",
            after={"kind": kind, "value": kept},
            reason=_reason(reason),
        )
        return await _view(conn, added.id)

    found = await db.run(work)
    log.info("filter.added", filter_id=found.filter_id, kind=found.kind, value=found.value)
    return found


async def remove(db: Database, filter_id: int, *, reason: str, actor: str) -> FilterView:
    """Lets in what comes from now on; what was left out stays so.

    Raises `ConflictError` when it is removed already.
    """

    async def work(conn: AsyncConnection) -> FilterView:
        removed = await execute(
            conn,
            """UPDATE intake_filter SET removed_at = now(), removed_by = :actor
                WHERE id = :id AND removed_at IS NULL""",
            id=filter_id,
            actor=actor,
        )
        view = await _view(conn, filter_id)
        if not removed:
            raise ConflictError(f"filter {filter_id} was removed by {view.removed_by} already")
        await audit(
            conn,
            actor=actor,
            action="filter.remove",
            subject=f"filter:{filter_id}",
            before={"kind": view.kind, "value": view.value},
            reason=_reason(reason),
        )
        return view

    found = await db.run(work)
    log.info("filter.removed", filter_id=found.filter_id, kind=found.kind, value=found.value)
    return found


async def list_all(
    db: Database, *, removed: bool = False, limit: int | None = None, after: int | None = None
) -> list[FilterView]:
    """The filters in force, from after the filter `after` on; with `removed` the former ones too.

    Raises `NotFoundError` for an `after` that is none.
    """
    conditions = Conditions()
    conditions.given("f.id > :after", after=after)
    if not removed:
        conditions.always("f.removed_at IS NULL")
    async with db.transaction() as conn:
        if after is not None:
            await anchor(conn, "filter", "SELECT id FROM intake_filter WHERE id = :after", after)
        found = await rows(
            conn,
            f"{_VIEW} {conditions.where} ORDER BY f.id LIMIT CAST(:limit AS bigint)",
            limit=limit,
            **conditions.values,
        )
        return [_shown(r) for r in found]


def _reason(text: str) -> str:
    if not text.strip():
        raise InputError("a filter needs a reason: why it is there, or no longer", field="reason")
    return text.strip()


async def _value(conn: AsyncConnection, kind: FilterKind, value: str) -> str:
    """What the filter compares with, from what a person typed."""
    if kind is FilterKind.POOL:
        return str((await pools.find(conn, value)).pool_id)
    if kind is FilterKind.MACHINE:
        return await pools.find_machine(conn, value)
    coin = value.strip().upper()
    if coin not in BITCOIN_CODES:
        remedy = f"one of {', '.join(BITCOIN_CODES)}"
        raise InputError(f"{plain(value)!r} is no coin to filter", remedy=remedy, field="value")
    return coin


_VIEW = """
    SELECT f.id AS filter_id, f.kind, f.value, coalesce(m.name, p.name, f.value) AS name, f.reason, f.created_at,
           f.created_by, f.removed_at, f.removed_by,
           (SELECT count(*) FROM cash_out c WHERE c.state = 'ignored' AND c.reason = 'filter-' || f.kind
               AND c.reason_text LIKE 'filter ' || f.id || ' %') AS left_out
      FROM intake_filter f
      LEFT JOIN machine m ON f.kind = 'machine' AND m.device_id = f.value
      LEFT JOIN pool p ON f.kind = 'pool' AND p.id::text = f.value
"""


async def _view(conn: AsyncConnection, filter_id: int) -> FilterView:
    found = await one(conn, f"{_VIEW} WHERE f.id = :id", id=filter_id)
    if found is None:
        raise NotFoundError(f"there is no filter {filter_id}", remedy="see: dca-daemon filter list --all")
    return _shown(found)


def _shown(found: Any) -> FilterView:
    values = dict(found._mapping)
    return FilterView(**{**values, "kind": FilterKind(values["kind"])})
