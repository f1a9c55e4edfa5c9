"""`dca-daemon recover`: takes payments that the books have forgotten out of LNbits into the books."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, load, usage_error, with_books
from dca_daemon.cli.output import AsJson, iso, print_json, print_table, say, when
from dca_daemon.domain.money import sats_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.recovery import Found

_WILL_BE = {"reinstated": "its payout gets it back", "adopted": "a credit", "held": "a person must decide"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("recover")(recover)


def recover(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    lost: Annotated[
        list[str] | None,
        typer.Option(
            "--as",
            metavar="ID=CLIENT",
            help="Count the payments to the lost client with this id for that client; may be repeated.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """After an old backup was restored: find the payments that LNbits knows and the books have forgotten.

    Each is adopted: a look-up confirms it, and it becomes a credit that the client's next payouts use up. The
    daemon does this by itself whenever it starts, before it pays anything; here it can be seen beforehand, and
    the payments to a client that was lost and entered again can be counted for it.
    """
    from dca_daemon.runtime.wiring import key_ring, wallet
    from dca_daemon.services.recovery import Search, reassignments

    wanted = _wanted(lost or [])
    settings = load()
    keys = key_ring(settings)

    async def work(db: Database) -> list[Found]:
        reassigned = await reassignments(db, wanted)
        source = wallet(settings)
        try:
            search = Search(db, source, keys, reassigned=reassigned, actor=actor(), dry_run=dry_run)
            return [found async for found in search.run(everything=True)]
        finally:
            await source.close()

    found = with_books(settings, work)
    if as_json:
        print_json({"dry_run": dry_run, "payments": [as_dict(one) for one in found]})
    else:
        _show(found, dry_run=dry_run)


def _wanted(lost: list[str]) -> dict[int, str]:
    wanted: dict[int, str] = {}
    for text in lost:
        old, _, reference = text.partition("=")
        if not old.strip().isdecimal() or not reference.strip():
            raise usage_error(f"--as takes a lost client's id and a client, like 3=Carla, not {text!r}")
        wanted[int(old)] = reference
    return wanted


def as_dict(found: Found) -> dict[str, Any]:
    """A payment that the books had forgotten, for scripts."""
    return {
        "payment_hash": found.payment_hash,
        "payout_id": found.payout_id,
        "paid_client_id": found.paid_client_id,
        "client_id": found.client_id,
        "amount_sats": found.amount_sats,
        "paid_at": iso(found.paid_at),
        "status": found.status,
        "fate": found.fate,
        "text": found.text,
    }


def _show(found: list[Found], *, dry_run: bool) -> None:
    strays = [one for one in found if one.client_id is None]
    taken = [one for one in found if one.client_id is not None]
    print_table(
        ("client", "paid at", ">amount", "at LNbits", "#payout", "what becomes of it", "~remark"),
        (
            (
                one.client_id,
                when(one.paid_at),
                sats_text(one.amount_sats),
                one.status,
                one.payout_id,
                _WILL_BE[one.fate],
                one.text or None,
            )
            for one in taken
        ),
        title="Payments that the books had forgotten" if taken else None,
        empty="LNbits knows no payment to our clients that the books have forgotten.",
    )
    if strays:
        say()
        print_table(
            ("client", "paid at", ">amount", "at LNbits", "#payout", "~remark"),
            (
                (s.paid_client_id, when(s.paid_at), sats_text(s.amount_sats), s.status, s.payout_id, s.text)
                for s in strays
            ),
            title="Payments to clients that the books do not know: left alone",
            empty="",
        )
    if taken:
        say()
        say("Nothing was changed: this was a dry run." if dry_run else "They are in the books now.")
