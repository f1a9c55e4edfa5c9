"""`dca-daemon token`: programs that may use the API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, Limit, iso, note, print_json, print_table, say, when
from dca_daemon.domain.rights import Scope

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.api_tokens import TokenView

app = typer.Typer(name="token", no_args_is_help=True, help="Tokens: programs that may use the API.")


def as_dict(t: TokenView) -> dict[str, Any]:
    """A token for scripts."""
    return {
        "id": t.token_id,
        "name": t.name,
        "hint": t.hint,
        "scopes": [scope.value for scope in t.scopes],
        "client_id": t.client_id,
        "created_by": t.created_by,
        "created_at": iso(t.created_at),
        "expires_at": iso(t.expires_at),
        "last_used_at": iso(t.last_used_at),
        "revoked_at": iso(t.revoked_at),
    }


@app.command()
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name of its own among the tokens in force.")],
    scopes: Annotated[
        list[Scope],
        typer.Argument(
            metavar="SCOPE…",
            help="read, clients:write, deposits:write, cash-outs:write, payouts:write, fixed:write, "
            "commission:write, machines:write, books:write, admin:write; or client with --client.",
        ),
    ],
    days: Annotated[
        int | None,
        typer.Option("--days", metavar="N", min=1, max=3650, help="How long it lasts; without it: until revoked."),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option("--client", metavar="CLIENT", help="Whose own token it is: it sees this client only."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token for a program, and show it, this once. Every scope but client includes reading."""
    from dca_daemon.services import api_tokens, clients

    async def work(db: Database) -> tuple[TokenView, str]:
        client_id = None if client is None else (await clients.show(db, client)).client_id
        return await api_tokens.add(db, name=name, scopes=scopes, days=days, client_id=client_id, actor=actor())

    view, token = with_books(load(), work)
    if as_json:
        print_json({"token": as_dict(view), "secret": token})
        return
    say(f"Token {view.token_id} {view.name!r} may {', '.join(scope.value for scope in view.scopes)}.")
    say(f"It is shown this once: {token}")
    note("Programs send it as: Authorization: Bearer TOKEN")


@app.command("list")
def list_tokens(
    everything: Annotated[bool, typer.Option("--all", help="Those that are revoked too.")] = False,
    limit: Limit = 100,
    as_json: AsJson = False,
) -> None:
    """List the tokens, the newest first."""
    from dca_daemon.services import api_tokens

    found = with_books(load(), lambda db: api_tokens.list_all(db, revoked=everything, limit=limit))
    if as_json:
        print_json({"tokens": [as_dict(t) for t in found]})
        return
    print_table(
        ("id", "name", "begins with", "~scopes", ">client", "last used", "expires", "revoked"),
        (
            (
                t.token_id,
                t.name,
                t.hint,
                ", ".join(scope.value for scope in t.scopes),
                t.client_id,
                when(t.last_used_at),
                when(t.expires_at),
                when(t.revoked_at),
            )
            for t in found
        ),
        empty="There is no token.",
    )


@app.command()
def revoke(
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="By id or name.")], as_json: AsJson = False
) -> None:
    """End a token for good, at once."""
    from dca_daemon.services import api_tokens

    view = with_books(load(), lambda db: api_tokens.revoke(db, token, actor=actor()))
    if as_json:
        print_json({"token": as_dict(view)})
    else:
        say(f"Token {view.token_id} {view.name!r} is revoked: it opens nothing any more.")
