"""`/api/v1/treasury`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.domain.rights import Scope
from dca_daemon.services import treasury
from dca_daemon.services.treasury import Day, Move, MovePreview, Treasury
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.listing import PAGE, After, Limit, cut
from dca_daemon.web.rights import scoped

DAYS = 14
DAYS_MAX = 92  # more by `dca-daemon treasury show`, or by months


class DayOut(Out):
    """What happened on one day, in msat."""

    day: date
    received_msat: int
    paid_msat: int
    fees_msat: int
    losses_msat: int
    kept_msat: int
    owed_more_msat: int
    moved_msat: int

    @classmethod
    def of(cls, day: Day) -> DayOut:
        return cls.from_view(day)


class TreasuryOut(Out):
    """The coins: what came in, where it is, what is owed. `source_balance_sats`: as the daemon last saw it."""

    received_msat: int
    paid_clients_msat: int
    paid_receivers_msat: int
    fees_msat: int
    losses_msat: int
    kept_msat: int
    owed_sats: int
    gathered_sats: int
    in_flight_sats: int
    credits_sats: int
    to_pay_sats: int
    moved_msat: int
    source_balance_sats: int | None
    source_trouble: str | None
    reserve_sats: int
    to_move_sats: int | None = Field(description="What the source wallet lacks; null: its balance is not known.")
    zone: str
    days: list[DayOut]

    @classmethod
    def of(cls, view: Treasury, source: SourceWallet, zone: str) -> TreasuryOut:
        totals, owed = view.totals, view.totals.owed
        return cls.from_view(
            totals,
            owed_sats=owed.clients_sats,
            gathered_sats=owed.gathered_sats,
            in_flight_sats=owed.in_flight_sats,
            credits_sats=owed.credits_sats,
            to_pay_sats=owed.to_pay_sats,
            source_balance_sats=source.balance_sats,
            source_trouble=source.trouble,
            reserve_sats=view.reserve_sats,
            to_move_sats=source.to_move_sats(view),
            zone=zone,
            days=[DayOut.of(day) for day in view.days],
        )


class SourceWallet(Out):
    """What the daemon last saw in the source wallet; without it: why."""

    balance_sats: int | None
    trouble: str | None = None

    def to_move_sats(self, view: Treasury) -> int | None:
        """What it lacks; None where its balance is not known."""
        return None if self.balance_sats is None else view.to_move_sats(self.balance_sats * MSATS_PER_SAT)


async def source_wallet(desk: Desk) -> SourceWallet:
    """Asks the daemon; the console holds no key of that wallet."""
    answer = await desk.daemon.read()
    if answer.status is None:
        return SourceWallet(balance_sats=None, trouble=answer.why)
    sats = answer.status.get("source_wallet_balance_sats")
    if not isinstance(sats, int):
        return SourceWallet(balance_sats=None, trouble="the daemon has not seen its balance yet")
    return SourceWallet(balance_sats=sats)


class MoveOut(Out):
    """Sats that the operator moved into the source wallet; negative: out of it."""

    id: int
    sats: int
    fee_sats: int
    reason: str
    at: datetime
    actor: str

    @classmethod
    def of(cls, move: Move) -> MoveOut:
        return cls.from_view(move, id=move.move_id)


class SatsMovedOut(Out):
    """A move that was written down, and what the books say of both wallets before and after."""

    move: MoveOut
    atm_before_msat: int
    atm_after_msat: int
    source_before_msat: int
    source_after_msat: int

    @classmethod
    def of(cls, done: tuple[MovePreview, Move]) -> SatsMovedOut:
        seen, move = done
        return cls.from_view(seen, move=MoveOut.of(move))


class MovesOut(Out):
    """A page of moves, the newest first."""

    moves: list[MoveOut]
    next: Next


router = APIRouter(prefix="/treasury", tags=["treasury"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="Show the treasury")
async def show_treasury(request: Request, days: Annotated[int, Query(ge=1, le=DAYS_MAX)] = DAYS) -> TreasuryOut:
    """In all, and by the last days of the console's zone, oldest first; checked against the ledger."""
    desk = desk_of(request)
    view = await treasury.show(
        desk.db,
        reserve_sats=desk.settings.payouts.wallet_reserve_sats,
        zone=desk.zone,
        since=treasury.midnight(days, desk.zone),
    )
    return TreasuryOut.of(view, await source_wallet(desk), desk.zone.key)


@router.get("/moves", summary="List the moves")
async def list_moves(request: Request, limit: Limit = PAGE, after: After = None) -> MovesOut:
    """The newest first."""
    found = await treasury.moves(desk_of(request).db, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.move_id)
    return MovesOut(moves=[MoveOut.of(one) for one in page.items], next=page.next)
