"""Which cash-outs are on a page of the list: their ids, by index, whatever the size of the books.

A page of one state or machine is the head of one index range. One of several is made of the heads of all: few
rows of each, and never more than there are on the page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.ledger.db import rows
from dca_daemon.ledger.pages import Conditions, anchor, prefix_range


@dataclass(frozen=True, slots=True)
class CashOutFilter:
    """What a list of cash-outs is to show; None or nothing: all of it.

    `device`: the beginning of a machine's id, or its name. `text`: the beginning of the id at Lamassu.
    They happened from `since` until before `until`.
    """

    states: Sequence[str] = ()
    device: str | None = None
    coin: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None


async def page_ids(conn: AsyncConnection, wanted: CashOutFilter, *, limit: int, after: int | None) -> list[int]:
    """The page's ids, the newest first. Raises `NotFoundError` for an `after` that is no cash-out."""
    conditions = Conditions()
    conditions.given("c.happened_at >= :since", since=wanted.since)
    conditions.given("c.happened_at < :until", until=wanted.until)
    conditions.given("c.crypto_code = :coin", coin=wanted.coin)
    if wanted.text:
        first, last = prefix_range(wanted.text.strip().lower())
        conditions.always(
            "lower(c.external_id) ~>=~ :first AND lower(c.external_id) ~<~ :last", first=first, last=last
        )
    if after is not None:
        at = await anchor(conn, "cash-out", "SELECT happened_at, id FROM cash_out WHERE id = :after", after)
        conditions.always(
            "(c.happened_at, c.id) < (:after_at, :after_id)", after_at=at.happened_at, after_id=at.id
        )
    heads = await _heads(conn, wanted, conditions)
    found = await rows(
        conn,
        f"""SELECT k.id FROM {heads} CROSS JOIN LATERAL (
                   SELECT c.id, c.happened_at FROM cash_out c
                    WHERE {conditions.all} ORDER BY c.happened_at DESC, c.id DESC LIMIT :limit) k
             ORDER BY k.happened_at DESC, k.id DESC LIMIT :limit""",  # noqa: S608 - every part stands here
        limit=limit,
        **conditions.values,
    )
    return [int(r.id) for r in found]


async def _heads(conn: AsyncConnection, wanted: CashOutFilter, conditions: Conditions) -> str:
    """The ranges of an index that the page is made of: each has a machine, a coin or nothing, and a state."""
    if wanted.text or not (wanted.states or wanted.device is not None or wanted.coin is not None):
        heads = "(SELECT) everything"
        if wanted.states:
            conditions.always("c.state = ANY(:states)", states=list(wanted.states))
        if wanted.device is not None:
            conditions.always("c.device_id = ANY(:devices)", devices=await _devices(conn, wanted.device))
        return heads
    conditions.always("c.state = s.state", states=list(wanted.states) or [str(state) for state in CashOutState])
    heads = "unnest(CAST(:states AS text[])) s (state)"
    if wanted.device is not None:
        conditions.always("c.device_id = d.device_id", devices=await _devices(conn, wanted.device))
        heads += " CROSS JOIN unnest(CAST(:devices AS text[])) d (device_id)"
    return heads


async def _devices(conn: AsyncConnection, device: str) -> list[str]:
    found = await rows(
        conn,
        """SELECT device_id FROM machine
            WHERE starts_with(device_id, :device) OR lower(name) = lower(:device) ORDER BY device_id""",
        device=device,
    )
    return [str(r.device_id) for r in found]


async def states_waiting(conn: AsyncConnection) -> dict[str, int]:
    """How many there are in the states that something has yet to become of. The others only grow: not counted."""
    found = await rows(
        conn, "SELECT state, count(*) AS n FROM cash_out WHERE state IN ('review', 'due') GROUP BY state"
    )
    counts = {r.state: int(r.n) for r in found}
    return {str(state): counts.get(state, 0) for state in (CashOutState.REVIEW, CashOutState.DUE)}
