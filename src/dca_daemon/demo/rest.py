"""The rest of the money: a run of Fixed Mode by hand, and where everything went."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from dca_daemon.demo import watching
from dca_daemon.demo.narrator import TEXT_COLUMN, Narrator
from dca_daemon.demo.stage import Stage
from dca_daemon.demo.terms import ACTOR, CURRENCY, PACE, ZONE
from dca_daemon.domain.commission import percent_text
from dca_daemon.domain.errors import ConflictError
from dca_daemon.domain.money import MSATS_PER_SAT, fiat_per_btc, fiat_text, from_minor, sats_text
from dca_daemon.ledger.db import Database, scalar
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.services import commission_overview, fixed_runs, fixed_status, treasury
from dca_daemon.services.fixed_runs import Run
from dca_daemon.services.rates import Rates, RatesConfig
from dca_daemon.services.reports import clients as reports
from dca_daemon.services.reports.clients import ClientReport


async def fixed_by_hand(stage: Stage, narrator: Narrator) -> None:
    """Runs today's time of the schedule now, unless it has run. The daemon pays it when it looks next."""
    try:
        run = await _run(stage)
    except ConflictError as done:
        narrator.line("operator", f"would have Fixed Mode run now, but {done.message}.", style="yellow")
        return
    names = {person.client_id: person.name for person in stage.people}
    bought = ", ".join(
        f"{names[share.client_id]} buys {sats_text(share.sats)} for {fiat_text(share.fiat_minor, CURRENCY)}"
        for share in run.shares
    )
    narrator.line(
        "operator",
        f"has Fixed Mode run now, and not at {run.slot.slot.local_time} in {ZONE}: {bought}, at "
        f"{run.rate.fiat_per_btc:,.2f} {CURRENCY} per BTC, the latest cash-out's rate; LNbits knows none here.",
        style="yellow",
    )


async def _run(stage: Stage) -> Run:
    feed = LnbitsRates(stage.lnbits.url, pacer=Pacer(PACE))
    try:
        rates = Rates(stage.books, feed, RatesConfig())
        found = await fixed_status.preview(stage.books, rates, datetime.now(UTC), by_hand=True)
    finally:
        await feed.close()
    if found.no_rate is not None:
        raise found.no_rate
    assert found.rate is not None
    done = await fixed_runs.run(stage.books, found.slot, found.rate, actor=ACTOR, reason="shown in the demo")
    return fixed_runs.refuse_not_free(done)


async def _paid(db: Database) -> bool | None:
    """Whether all are paid but those whose payout is held: they wait for a person."""
    async with db.transaction() as conn:
        waiting = await scalar(
            conn,
            """SELECT count(*) FROM distribution_record r WHERE state IN ('owed', 'in-payout')
                  AND NOT EXISTS (SELECT FROM payout p WHERE p.client_id = r.client_id AND p.state = 'held')""",
        )
        return True if waiting == 0 else None


async def tell_all(stage: Stage, narrator: Narrator) -> None:
    """Where everything went: commission, treasury, clients. Each fails by itself where it does not add up."""
    await watching.until(stage, "all being paid", lambda: _paid(stage.books))
    shared = await commission_overview.show(stage.books)
    received = ", ".join(
        f"{r.name} {sats_text(r.settled_sats)} ({percent_text(r.basis_points or 0)})" for r in shared.receivers
    )
    narrator.line("commission", f"{received}, the house {sats_text(shared.house_sats)}.")
    seen = await treasury.show(stage.books, reserve_sats=0, zone=ZoneInfo(ZONE))
    totals = seen.totals
    source_msat = stage.lnbits.balance_msat(stage.source.inkey)
    narrator.line(
        "treasury",
        f"{_sats(totals.received_msat)} came in from laypeople; {_sats(totals.paid_clients_msat)} are paid to "
        f"clients, {_sats(totals.paid_receivers_msat)} to the receiver of commission, {_sats(totals.kept_msat)} "
        f"are the house's. To be moved into the source wallet: {sats_text(seen.to_move_sats(source_msat))}.",
    )
    narrator.table(
        ("client", ">deposited", ">converted", f">left {CURRENCY}", ">sats bought", f">{CURRENCY} per BTC"),
        [_report(found) for found in await reports.all_clients(stage.books)],
        indent=TEXT_COLUMN,
    )


def _report(found: ClientReport) -> list[str]:
    """A client's line: the price is what it paid on average."""
    put_in, converted, left = (
        f"{from_minor(minor, CURRENCY):,}"
        for minor in (found.deposited_minor, found.converted_minor, found.left_minor)
    )
    price = fiat_per_btc(found.bought_sats, found.converted_minor, CURRENCY)
    return [
        found.client,
        put_in,
        converted,
        left,
        f"{found.bought_sats:,}",
        "–" if price is None else f"{price:,}",
    ]


def _sats(msat: int) -> str:
    whole, rest = divmod(msat, MSATS_PER_SAT)
    return sats_text(whole) if not rest else f"{msat} msat"
