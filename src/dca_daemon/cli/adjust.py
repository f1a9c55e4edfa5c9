"""`dca-daemon client adjust` and `adjustments`: corrections of what a client has in, or is owed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, iso, print_json, print_table, say, when
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.services.adjustments import Adjustment

ClientRef = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's, or receiver's, id or name.")]


def register(group: typer.Typer) -> None:
    """Adds these commands to the group `client`."""
    group.command()(adjust)
    group.command("adjustments")(list_adjustments)


def as_dict(done: Adjustment) -> dict[str, Any]:
    """An adjustment for scripts."""
    pool = done.pool
    return {
        "id": done.adjustment_id,
        "client_id": done.client_id,
        "client": done.client,
        "pool_id": None if pool is None else pool.pool_id,
        "currency": None if pool is None else pool.currency,
        "fiat": None if pool is None or done.amount_minor is None else fiat_json(done.amount_minor, pool.currency),
        "sats": done.amount_sats,
        "reason": done.reason,
        "corrects": done.corrects,
        "at": iso(done.at),
        "actor": done.actor,
    }


def _stand(done: Adjustment, amount: int | None) -> str | int | None:
    if amount is None or done.pool is None:
        return amount
    return fiat_json(amount, done.pool.currency)


def adjust(
    client: ClientRef,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the books and the audit.")],
    fiat: Annotated[
        str | None,
        typer.Option("--fiat", metavar="±AMOUNT", help="Of its fiat balance, such as +100 or -100.50."),
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="POOL", help="Whose balance, where there are several pools.")
    ] = None,
    sats: Annotated[
        str | None,
        typer.Option(
            "--sats", metavar="±N", help="+N: it is owed so much more. -N: it was paid so much too much."
        ),
    ] = None,
    corrects: Annotated[
        str | None,
        typer.Option("--corrects", metavar="REF", help="What it follows, such as a distribution or a payout."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Correct a client's fiat balance, or what it is owed, at the house's cost. Shows what changes, and asks.

    A fiat balance never goes below zero. Sats that it is owed more are paid like any others; what it was paid
    too much is kept as a credit, which what it is owed next uses up.
    """
    from dca_daemon.services import adjustments

    wish = adjustments.Wish(client, reason, fiat=fiat, sats=sats, pool=pool, corrects=corrects)
    settings = load()
    seen = with_books(settings, lambda db: adjustments.preview(db, wish))
    if not as_json:
        say(_sentence(seen))
    confirm("Book it?", yes=yes)
    done = with_books(settings, lambda db: adjustments.apply(db, wish, actor=actor()))
    if as_json:
        data = {"adjustment": as_dict(done)}
        print_json({**data, "before": _stand(done, done.before), "after": _stand(done, done.after)})
    else:
        say(f"Adjustment {done.adjustment_id} is booked.")


def _sentence(seen: Adjustment) -> str:
    assert seen.before is not None and seen.after is not None
    if seen.pool is not None:
        before, after = seen.text(seen.before), seen.text(seen.after)
        return (
            f"{seen.amount_text} for {seen.client} in pool {seen.pool.name!r}: its balance goes from {before} to"
            f" {after}. The difference is the house's."
        )
    return f"{seen.amount_text} for {seen.client}: {_owed(seen.before)} now, {_owed(seen.after)} then."


def _owed(sats: int) -> str:
    return f"owed {sats_text(sats)}" if sats >= 0 else f"{sats_text(-sats)} paid ahead, used up by what comes next"


def list_adjustments(client: ClientRef, limit: Limit = 50, as_json: AsJson = False) -> None:
    """List a client's adjustments, the newest first."""
    from dca_daemon.services import adjustments

    found = with_books(load(), lambda db: adjustments.list_all(db, client, limit=limit))
    if as_json:
        print_json({"adjustments": [as_dict(one) for one in found]})
        return
    print_table(
        ("id", "when", ">amount", "pool", "by", "corrects", "~reason"),
        (
            (a.adjustment_id, when(a.at), a.amount_text, a.pool and a.pool.name, a.actor, a.corrects, a.reason)
            for a in found
        ),
        empty="There are none.",
    )
