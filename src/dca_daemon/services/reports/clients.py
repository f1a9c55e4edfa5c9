"""What each client handed over, what became of it, and at what price.

Deposits that were voided and distributions that were reversed count as if they had never been; the latter are
shown apart. What an import tells of a time before is included when the report has no beginning.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import BooksError
from dca_daemon.ledger.db import Database, rows, statement
from dca_daemon.services import clients
from dca_daemon.services.reports import clients_sql as sql

_PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Purchase:
    """What was bought in one record: its price is the exact pair of both amounts."""

    record_id: int
    happened_at: datetime
    sats: int
    fiat_minor: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSums:
    """One client in one currency, in minor units and sats. before + deposited + adjusted − given back − converted
    = left, the balance at the end of the time (or now)."""

    client_id: int
    client: str
    mode: str
    status: str
    currency: str
    before_minor: int
    deposited_minor: int
    given_back_minor: int
    adjusted_minor: int
    converted_minor: int
    left_minor: int
    pending_minor: int
    bought_sats: int  # for what was converted
    adjusted_sats: int
    purchases: int  # records of cash-outs and fixed runs
    opening_deposited_minor: int  # of the above, what was imported
    opening_converted_minor: int
    opening_sats: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientReport(ClientSums):
    """The same, with what only a look at each record tells."""

    reversed_records: int
    reversed_sats: int
    largest: Purchase | None
    last: Purchase | None


@dataclass(frozen=True, slots=True)
class ClientSats:
    """What a client is paid, in whatever currency it was bought; commission that it receives apart. All of it."""

    owed_sats: int
    in_payout_sats: int
    settled_sats: int
    commission_gathered_sats: int
    commission_owed_sats: int
    commission_in_payout_sats: int
    commission_settled_sats: int
    credit_sats: int


@dataclass(frozen=True, slots=True)
class RecordLine:
    """One distribution record. `price` would be sats for fiat_minor: exact, where something was bought."""

    record_id: int
    happened_at: datetime
    booked_at: datetime
    type: str
    kind: str
    cash_out_id: int | None
    sats: int
    fiat_minor: int
    currency: str
    state: str
    reversed_at: datetime | None
    payout_id: str | None


async def one_client(
    db: Database, reference: str, *, since: datetime | None = None, until: datetime | None = None
) -> tuple[list[ClientReport], ClientSats]:
    """One client's report, a line per currency; reads no other client's rows. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        await _snapshot(conn)
        client_id = await clients.find(conn, reference)
        return await reports_of(conn, client_id, since, until), await sats_of(conn, client_id)


async def all_clients(
    db: Database, *, since: datetime | None = None, until: datetime | None = None
) -> list[ClientReport]:
    """Every client's, in the order of their ids; wallets that only receive commission are none."""
    async with db.transaction() as conn:
        await _snapshot(conn)
        return await reports_of(conn, None, since, until)


async def record_lines(
    db: Database,
    reference: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int | None = None,
) -> AsyncIterator[RecordLine]:
    """The client's records, newest first, from a cursor of the server. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = '1h'")
        client_id = await clients.find(conn, reference)
        stream = await conn.stream(
            statement(sql.RECORDS),
            {"client": client_id, "since": since, "until": until, "limit": limit},
            execution_options={"yield_per": _PAGE_ROWS},
        )
        async for r in stream:
            yield RecordLine(**r._mapping)


async def _snapshot(conn: AsyncConnection) -> None:
    await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


async def reports_of(
    conn: AsyncConnection, client_id: int | None, since: datetime | None, until: datetime | None
) -> list[ClientReport]:
    """The reports of one client, or of all, read in a transaction of the caller's."""
    query = sql.one_clients() if client_id is not None else sql.all_clients()
    parameters: dict[str, Any] = {"since": since, "until": until}
    if client_id is not None:
        parameters["client"] = client_id
    found = [_report(r) for r in await rows(conn, query, **parameters)]
    if until is None:
        await _check_left(conn, client_id, found)
    return found


async def sums_of(conn: AsyncConnection, client_id: int) -> list[ClientSums]:
    """One client's sums of all time, from what is kept."""
    found = await rows(conn, sql.one_clients_kept(), client=client_id, since=None, until=None)
    sums = [ClientSums(**_sums(r)) for r in found]
    await _check_left(conn, client_id, sums)
    return sums


def _report(r: Any) -> ClientReport:
    return ClientReport(
        **_sums(r),
        reversed_records=int(r.reversed_records),
        reversed_sats=int(r.reversed_sats),
        largest=_largest(r.largest),
        last=_last(r.last),
    )


def _sums(r: Any) -> dict[str, Any]:
    # What was left at an import is a deposit here: there it was a part of all that was deposited.
    deposited = int(r.deposited) + int(r.opening_deposited) - int(r.opening_left)
    converted = int(r.converted) + int(r.opening_converted)
    before, given_back, adjusted = int(r.before), int(r.given_back), int(r.adjusted)
    return {
        "client_id": r.client_id,
        "client": r.client,
        "mode": r.mode,
        "status": r.status,
        "currency": r.currency,
        "before_minor": before,
        "deposited_minor": deposited,
        "given_back_minor": given_back,
        "adjusted_minor": adjusted,
        "converted_minor": converted,
        "left_minor": before + deposited + adjusted - given_back - converted,
        "pending_minor": int(r.pending),
        "bought_sats": int(r.bought_sats) + int(r.opening_sats),
        "adjusted_sats": int(r.adjusted_sats),
        "purchases": int(r.purchases),
        "opening_deposited_minor": int(r.opening_deposited),
        "opening_converted_minor": int(r.opening_converted),
        "opening_sats": int(r.opening_sats),
    }


def _largest(found: list[int] | None) -> Purchase | None:
    if found is None:
        return None
    fiat_minor, sats, record_id, micros = found
    return Purchase(record_id, sql.moment(micros), sats, fiat_minor)


def _last(found: list[int] | None) -> Purchase | None:
    if found is None:
        return None
    micros, record_id, sats, fiat_minor = found
    return Purchase(record_id, sql.moment(micros), sats, fiat_minor)


async def _check_left(conn: AsyncConnection, client_id: int | None, found: Sequence[ClientSums]) -> None:
    """What is left by deposits and records must be the balance that the ledger keeps."""
    query = sql.BALANCES_OF_ONE if client_id is not None else sql.BALANCES
    parameters = {} if client_id is None else {"client": client_id}
    kept = {(r.client_id, r.currency): int(r.minor) for r in await rows(conn, query, **parameters)}
    for report in found:
        balance = kept.get((report.client_id, report.currency), 0)
        if balance != report.left_minor:
            raise BooksError(
                f"client {report.client_id} has {report.left_minor} {report.currency} minor units left by its "
                f"deposits and records, and {balance} by the ledger",
                remedy="see: dca-daemon ledger verify",
            )


async def sats_of(conn: AsyncConnection, client_id: int) -> ClientSats:
    """What one client is paid."""
    (r,) = await rows(conn, sql.SATS, client=client_id)
    return ClientSats(**{name: int(value) for name, value in r._mapping.items()})
