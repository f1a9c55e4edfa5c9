"""`dca-daemon audit`: who changed what, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import load, with_books
from dca_daemon.cli.output import AsJson, Limit, iso, print_json, print_table, when
from dca_daemon.domain.moments import parse_time
from dca_daemon.domain.wording import detail_text

if TYPE_CHECKING:
    from dca_daemon.services.audit import AuditEntry


def register(app: typer.Typer) -> None:
    """Adds the command to the program."""
    app.command("audit")(audit)


def as_dict(entry: AuditEntry) -> dict[str, Any]:
    """A change for scripts."""
    return {
        "id": entry.audit_id,
        "at": iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "before": entry.before,
        "after": entry.after,
        "reason": entry.reason,
    }


def show_entries(entries: Sequence[AuditEntry], *, as_json: bool) -> None:
    """Changes, for people or for scripts."""
    if as_json:
        print_json({"changes": [as_dict(entry) for entry in entries]})
        return
    print_table(
        ("when", "who", "action", "what", "~before", "~after", "~reason"),
        ((when(e.at), e.actor, e.action, e.subject, _text(e.before), _text(e.after), e.reason) for e in entries),
        empty="Nothing was changed by hand.",
    )


def _text(values: Mapping[str, Any] | None) -> str | None:
    return None if values is None else detail_text(values)


def audit(
    subject: Annotated[
        str | None, typer.Option("--subject", metavar="KIND:ID", help="Only of this, such as client:3.")
    ] = None,
    who: Annotated[
        str | None, typer.Option("--actor", metavar="WHO", help="Only by this one, such as os:ana.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="ACTION", help="Only these, such as client or client.add.")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Only from this time on, with its zone.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List the changes that people made, the newest first: who, what, before, after, why."""
    from dca_daemon.services.audit import list_all

    moment = None if since is None else parse_time(since)
    show_entries(
        with_books(
            load(),
            lambda db: list_all(db, subject=subject, actor=who, action=action, since=moment, limit=limit),
        ),
        as_json=as_json,
    )
