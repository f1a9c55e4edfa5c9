"""What the operator settles by hand while the daemon is away: with a slip first, which is taken back."""

from __future__ import annotations

from dca_daemon.demo import acts
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.stage import CHANNEL, Stage
from dca_daemon.demo.terms import ACTOR, CURRENCY
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.money import fiat_text, sats_text, to_minor
from dca_daemon.lamassu.source import LamassuSource, SourceConfig
from dca_daemon.services import distribution_views, manual_cash_outs, reversals
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.manual_cash_outs import Entry

_REFERENCE = "ticket-17"
_REASON = "the missing notes were handed over"


async def settle(stage: Stage, narrator: Narrator) -> str:
    """Enters the cash-out whose notes came out too few, by a wrong amount; takes that back; enters it anew.

    Gives the reference of the entry that stands. The daemon must be away, else it pays what is taken back.
    """
    (external_id,) = [told for told, name in stage.failed.items() if name == acts.SHORT]
    found = stage.lamassu.execute(
        "SELECT fiat, crypto_atoms FROM public.cash_out_txs WHERE id = %s", (external_id,)
    ).fetchone()
    assert found is not None
    fiat, sats = found[0], int(found[1])
    slip = await _enter(stage, f"{fiat:f}", sats // 10, settles=external_id, reference=_REFERENCE)
    taken_back = await distribution_views.find_of_cash_out(stage.books, _REFERENCE)
    await reversals.reverse(
        stage.books, taken_back.distribution_id, reason="a digit of the sats was missing", actor=ACTOR
    )
    slip_id = slip.summary.cash_out_id
    reference = f"review-{slip_id}"
    anew = await _enter(stage, f"{fiat:f}", sats, settles=str(slip_id), reference=reference)
    stage.settled_by_hand(external_id, reference)
    stage.expect(_REFERENCE, CashOutState.SETTLED_BY_HAND)
    _tell(narrator, slip, anew)
    return reference


async def _enter(stage: Stage, fiat: str, sats: int, *, settles: str, reference: str) -> CashOutView:
    source = LamassuSource(SourceConfig(dsn=stage.postgres.dsn("lamassu"), channel=CHANNEL))
    try:
        return await manual_cash_outs.enter(
            stage.books,
            Intake(stage.books, IntakeConfig()),
            Entry(fiat=fiat, sats=sats, reason=_REASON, reference=reference, settles=settles),
            source=source,
            actor=ACTOR,
        )
    finally:
        await source.close()


def _tell(narrator: Narrator, slip: CashOutView, anew: CashOutView) -> None:
    fiat = fiat_text(to_minor(anew.summary.fiat, CURRENCY), CURRENCY)
    narrator.line(
        "operator",
        f"hands over the notes that one cash-out was short of, and enters it by hand, {fiat} for "
        f"{sats_text(int(slip.summary.crypto_atoms))}: a digit is missing. Nobody has been paid yet: it is taken "
        f"back, and entered anew for {sats_text(int(anew.summary.crypto_atoms))}. What Lamassu has of it can't be "
        "distributed any more.",
        style="yellow",
    )
