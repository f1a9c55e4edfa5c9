"""What a shadow or a simulation came to, for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dca_daemon.cli.output import print_pairs, print_table, say, when
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import NOTHING, source_coins_text, source_fiat_text

if TYPE_CHECKING:
    from dca_daemon.runtime.shadow import Outcome
    from dca_daemon.services.intake import IntakeResult
    from dca_daemon.services.shadow.differences import Comparison, Side
    from dca_daemon.services.shadow.opening import Opening
    from dca_daemon.services.shadow.report import Report


_BALANCES = {"now": ", with what they have now", "then": ", with what they had then and what came since"}
NOTHING_HAPPENED = "\nNothing was paid, and the books were not changed."


def show(found: Outcome) -> None:
    """All of it, the sums first."""
    report = found.report
    print_pairs(
        [
            ("Clients", f"of {report.about.get('clients')}{_BALANCES.get(report.about.get('balances', ''), '')}"),
            ("Split", f"{report.about.get('split_method')}, charge {report.about.get('charge')}"),
            *(("Would wait or be left out", f"{n}: {state}, {why}") for (state, why), n in report.reasons.items()),
        ]
    )
    say()
    _show_pools(report)
    _show_clients(report)
    if report.receivers:
        say()
        print_table(
            ("receiver of commission", ">records", ">sats"),
            ((r.receiver, r.records, sats_text(r.sats)) for r in report.receivers),
            empty="",
        )
    if report.undistributed:
        say()
        _show_undistributed(report)
    if report.cash_outs:
        say()
        _show_cash_outs(report)
    if found.comparison is not None:
        say()
        _show_comparison(found.comparison)


def _show_pools(report: Report) -> None:
    """The sums of each pool."""
    print_table(
        (
            "pool",
            ">cash-outs",
            ">notes",
            ">coins",
            ">to clients",
            ">uncovered",
            ">commission",
            ">of it shared",
            ">house",
        ),
        (
            (
                p.pool,
                p.cash_outs,
                fiat_text(p.fiat_minor, p.currency),
                sats_text(p.total_sats),
                sats_text(p.clients_sats),
                sats_text(p.uncovered_sats),
                sats_text(p.commission_sats),
                sats_text(p.commission_shared_sats),
                sats_text(p.house_sats),
            )
            for p in report.pools
        ),
        empty="There is no pool.",
    )


def _show_clients(report: Report) -> None:
    say()
    print_table(
        ("client", "mode", "pool", ">came in", ">converted", ">left", ">purchases", ">sats", ">paid per BTC"),
        (
            (
                c.client if c.status == "active" else f"{c.client} ({c.status})",
                c.mode,
                c.pool,
                fiat_text(c.given_minor, c.currency),
                fiat_text(c.converted_minor, c.currency),
                fiat_text(c.left_minor, c.currency),
                c.purchases,
                sats_text(c.sats),
                NOTHING if c.average_fiat_per_btc is None else f"{c.average_fiat_per_btc:,} {c.currency}",
            )
            for c in report.clients
        ),
        empty="No client has anything in: all principal is the house's.",
    )


def _show_undistributed(report: Report) -> None:
    print_table(
        ("happened", "cash-out", "machine", ">notes", "state", "~why"),
        (
            (
                when(u.happened_at),
                u.external_id,
                u.machine,
                source_fiat_text(u.fiat, u.fiat_code),
                u.state,
                u.text,
            )
            for u in report.undistributed
        ),
        title="Would not be distributed",
        empty="",
    )


def _show_cash_outs(report: Report) -> None:
    total = sum(p.cash_outs for p in report.pools)
    shown = len(report.cash_outs)
    print_table(
        ("happened", "cash-out", "machine", ">notes", ">coins", ">charge", ">house", "~shares"),
        (
            (
                when(c.happened_at),
                c.external_id,
                c.machine,
                fiat_text(c.fiat_minor, c.currency),
                sats_text(c.total_sats),
                fiat_text(c.charge_minor, c.currency),
                sats_text(c.house_sats),
                ", ".join(_share_text(s.client, s.sats, commission=s.commission) for s in c.shares) or NOTHING,
            )
            for c in report.cash_outs
        ),
        title="Cash-outs" if shown == total else f"The last {shown} of {total} cash-outs (--limit)",
        empty="",
    )


def _share_text(name: str, sats: int, *, commission: bool) -> str:
    return f"{name} {sats_text(sats)}{' of commission' if commission else ''}"


def _show_comparison(comparison: Comparison) -> None:
    """What the books have of the same cash-outs."""
    say(f"In the books: {comparison.alike} alike, {comparison.differing} otherwise.")
    if comparison.differences:
        print_table(
            ("happened", "cash-out", "~booked", "~here"),
            (
                (
                    when(d.happened_at),
                    d.external_id,
                    _side_text(d.booked, d.currency, comparison),
                    _side_text(d.shadow, d.currency, comparison),
                )
                for d in comparison.differences
            ),
            empty="",
        )


def _side_text(side: Side | None, currency: str, comparison: Comparison) -> str:
    if side is None:
        return "not there"
    if side.shares is None or side.charge_minor is None or side.house_sats is None:
        return f"{side.state}: {side.reason}"
    shares = ", ".join(
        _share_text(comparison.names.get(client_id, f"client {client_id}"), sats, commission=commission)
        for (client_id, commission), (sats, _) in sorted(side.shares.items())
    )
    return (
        f"{fiat_text(side.charge_minor, currency)} charged; {shares or 'no client'}; "
        f"house {sats_text(side.house_sats)}"
    )


def batch_lines(result: IntakeResult, opening: Opening) -> Iterator[str]:
    """What a batch came to, a line for each cash-out and each receiver."""
    names = {m.client_id: m.name for m in opening.members}
    for d in result.distributed:
        code = d.pool.currency
        yield (
            f"{when(d.happened_at)}  {d.row.external_id}  {d.row.machine_name or d.row.device_id[:8]}  "
            f"{fiat_text(d.fiat_minor, code)}, {sats_text(d.split.total_sats)}"
        )
        for s in d.allocation.shares:
            yield f"    {names[s.client_id]}: {sats_text(s.sats)} for {fiat_text(s.fiat_minor, code)}"
        for p in d.commission.parts:
            yield f"    {names[p.client_id]}: {sats_text(p.sats)} of the commission"
        yield f"    house: {sats_text(d.house_sats)}"
    for m in result.changed:
        if m.state in ("review", "ignored") and m.is_news:
            yield (
                f"{when(m.row.dispensed_at or m.row.created)}  {m.row.external_id}  "
                f"{m.row.machine_name or m.row.device_id[:8]}  {source_fiat_text(m.row.fiat, m.row.fiat_code)}, "
                f"{source_coins_text(m.row.crypto_atoms, m.row.crypto_code)}  {m.state}: {m.text}"
            )
