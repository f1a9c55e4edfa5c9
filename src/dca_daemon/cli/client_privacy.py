"""`dca-daemon client erase` and its kin: a client's personal data, for itself and for another installation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import AsJson, Yes, print_json, print_pairs, say

if TYPE_CHECKING:
    from dca_daemon.services.erasing import Erasure

ClientRef = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")]


def _erasure_dict(done: Erasure) -> dict[str, Any]:
    return {
        "client_id": done.client_id,
        "name": done.name,
        "name_after": done.name_after,
        "destinations": done.destinations,
        "personal_links": done.personal_links,
        "tokens": done.tokens,
        "texts": [{"table": table, "rows": rows} for table, rows in done.texts.items()],
    }


def _show_erasure(done: Erasure) -> None:
    print_pairs(
        [
            ("Client", f"{done.client_id} {done.name!r}, called {done.name_after!r} from then on"),
            ("Destinations", f"{done.destinations}, with their addresses and keys"),
            ("Personal links", done.personal_links),
            ("Tokens", done.tokens),
            ("Texts", ", ".join(f"{table} {rows}" for table, rows in done.texts.items()) or "none"),
        ]
    )


def erase(
    client: ClientRef,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="TEXT", help="Why, without naming the client; kept in the audit log."),
    ],
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="WORD", help="A further word that goes from all texts, such as a phone number."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a client's personal data for good: its name, where it was paid, its access, its notes.

    The books stay whole: amounts, times and numbers remain, of `client-N (erased)`. Refused while the client has
    anything in or coming. Shows first what would go, and asks. Backups keep the data until they are rotated out.
    """
    from dca_daemon.services import erasing

    settings = load()
    words = also or []
    seen = with_books(
        settings,
        lambda db: erasing.erase(db, client, reason=reason, words=words, actor=actor(), rehearse=True),
    )
    if not yes and not as_json:
        _show_erasure(seen)
    confirm(f"Erase the personal data of {seen.name!r} for good? Nothing brings them back.", yes=yes)
    done = with_books(
        settings,
        lambda db: erasing.erase(db, str(seen.client_id), reason=reason, words=words, actor=actor()),
    )
    if as_json:
        print_json({"erasure": _erasure_dict(done)})
        return
    _show_erasure(done)
    say("Erased. Older backups, journald and LNbits still have what they have: see docs/privacy.md.")


def register(group: typer.Typer) -> None:
    """Adds these commands to the group `client`."""
    group.command()(erase)
