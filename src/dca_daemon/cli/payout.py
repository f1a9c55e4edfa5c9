"""`dca-daemon payout`: the payments, and what a person can do about one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, iso, print_json, print_pairs, print_table, say, when
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.payout import PayoutState
from dca_daemon.domain.wording import detail_text, unit_text
from dca_daemon.services.payout_data import payout_dict, record_dict

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.payouts import PayoutView

app = typer.Typer(name="payout", no_args_is_help=True, help="Payouts: the Lightning payments to clients.")

PayoutRef = Annotated[str, typer.Argument(metavar="PAYOUT", help="The payout's id, or the beginning of it.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the log and the audit.")]


@app.command("list")
def list_payouts(
    state: Annotated[
        list[PayoutState] | None, typer.Option("--state", help="Only those in this state; may be repeated.")
    ] = None,
    client: Annotated[
        str | None, typer.Option("--client", metavar="CLIENT", help="Only this client's, by id or name.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List payouts, the newest first."""
    from dca_daemon.services import clients, payouts

    states = tuple(str(one) for one in state or ())

    async def work(db: Database) -> list[PayoutView]:
        client_id = None if client is None else (await clients.show(db, client)).client_id
        return await payouts.list_all(db, states=states, client=client_id, limit=limit)

    found = with_books(load(), work)
    if as_json:
        print_json({"payouts": [payout_dict(p) for p in found]})
        return
    print_table(
        ("#id", "created", "client", ">amount", ">fee", "state", ">records", "settled", "~reason"),
        (
            (
                p.payout_id,
                when(p.created_at),
                p.client,
                sats_text(p.amount_sats),
                None if p.fee_msat is None else unit_text(p.fee_msat, "msat"),
                p.state if p.adopted_at is None else f"{p.state} (adopted)",
                p.records,
                when(p.settled_at),
                _why(p),
            )
            for p in found
        ),
        empty="There are no such payouts.",
    )


@app.command()
def show(payout: PayoutRef, as_json: AsJson = False) -> None:
    """Show one payout: its state, the records that it pays, and what happened to it when."""
    from dca_daemon.services import payouts

    view, records, log = with_books(load(), lambda db: payouts.show(db, payout))
    if as_json:
        print_json(
            {
                "payout": payout_dict(view),
                "records": [record_dict(record) for record in records],
                "log": [{**entry, "at": iso(entry["at"])} for entry in log],
            }
        )
        return
    _show_whole(view, records, log)


def _why(view: PayoutView) -> str | None:
    """What held it up; once it is settled that is history, which its log tells."""
    return None if view.settled_at is not None else view.reason


def _submitted(view: PayoutView) -> str:
    if not view.submits:
        return "never"
    times = "once" if view.submits == 1 else f"{view.submits} times"
    return f"{times}, last {when(view.last_submit_at)}"


def _show_whole(view: PayoutView, records: list[Mapping[str, Any]], log: list[Mapping[str, Any]]) -> None:
    state = f"{view.state} (was {view.held_from})" if view.held_from else str(view.state)
    print_pairs(
        [
            ("Payout", view.payout_id),
            ("State", f"{state}: {_why(view)}" if _why(view) else state),
            ("Receiver", f"{view.client_id} {view.client!r}, {view.destination}"),
            ("Amount", sats_text(view.amount_sats)),
            *([("From credit", sats_text(view.credit_sats))] if view.credit_sats else []),
            ("Fee", None if view.fee_msat is None else unit_text(view.fee_msat, "msat")),
            ("Memo", view.memo),
            ("Payment hash", view.payment_hash),
            ("Invoice", view.bolt11),
            ("Invoice expires", when(view.invoice_expires_at)),
            ("Created", when(view.created_at)),
            *([("Adopted", f"{when(view.adopted_at)}: the books had forgotten it")] if view.adopted_at else []),
            ("Submitted", _submitted(view)),
            ("Settled", when(view.settled_at)),
        ]
    )
    if view.settled_at is None:
        print_pairs([("Next attempt", when(view.next_attempt_at))])
    say()
    print_table(
        ("record", "type", "cash-out", "when", ">sats", ">fiat", "state"),
        (
            (
                r["record_id"],
                r["type"],
                r["cash_out_id"],
                when(r["happened_at"]),
                sats_text(r["sats"]),
                fiat_text(r["fiat_minor"], r["currency"]),
                r["state"] if r["active"] else f"{r['state']} (no longer in this payout)",
            )
            for r in records
        ),
        title="Records that it pays",
        empty="None.",
    )
    say()
    print_table(
        ("when", "what", "~detail"),
        ((when(e["at"]), e["event"], detail_text(e["detail"])) for e in log),
        title="What happened",
        empty="Nothing is recorded.",
    )


@app.command()
def retry(payout: PayoutRef, as_json: AsJson = False) -> None:
    """Try a payout that is under way at once. One that may have been paid is looked up, never paid anew."""
    from dca_daemon.services import payouts

    _step_in(lambda db: payouts.retry(db, payout, actor=actor()), as_json=as_json)


@app.command()
def hold(payout: PayoutRef, reason: Reason, as_json: AsJson = False) -> None:
    """Stop a payout that is under way until it is released."""
    from dca_daemon.services import payouts

    _step_in(lambda db: payouts.hold(db, payout, reason=reason, actor=actor()), as_json=as_json)


@app.command()
def release(payout: PayoutRef, reason: Reason, as_json: AsJson = False) -> None:
    """Let a held payout go on.

    If its invoice was never submitted, it ends as void and its records are owed again. If it may have been paid,
    it is looked up again, never paid anew.
    """
    from dca_daemon.services import payouts

    _step_in(lambda db: payouts.release(db, payout, reason=reason, actor=actor()), as_json=as_json)


ResolutionName = Literal["settled", "void", "written-off"]


@app.command()
def resolve(
    payout: PayoutRef,
    outcome: Annotated[
        ResolutionName,
        typer.Option(
            "--as",
            help="settled: the receiver has it. void: nothing left the source wallet, nor will. "
            "written-off: it left, and is lost.",
        ),
    ],
    reason: Reason,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """End a held payout by what you have found out about it. Asks for a confirmation.

    `void` and `written-off` have the client paid a second time: make sure first.
    """
    from dca_daemon.services import payouts
    from dca_daemon.services.payout_resolution import CONSEQUENCE, Resolution
    from dca_daemon.services.payout_resolution import resolve as resolve_payout

    view, _, _ = with_books(load(), lambda db: payouts.show(db, payout))
    confirm(
        f"Payout {view.payout_id} of {sats_text(view.amount_sats)} to {view.client}: {outcome}. "
        f"{CONSEQUENCE[Resolution(outcome)]} Sure?",
        yes=yes,
    )
    _step_in(
        lambda db: resolve_payout(db, view.payout_id, Resolution(outcome), reason=reason, actor=actor()),
        as_json=as_json,
    )


def _step_in(work: Callable[[Database], Awaitable[PayoutView]], *, as_json: bool) -> None:
    view = with_books(load(), work)
    if as_json:
        print_json({"payout": payout_dict(view)})
    else:
        say(f"Payout {view.payout_id} of {sats_text(view.amount_sats)} to {view.client} is {view.state}.")
