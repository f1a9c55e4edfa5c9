"""`dca-daemon distribution`: what was shared, record by record, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from dca_daemon.cli.cash_out import CashOutRef
from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, print_json, print_pairs, print_table, say, when
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.services.distribution_data import distribution_dict

if TYPE_CHECKING:
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.distribution_views import DistributionView

app = typer.Typer(
    name="distribution", no_args_is_help=True, help="Distributions: of cash-outs, fixed runs and adjustments."
)

DistributionId = Annotated[
    int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The distribution's number.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the books and the audit.")]


@app.command("list")
def list_distributions(
    kind: Annotated[
        Literal["cash-out", "fixed", "adjustment"] | None, typer.Option("--kind", help="Only of this kind.")
    ] = None,
    reversed_only: Annotated[bool, typer.Option("--reversed", help="Only those that were taken back.")] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List distributions, the newest first."""
    from dca_daemon.services import distribution_views

    found = with_books(
        load(),
        lambda db: distribution_views.list_all(db, kind=kind, reversed_only=reversed_only, limit=limit),
    )
    if as_json:
        print_json({"distributions": [distribution_dict(view) for view in found]})
        return
    print_table(
        ("id", "kind", "cash-out", "booked", ">sats", ">to the house", ">charged", ">records", "reversed"),
        (
            (
                d.distribution_id,
                d.kind,
                d.cash_out_id,
                when(d.booked_at),
                sats_text(d.total_sats),
                sats_text(d.house_sats),
                fiat_text(d.charge_minor, d.currency),
                len(d.records),
                when(d.reversed_at),
            )
            for d in found
        ),
        empty="There are no such distributions.",
    )


@app.command()
def show(distribution_id: DistributionId, as_json: AsJson = False) -> None:
    """Show one distribution with its records, and the payout that each is in."""
    from dca_daemon.services import distribution_views

    view = with_books(load(), lambda db: distribution_views.show(db, distribution_id))
    if as_json:
        print_json({"distribution": distribution_dict(view)})
    else:
        _show_whole(view)


@app.command()
def reverse(distribution_id: DistributionId, reason: Reason, yes: Yes = False, as_json: AsJson = False) -> None:
    """Take a distribution back of which nothing was paid. Shows what changes, and asks for a confirmation.

    Everybody stands as if it had not been; both entries stay in the books. A cash-out then waits for a decision,
    a fixed run is not repeated. What was paid can only be followed by `client adjust`.
    """
    from dca_daemon.services import distribution_views

    settings = load()
    view = with_books(settings, lambda db: distribution_views.show(db, distribution_id))
    _reverse(settings, view, reason, yes=yes, as_json=as_json)


def reverse_cash_out(cash_out: CashOutRef, reason: Reason, yes: Yes = False, as_json: AsJson = False) -> None:
    """Take a cash-out's distribution back, of which nothing was paid. Shows what changes, and asks.

    Everybody stands as if it had not been; both entries stay in the books. The cash-out then waits for a decision,
    and is not distributed by itself. What was paid can only be followed by `client adjust`.
    """
    from dca_daemon.services import distribution_views

    settings = load()
    view = with_books(settings, lambda db: distribution_views.find_of_cash_out(db, cash_out))
    _reverse(settings, view, reason, yes=yes, as_json=as_json)


def _reverse(settings: Settings, view: DistributionView, reason: str, *, yes: bool, as_json: bool) -> None:
    from dca_daemon.services import reversals

    reversals.check(view, reason)
    if not as_json:
        _show_whole(view)
        for payout_id in sorted({r.payout_id for r in view.records if r.payout_id is not None}):
            say(f"Payout {payout_id}, which is held and was never submitted, ends as void.")
    confirm(f"Take {view.name} back? Nobody is owed anything of it any more.", yes=yes)
    done = with_books(
        settings, lambda db: reversals.reverse(db, view.distribution_id, reason=reason, actor=actor())
    )
    if as_json:
        print_json({"distribution": distribution_dict(done)})
        return
    say(f"Distribution {done.distribution_id} is reversed, by journal entry {done.reversal_entry_id}.")
    if done.cash_out_id is not None:
        say(f"Cash-out {done.cash_out_id} waits for a decision: it is in review.")


def _show_whole(view: DistributionView) -> None:
    print_pairs(
        [
            ("Distribution", f"{view.distribution_id}, {view.kind}"),
            *([("Cash-out", f"{view.cash_out_id}: {view.external_id}")] if view.cash_out_id is not None else []),
            ("Happened", when(view.happened_at)),
            ("Booked", f"{when(view.booked_at)}, journal entry {view.entry_id}"),
            ("Pool", view.pool),
            ("Sats", f"{sats_text(view.total_sats)}, of which {sats_text(view.house_sats)} to the house"),
            ("Charged", fiat_text(view.charge_minor, view.currency)),
            *([("Reason", view.reason)] if view.reason else []),
            *(
                [("Reversed", f"{when(view.reversed_at)}, journal entry {view.reversal_entry_id}")]
                if view.reversed_at
                else []
            ),
        ]
    )
    say()
    print_table(
        ("record", "type", "receiver", ">sats", ">fiat", "state", "payment", "#payout"),
        (
            (
                r.record_id,
                r.type,
                f"{r.client_id} {r.client}",
                sats_text(r.sats),
                fiat_text(r.fiat_minor, view.currency),
                r.state,
                r.payout_state,
                r.payout_id,
            )
            for r in view.records
        ),
        title="Records",
        empty="None: all of it is the house's.",
    )
