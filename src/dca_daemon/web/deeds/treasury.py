"""What can be done with the treasury: a move is written down."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import treasury
from dca_daemon.services.treasury import Move, MovePreview
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.treasury import SatsMovedOut
from dca_daemon.web.wishes import Reason, WholeSats, Wish


class RecordMove(Wish):
    """Sats that were moved between the ATM's own wallet and the source wallet."""

    sats: Annotated[
        WholeSats,
        Field(
            title="Sats", description="So many arrived in the source wallet; -5000: left it.", examples=["500000"]
        ),
    ]
    fee_sats: Annotated[WholeSats, Field(title="Fee", description="Sats that the transfer cost besides.")] = 0
    reason: Reason


async def _move(call: Call, wish: RecordMove) -> tuple[MovePreview, Move]:
    seen = await treasury.preview(call.db, sats=wish.sats, fee_sats=wish.fee_sats)
    done = await treasury.move(
        call.db, sats=wish.sats, fee_sats=wish.fee_sats, reason=wish.reason, actor=call.actor
    )
    return seen, done


def words(sats: int, fee_sats: int) -> str:
    """A move in words."""
    where = "into" if sats > 0 else "out of"
    fee = f", and a fee of {sats_text(fee_sats)}" if fee_sats else ""
    return f"{sats_text(abs(sats))} {where} the source wallet{fee}"


def _facts(done: tuple[MovePreview, Move]) -> Facts:
    seen, move = done
    facts = [("Move", words(move.sats, move.fee_sats))]
    if seen.atm_after_msat < 0:
        more = sats_text(-seen.atm_after_msat // MSATS_PER_SAT)
        facts.append(("Look", f"that is {more} more than laypeople ever paid in"))
    if seen.last is not None:
        last = seen.last
        when = f"{last.at:%Y-%m-%d %H:%M} UTC"
        facts.append(("The last one was", f"{words(last.sats, last.fee_sats)}, {when} ({last.reason})"))
    return facts


ACTIONS = (
    Action(
        name="treasury.move",
        title="Record a move",
        path="/treasury/move",
        api_path="/treasury/moves",
        api_status=201,
        wish=RecordMove,
        role=Role.ADMIN,
        scope=Scope.BOOKS,
        explanation="Write down that you moved sats from the ATM's own wallet into the source wallet. It moves "
        "nothing itself.",
        work=_move,
        facts=_facts,
        leads_to=lambda done: "/treasury",
        said=lambda done: f"Move {done[1].move_id} is written down: {words(done[1].sats, done[1].fee_sats)}.",
        answer=SatsMovedOut.of,
        answer_model=SatsMovedOut,
    ),
)
