"""`dca-daemon client access` and its kin: who sees a client's own account, and what it may change there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, iso, note, print_json, print_pairs, say, when

if TYPE_CHECKING:
    from dca_daemon.services.client_access import AccessView

ClientRef = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


def as_dict(view: AccessView) -> dict[str, Any]:
    """A client's access for scripts."""
    return {
        "client_id": view.client_id,
        "client": view.client,
        "link": None
        if view.link is None
        else {
            "created_by": view.link.created_by,
            "created_at": iso(view.link.created_at),
            "last_used_at": iso(view.link.last_used_at),
        },
        "may_switch_mode": view.permissions.may_switch_mode,
        "may_change_amount": view.permissions.may_change_amount,
    }


def _show(view: AccessView, *, as_json: bool) -> None:
    if as_json:
        print_json({"access": as_dict(view)})
        return
    made = view.link
    print_pairs(
        [
            ("Client", f"{view.client_id} {view.client!r}"),
            ("Personal link", "none" if made is None else f"made {when(made.created_at)} by {made.created_by}"),
            *([] if made is None else [("Last used", when(made.last_used_at))]),
            ("May switch its mode", "yes" if view.permissions.may_switch_mode else "no"),
            ("May change its amount", "yes" if view.permissions.may_change_amount else "no"),
        ]
    )


def make_link(client: ClientRef, as_json: AsJson = False) -> None:
    """Make a client's personal link, and show it, this once. Whoever has it sees the client's account.

    A link that was made before opens nothing any more.
    """
    from dca_daemon.services import client_access
    from dca_daemon.web.personal import PERSONAL

    settings = load()
    view, token = with_books(settings, lambda db: client_access.make_link(db, client, actor=actor()))
    url = f"{settings.console.address}{PERSONAL}{token}"
    if as_json:
        print_json({"url": url, "access": as_dict(view)})
        return
    say(url)
    note(f"It shows the account of {view.client} to whoever has it, until it is revoked or made anew.")


def revoke_link(client: ClientRef, reason: Reason = None, as_json: AsJson = False) -> None:
    """End a client's personal link for good, at once."""
    from dca_daemon.services import client_access

    view = with_books(load(), lambda db: client_access.revoke_link(db, client, actor=actor(), reason=reason))
    if as_json:
        print_json({"access": as_dict(view)})
    else:
        say(f"The personal link of {view.client} is revoked: it opens nothing any more.")


def access(client: ClientRef, as_json: AsJson = False) -> None:
    """Show whether a client has a personal link, and what it may change by itself."""
    from dca_daemon.services import client_access

    _show(with_books(load(), lambda db: client_access.show(db, client)), as_json=as_json)


def allow(
    client: ClientRef,
    mode: Annotated[
        bool | None, typer.Option("--mode/--no-mode", help="Whether it may switch between flow and fixed.")
    ] = None,
    amount: Annotated[
        bool | None,
        typer.Option("--amount/--no-amount", help="Whether it may change its amount a day, up to its maximum."),
    ] = None,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Set what a client may change by itself, by its page or with its own token. What is not given stays."""
    from dca_daemon.services import client_access

    view = with_books(
        load(),
        lambda db: client_access.allow(
            db, client, switch_mode=mode, change_amount=amount, actor=actor(), reason=reason
        ),
    )
    _show(view, as_json=as_json)


def register(group: typer.Typer) -> None:
    """Adds these commands to the group `client`."""
    group.command()(access)
    group.command("make-link")(make_link)
    group.command("revoke-link")(revoke_link)
    group.command()(allow)
