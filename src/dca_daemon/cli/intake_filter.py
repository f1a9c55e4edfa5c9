"""`dca-daemon filter`: coins, machines and pools that are left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from dca_daemon.cli.context import actor, load, with_books
from dca_daemon.cli.output import AsJson, iso, print_json, print_table, say, when

if TYPE_CHECKING:
    from dca_daemon.services.filters import FilterView

app = typer.Typer(
    name="filter", no_args_is_help=True, help="Filters: coins, machines and pools whose cash-outs are left out."
)

Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


def as_dict(f: FilterView) -> dict[str, Any]:
    """A filter for scripts."""
    return {
        "id": f.filter_id,
        "kind": f.kind,
        "value": f.value,
        "name": f.name,
        "reason": f.reason,
        "created_at": iso(f.created_at),
        "created_by": f.created_by,
        "removed_at": iso(f.removed_at),
        "removed_by": f.removed_by,
        "left_out": f.left_out,
    }


@app.command("list")
def list_filters(
    everything: Annotated[bool, typer.Option("--all", help="Those that were removed too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the filters in force, and how many cash-outs each has left out."""
    from dca_daemon.services import filters

    found = with_books(load(), lambda db: filters.list_all(db, removed=everything))
    if as_json:
        print_json({"filters": [as_dict(f) for f in found]})
        return
    print_table(
        ("id", "leaves out", "which", ">left out", "since", "by", "removed", "~why"),
        (
            (
                f.filter_id,
                f.kind,
                f.name,
                f.left_out,
                when(f.created_at),
                f.created_by,
                when(f.removed_at),
                f.reason,
            )
            for f in found
        ),
        empty="Nothing is left out.",
    )


@app.command()
def add(
    kind: Annotated[
        Literal["coin", "machine", "pool"], typer.Argument(metavar="KIND", help="coin, machine or pool.")
    ],
    value: Annotated[
        str, typer.Argument(metavar="WHICH", help="BTC or LN; a machine's name or device id; a pool's id or name.")
    ],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Leave out a coin, a machine or a pool from now on: its cash-outs are recorded as ignored."""
    from dca_daemon.services import filters

    found = with_books(
        load(), lambda db: filters.add(db, filters.FilterKind(kind), value, reason=reason, actor=actor())
    )
    if as_json:
        print_json({"filter": as_dict(found)})
    else:
        say(f"Filter {found.filter_id} leaves out the {found.kind} {found.name} from now on.")


@app.command()
def remove(
    filter_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1, help="The filter's number.")],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let in again what comes from now on. What was left out stays so: see `cash-out process`."""
    from dca_daemon.services import filters

    found = with_books(load(), lambda db: filters.remove(db, filter_id, reason=reason, actor=actor()))
    if as_json:
        print_json({"filter": as_dict(found)})
        return
    say(f"Filter {found.filter_id} is removed: the {found.kind} {found.name} is let in from now on.")
    if found.left_out:
        say(f"It has left out {found.left_out}; to distribute them: dca-daemon cash-out process --filtered")
