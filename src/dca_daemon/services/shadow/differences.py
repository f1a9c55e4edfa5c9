"""What the books have of the same cash-outs: booked there, and shared here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import Database, rows
from dca_daemon.services.baseline import SOURCE

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Side:
    """What a cash-out is on one side. `shares`: (sats, minor units) by client and by whether it is commission."""

    state: str
    reason: str
    total_sats: int | None = None
    principal_sats: int | None = None
    charge_minor: int | None = None
    house_sats: int | None = None
    shares: Mapping[tuple[int, bool], tuple[int, int]] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """A cash-out that the books have otherwise. `booked`: None when they do not have it at all."""

    external_id: str
    happened_at: datetime
    currency: str
    booked: Side | None
    shadow: Side


@dataclass(frozen=True, slots=True)
class Comparison:
    """How many cash-outs both sides have alike, and those that they do not; `differing` counts all of these."""

    alike: int
    differing: int
    differences: tuple[Difference, ...]
    names: Mapping[int, str]


async def compare(scratch: Database, books: Database, *, limit: int) -> Comparison:
    """Each cash-out of the scratch books with the books', in order of time; the first differences up to a limit.

    What neither side distributed, and what was history when the scratch books were begun, is left out.
    """
    alike = differing = 0
    kept: list[Difference] = []
    async with scratch.transaction() as here, books.transaction() as there:
        for conn in (here, there):
            await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        names = {r.id: r.name for r in await rows(there, "SELECT id, name FROM client")}
        async for ids, whens in _pages(here):
            ours, theirs = await _sides(here, ids), await _sides(there, ids)
            for external_id in ids:
                shadow, booked = ours[external_id], theirs.get(external_id)
                if shadow == booked:
                    alike += 1
                elif "distributed" in (shadow.state, None if booked is None else booked.state):
                    differing += 1
                    if len(kept) < limit:
                        kept.append(Difference(external_id, *whens[external_id], booked, shadow))
    return Comparison(alike, differing, tuple(kept), names)


async def _pages(conn: AsyncConnection) -> AsyncIterator[tuple[list[str], dict[str, tuple[datetime, str]]]]:
    last = 0
    while True:
        found = await rows(
            conn,
            """SELECT c.id, c.external_id, c.happened_at, p.currency
                 FROM cash_out c JOIN pool p ON p.id = c.pool_id
                WHERE c.source = :source AND c.id > :last AND c.state IN ('distributed', 'review', 'ignored')
                ORDER BY c.id LIMIT :page""",
            source=SOURCE,
            last=last,
            page=_PAGE,
        )
        if not found:
            return
        last = found[-1].id
        yield [r.external_id for r in found], {r.external_id: (r.happened_at, r.currency) for r in found}


async def _sides(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, Side]:
    found = await rows(
        conn,
        """SELECT c.external_id, c.state, c.reason, d.id AS distribution_id, d.total_sats, d.principal_sats,
                  d.charge_minor, d.commission_sats - d.commission_shared_sats + d.uncovered_sats AS house_sats
             FROM cash_out c LEFT JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
            WHERE c.source = :source AND c.external_id = ANY(:ids)""",
        source=SOURCE,
        ids=list(ids),
    )
    shares: dict[int, dict[tuple[int, bool], tuple[int, int]]] = {}
    for r in await rows(
        conn,
        """SELECT distribution_id, client_id, type = 'commission' AS commission, sats, fiat_minor
             FROM distribution_record WHERE distribution_id = ANY(:ids)""",
        ids=[r.distribution_id for r in found if r.distribution_id is not None],
    ):
        shares.setdefault(r.distribution_id, {})[(r.client_id, r.commission)] = (r.sats, r.fiat_minor)
    return {r.external_id: _side(r, shares.get(r.distribution_id, {})) for r in found}


def _side(r: Any, shares: Mapping[tuple[int, bool], tuple[int, int]]) -> Side:
    if r.distribution_id is None:
        return Side(r.state, r.reason)
    # Why it was distributed is no difference.
    return Side(r.state, "", r.total_sats, r.principal_sats, r.charge_minor, r.house_sats, shares)
