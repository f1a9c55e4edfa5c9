"""`dca-daemon treasury`: what came in, where it went, and what the source wallet lacks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from dca_daemon.cli.context import actor, confirm, load, with_books, with_wallet
from dca_daemon.cli.output import AsJson, Yes, iso, print_json, print_pairs, print_table, say, when
from dca_daemon.cli.spans import Zone, read_zone
from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.domain.wording import unit_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.treasury import Move, MovePreview, Treasury

app = typer.Typer(
    name="treasury",
    no_args_is_help=True,
    help="The coins: received by the ATM's own wallet, paid from the source wallet, owed, kept.",
)


@app.command()
def show(
    days: Annotated[
        int, typer.Option("--days", min=1, max=36_500, metavar="N", help="So many days, one by one.")
    ] = 14,
    zone: Zone = None,
    offline: Annotated[bool, typer.Option("--offline", help="Do not ask LNbits for the source wallet.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what was received, paid and kept, what is owed, and what has to be moved into the source wallet.

    In all, and for each of the last days. The sums are checked against the ledger's balances.
    """
    from dca_daemon.services import treasury

    settings = load()
    days_of = read_zone(zone)
    since = treasury.midnight(days, days_of)

    async def work(db: Database) -> tuple[Treasury, int | None, str | None]:
        view = await treasury.show(
            db, reserve_sats=settings.payouts.wallet_reserve_sats, zone=days_of, since=since
        )
        if offline:
            return view, None, "it was not asked"
        try:
            return view, await with_wallet(settings, lambda wallet: wallet.balance_msat()), None
        except DcaError as error:
            return view, None, error.message

    view, balance_msat, trouble = with_books(settings, work)
    if as_json:
        print_json(_as_dict(view, balance_msat, trouble, days_of))
        return
    _show_totals(view, balance_msat, trouble)
    say()
    print_table(
        ("day", ">received", ">paid", ">fees", ">losses", ">kept", ">owed more", ">moved in"),
        (
            (
                d.day,
                *(
                    unit_text(msat, "msat").removesuffix(" sats")
                    for msat in (
                        d.received_msat,
                        d.paid_msat,
                        d.fees_msat,
                        d.losses_msat,
                        d.kept_msat,
                        d.owed_more_msat,
                        d.moved_msat,
                    )
                ),
            )
            for d in view.days
        ),
        title=f"Day by day, in sats, by the days of {days_of.key}:",
        empty="Nothing happened in these days.",
    )


def _show_totals(view: Treasury, balance_msat: int | None, trouble: str | None) -> None:
    totals, owed = view.totals, view.totals.owed
    print_pairs(
        (
            ("received from laypeople", unit_text(totals.received_msat, "msat")),
            ("  paid to clients", unit_text(totals.paid_clients_msat, "msat")),
            ("  paid to commission receivers", unit_text(totals.paid_receivers_msat, "msat")),
            ("  routing fees", unit_text(totals.fees_msat, "msat")),
            ("  losses", unit_text(totals.losses_msat, "msat")),
            ("  owed, to be paid now", sats_text(owed.clients_sats)),
            ("  owed, gathered commission", sats_text(owed.gathered_sats)),
            ("  owed, in payouts under way", sats_text(owed.in_flight_sats)),
            ("  kept by the house, net", unit_text(totals.kept_msat, "msat")),
            (
                "  paid ahead of the books (credits)",
                f"-{sats_text(owed.credits_sats)}" if owed.credits_sats else "0 sats",
            ),
            ("moved into the source wallet", unit_text(totals.moved_msat, "msat")),
            ("the source wallet has", trouble if balance_msat is None else unit_text(balance_msat, "msat")),
            ("it has to pay", sats_text(owed.to_pay_sats)),
            ("it keeps in reserve", sats_text(view.reserve_sats)),
        )
    )
    if balance_msat is None:
        say("How much has to be moved can't be told without the source wallet's balance.")
        return
    missing = view.to_move_sats(balance_msat)
    say(f"Move {sats_text(missing)} into the source wallet." if missing else "The source wallet has enough.")


def _as_dict(view: Treasury, balance_msat: int | None, trouble: str | None, zone: ZoneInfo) -> dict[str, Any]:
    totals, owed = view.totals, view.totals.owed
    return {
        "received_msat": totals.received_msat,
        "paid_clients_msat": totals.paid_clients_msat,
        "paid_receivers_msat": totals.paid_receivers_msat,
        "fees_msat": totals.fees_msat,
        "losses_msat": totals.losses_msat,
        "kept_msat": totals.kept_msat,
        "owed_sats": owed.clients_sats,
        "gathered_sats": owed.gathered_sats,
        "in_flight_sats": owed.in_flight_sats,
        "credits_sats": owed.credits_sats,
        "to_pay_sats": owed.to_pay_sats,
        "moved_msat": totals.moved_msat,
        "source_balance_msat": balance_msat,
        "source_trouble": trouble,
        "reserve_sats": view.reserve_sats,
        "to_move_sats": None if balance_msat is None else view.to_move_sats(balance_msat),
        "zone": zone.key,
        "days": [
            {
                "day": d.day.isoformat(),
                "received_msat": d.received_msat,
                "paid_msat": d.paid_msat,
                "fees_msat": d.fees_msat,
                "losses_msat": d.losses_msat,
                "kept_msat": d.kept_msat,
                "owed_more_msat": d.owed_more_msat,
                "moved_msat": d.moved_msat,
            }
            for d in view.days
        ],
    }


@app.command(context_settings={"ignore_unknown_options": True})
def move(
    sats: Annotated[
        int, typer.Argument(metavar="SATS", help="So many arrived in the source wallet; -5000: left it.")
    ],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What was moved, and how; kept.")],
    fee_sats: Annotated[int, typer.Option("--fee", metavar="SATS", help="What the transfer cost besides.")] = 0,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write down that you moved sats from the ATM's own wallet into the source wallet. Moves nothing itself."""
    from dca_daemon.services import treasury

    settings = load()
    before = with_books(settings, lambda db: treasury.preview(db, sats=sats, fee_sats=fee_sats))
    confirm("\n".join([*_preview(before, sats, fee_sats), "Write this down?"]), yes=yes)
    done = with_books(
        settings, lambda db: treasury.move(db, sats=sats, fee_sats=fee_sats, reason=reason, actor=actor())
    )
    if as_json:
        print_json({"move": _move_dict(done)})
        return
    say(f"Move {done.move_id} is written down: {_words(done.sats, done.fee_sats)}.")


def _words(sats: int, fee_sats: int) -> str:
    where = "into" if sats > 0 else "out of"
    fee = f", and a fee of {sats_text(fee_sats)}" if fee_sats else ""
    return f"{sats_text(abs(sats))} {where} the source wallet{fee}"


def _preview(before: MovePreview, sats: int, fee_sats: int) -> Iterator[str]:
    yield f"By the books, {_words(sats, fee_sats)}:"
    for name, old, new in (
        ("the ATM's own wallet", before.atm_before_msat, before.atm_after_msat),
        ("the source wallet, by moves and payouts,", before.source_before_msat, before.source_after_msat),
    ):
        yield f"  {name} goes from {unit_text(old, 'msat')} to {unit_text(new, 'msat')}."
    if before.atm_after_msat < 0:
        yield f"  That is {sats_text(-before.atm_after_msat // MSATS_PER_SAT)} more than laypeople ever paid in."
    if before.last is not None:
        last = before.last
        yield f"  The last one was {_words(last.sats, last.fee_sats)}, {when(last.at)} ({last.reason})."


def _move_dict(done: Move) -> dict[str, Any]:
    return {
        "id": done.move_id,
        "sats": done.sats,
        "fee_sats": done.fee_sats,
        "reason": done.reason,
        "at": iso(done.at),
        "actor": done.actor,
    }
