"""`dca-daemon reconcile`: do the books, LNbits and Lamassu tell the same?"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, load, usage_error, with_books
from dca_daemon.cli.output import AsJson, iso, print_json, print_pairs, say, when
from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.moments import parse_time
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.wording import unit_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.reconciliation.findings import Note, Reconciliation

_EXAMPLES_SHOWN = 5


def register(app: typer.Typer) -> None:
    """Adds the command to the program."""
    app.command()(reconcile)


def reconcile(
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only what happened since then; with its zone."),
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", min=1, max=36_500, metavar="N", help="Only the last so many days.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the books with LNbits, on both sides of each payment, and with Lamassu.

    Without --since or --days: everything. Reads page by page, at a quarter of lnbits.requests_per_minute, and
    changes nothing but that it keeps a line of the run. Exit status 1 when something differs, or could not be
    compared.
    """
    if since is not None and days is not None:
        raise usage_error("give --since or --days, not both")
    settings = load()
    settings.require("database", "lamassu", "lnbits", "payouts", "security", "reconcile")
    start = parse_time(since) if since is not None else None
    if days is not None:
        start = datetime.now(UTC) - timedelta(days=days)
    least = settings.reconcile.since_time
    if least is not None:
        start = least if start is None else max(start, least)
    routine = since is None and days is None
    found = with_books(settings, lambda db: _compare(settings, db, start, routine=routine))
    if as_json:
        print_json(_as_dict(found))
    else:
        _show(found)
    _judge(found)


async def _compare(settings: Settings, db: Database, since: datetime | None, *, routine: bool) -> Reconciliation:
    from dca_daemon.lamassu.source import LamassuSource
    from dca_daemon.runtime import wiring
    from dca_daemon.services import reconcile as service
    from dca_daemon.services.reconciliation import runs

    book, source = wiring.payment_book(settings), LamassuSource(wiring.source_config(settings))
    try:
        sides = service.Sides(db=db, book=book, keys=wiring.key_ring(settings), source=source)
        found = await service.reconcile(sides, since=since)
    finally:
        await source.close()
        await book.close()
    await runs.save(db, found, actor=actor(), routine=routine)
    return found


def _judge(found: Reconciliation) -> None:
    """Raises when something differs, or could not be compared: a line for stderr, and exit status 1."""
    total = sum(found.counts.values())
    parts = [f"{total:,} things differ" if total > 1 else "one thing differs"] if total else []
    parts += [f"{part} not compared: {reason}" for part, reason in found.not_compared.items()]
    if parts:
        raise DcaError("; ".join(parts))


def _as_dict(found: Reconciliation) -> dict[str, Any]:
    """A comparison for scripts."""
    return {
        "agrees": found.agrees,
        "complete": found.complete,
        "began_at": iso(found.began_at),
        "since": iso(found.since),
        "compared": dict(found.compared),
        "not_compared": [{"part": part, "reason": reason} for part, reason in found.not_compared.items()],
        "counts": [{"kind": kind, "count": count} for kind, count in found.counts.items()],
        "differences": [{**asdict(one), "remedy": one.remedy} for one in found.differences],
        "notes": [{**asdict(one), "text": one.text} for one in found.notes],
    }


def _show(found: Reconciliation) -> None:
    since = when(found.since)
    say(f"Compared what happened since {since}:" if since else "Compared everything:")
    print_pairs(_numbers(found))
    if found.notes:
        say("\nNo differences, but worth knowing:")
        for note in found.notes:
            say(f"  {_note_text(note)}")
    if found.not_compared:
        say("\nNot compared, or only in part:")
        for part, reason in found.not_compared.items():
            say(f"  {part}: {reason}")
    if found.counts:
        say(f"\nWhat differs ({sum(found.counts.values()):,}):")
        _show_differences(found)
    elif found.complete:
        say("\nEverything agrees.")
    else:
        say("\nWhat could be compared agrees.")


def _numbers(found: Reconciliation) -> list[tuple[str, str]]:
    n = found.compared

    def paid(count: str, msat: str) -> str:
        return f"{n[count]:,}, of {unit_text(n[msat], 'msat')}"

    fees = unit_text(n["settled_fees_msat"], "msat")
    return [
        (
            "payouts settled in the books",
            f"{n['settled_payouts']:,}, of {sats_text(n['settled_sats'])}, fees {fees}",
        ),
        ("  of these paid by the source wallet", paid("source_paid", "source_paid_msat")),
        (
            "  of these arrived in receivers' wallets",
            f"{paid('received', 'received_msat')}, in {n['receiver_wallets']:,} wallets",
        ),
        ("our payments that LNbits lists as sent", paid("source_listed", "source_listed_msat")),
        ("our payments that LNbits lists as received", f"{n['received_listed']:,}"),
        ("cash-outs successful at Lamassu", f"{n['successful_cash_outs']:,}"),
        ("cash-outs distributed in the books", f"{n['booked_cash_outs']:,}, of {sats_text(n['booked_sats'])}"),
        ("  of these known to Lamassu", f"{n['known_to_lamassu']:,}"),
        ("checks of the books by themselves", f"{n['checks']:,}"),
    ]


def _note_text(note: Note) -> str:
    examples = list(note.examples[:_EXAMPLES_SHOWN])
    more = [f"and {note.count - len(examples):,} more"] if examples and note.count > len(examples) else []
    return f"{note.count:,} {note.text}" + (f": {', '.join(examples + more)}" if examples else "")


def _show_differences(found: Reconciliation) -> None:
    for kind, count in found.counts.items():
        shown = [one for one in found.differences if one.kind == kind]
        say(f"\n{kind} ({count:,}):")
        for one in shown:
            say(f"  {one.text}")
            if one.payment_hash is not None:
                say(f"    payment hash {one.payment_hash}")
        if count > len(shown):
            say(f"  and {count - len(shown):,} more")
        say(f"  → {shown[0].remedy}")
