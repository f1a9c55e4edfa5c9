"""`dca-daemon cash-out`: what the machines paid out, and what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli.context import load, with_books
from dca_daemon.cli.output import AsJson, Limit, print_json, print_table, sats_or_none, say, when
from dca_daemon.domain.cash_out import BITCOIN_CODES, CashOutState
from dca_daemon.domain.wording import source_coins_text, source_fiat_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.cash_outs import CashOutView, CommissionView, ShareView, SplitView
    from dca_daemon.services.intake import IntakeConfig

app = typer.Typer(name="cash-out", no_args_is_help=True, help="Cash-outs: what came of each, and why.")

CashOutRef = Annotated[
    str, typer.Argument(metavar="CASH-OUT", help="Our number, or Lamassu's id or the beginning of it.")
]


@app.command("list")
def list_cash_outs(
    state: Annotated[
        list[CashOutState] | None, typer.Option("--state", help="Only those in this state; may be repeated.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="MACHINE", help="Only this machine's, by name or device id.")
    ] = None,
    coin: Annotated[
        str | None, typer.Option("--coin", metavar="CODE", help=f"Only this coin's: {', '.join(BITCOIN_CODES)}, …")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List cash-outs, the newest first: failed ones, those left out, and those that wait for a person too."""
    from dca_daemon.services import cash_outs
    from dca_daemon.services.cash_out_data import summary_dict

    states = tuple(str(one) for one in state or ())
    found = with_books(
        load(), lambda db: cash_outs.list_all(db, states=states, device=machine, coin=coin, limit=limit)
    )
    if as_json:
        print_json({"cash_outs": [summary_dict(summary) for summary in found]})
        return
    print_table(
        (
            "id",
            "when",
            "machine",
            ">notes",
            ">coins",
            "coin",
            "state",
            ">clients",
            ">to clients",
            ">settled",
            "~why",
        ),
        (
            (
                c.cash_out_id,
                when(c.happened_at),
                c.machine_name or c.device_id,
                source_fiat_text(c.fiat, c.fiat_code),
                source_coins_text(c.crypto_atoms, c.crypto_code),
                c.crypto_code,
                c.state,
                c.clients,
                sats_or_none(c.client_sats),
                sats_or_none(c.settled_sats),
                None if c.state is CashOutState.DISTRIBUTED else c.reason_text,
            )
            for c in found
        ),
        empty="There are no such cash-outs.",
    )


@app.command()
def show(cash_out: CashOutRef, as_json: AsJson = False) -> None:
    """Explain one cash-out to the last sat and centavo: the split, each client's share, the payments, the log."""
    from dca_daemon.cli.cash_out_views import show_whole
    from dca_daemon.services import cash_outs
    from dca_daemon.services.cash_out_data import whole_dict

    view = with_books(load(), lambda db: cash_outs.show(db, cash_out))
    if as_json:
        print_json(whole_dict(view))
    else:
        show_whole(view)


@app.command()
def preview(cash_out: CashOutRef, as_json: AsJson = False) -> None:
    """Show how a cash-out that is not distributed would be shared now. Changes nothing."""
    from dca_daemon.cli.cash_out_views import show_split
    from dca_daemon.runtime.wiring import intake_config
    from dca_daemon.services.cash_out_data import commission_dict, share_dict, split_dict
    from dca_daemon.services.cash_out_explanation import explain

    settings = load()
    config = intake_config(settings)
    view, split, shares, commission = with_books(settings, lambda db: _preview(db, config, cash_out))
    explanation = explain(view.source_row, split, len(shares), commission)
    if as_json:
        print_json(
            {
                "cash_out_id": view.summary.cash_out_id,
                "state": view.summary.state,
                "split": split_dict(split),
                "shares": [share_dict(share, split.currency) for share in shares],
                "commission": [commission_dict(part) for part in commission],
                "explanation": explanation,
            }
        )
        return
    say(f"Cash-out {view.summary.cash_out_id} is {view.summary.state}: {view.summary.reason_text}.")
    say("If it were distributed now (nothing is changed):")
    say()
    show_split(split, shares, explanation, commission)


async def _preview(
    db: Database, config: IntakeConfig, reference: str
) -> tuple[CashOutView, SplitView, list[ShareView], list[CommissionView]]:
    from dca_daemon.services import cash_out_preview, cash_outs

    view = await cash_outs.show(db, reference)
    return view, *await cash_out_preview.preview(db, config, str(view.summary.cash_out_id))
