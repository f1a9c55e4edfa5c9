"""`dca-daemon machine`: the machines, and the pool that each is in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import AsJson, Yes, iso, print_json, print_pairs, print_table, say, when
from dca_daemon.domain.money import sats_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.machines import MachineView, Moved

app = typer.Typer(name="machine", no_args_is_help=True, help="Machines, and the pool that each is in.")

MachineRef = Annotated[
    str, typer.Argument(metavar="MACHINE", help="Its name, or its device id or the beginning of it.")
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept in the audit log.")]


def as_dict(m: MachineView) -> dict[str, Any]:
    """A machine for scripts."""
    return {
        "device_id": m.device_id,
        "name": m.name,
        "version": m.version,
        "pool_id": m.pool_id,
        "pool": m.pool,
        "currency": m.currency,
        "awaiting_pool": m.awaiting_pool,
        "first_seen_at": iso(m.first_seen_at),
        "cash_outs": m.cash_outs,
        "waiting": m.waiting,
    }


@app.command("list")
def list_machines(as_json: AsJson = False) -> None:
    """List the machines that have been seen."""
    from dca_daemon.services import machines

    found = with_books(load(), machines.list_all)
    if as_json:
        print_json({"machines": [as_dict(m) for m in found]})
        return
    print_table(
        ("name", "pool", ">cash-outs", ">waiting", "first seen", "version", "device id"),
        (
            (m.name, _pool(m), m.cash_outs, m.waiting or None, when(m.first_seen_at), m.version, m.device_id)
            for m in found
        ),
        empty="No machine has been seen yet.",
    )


def _pool(m: MachineView) -> str:
    return "to be decided" if m.awaiting_pool else m.pool


@app.command()
def show(machine: MachineRef, as_json: AsJson = False) -> None:
    """Show one machine."""
    from dca_daemon.services import machines

    found = with_books(load(), lambda db: machines.show(db, machine))
    if as_json:
        print_json({"machine": as_dict(found)})
        return
    print_pairs(
        [
            ("Machine", found.name or "without a name"),
            ("Device id", found.device_id),
            ("Version", found.version),
            (
                "Pool",
                "to be decided" if found.awaiting_pool else f"{found.pool_id} {found.pool!r}, {found.currency}",
            ),
            ("First seen", when(found.first_seen_at)),
            ("Cash-outs distributed", found.cash_outs),
            ("Waiting for its pool", found.waiting),
        ]
    )


@app.command()
def move(
    machine: MachineRef,
    pool: Annotated[str, typer.Argument(metavar="POOL", help="The pool's id or name.")],
    reason: Reason,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a machine into another pool. What is booked stays; what comes from now on is shared there. Asks.

    Cash-outs that waited for this decision are distributed at once. Notes that the machine takes along are booked
    by `cash remove` before, and `cash refill` after.
    """
    _decide(machine, pool, reason, yes=yes, as_json=as_json)


@app.command()
def accept(
    machine: MachineRef, reason: Reason = "right where it is", yes: Yes = False, as_json: AsJson = False
) -> None:
    """Leave a new machine in the pool that it is in; its cash-outs that waited are distributed at once. Asks."""
    _decide(machine, None, reason, yes=yes, as_json=as_json)


def _decide(machine: str, pool: str | None, reason: str, *, yes: bool, as_json: bool) -> None:
    from dca_daemon.runtime.wiring import intake_config
    from dca_daemon.services import machines
    from dca_daemon.services.intake import Intake

    settings = load()
    config = intake_config(settings)

    async def work(db: Database, rehearse: bool) -> Moved:
        return await machines.move(
            db, Intake(db, config), machine, pool, reason=reason, actor=actor(), rehearse=rehearse
        )

    rehearsed = with_books(settings, lambda db: work(db, True))
    if not as_json:
        _show_moved(rehearsed)
    confirm(
        f"Machine {rehearsed.machine.name or rehearsed.machine.device_id} into {rehearsed.machine.pool!r}?",
        yes=yes,
    )
    moved = with_books(settings, lambda db: work(db, False))
    if as_json:
        print_json(
            {
                "machine": as_dict(moved.machine),
                "pool_before": moved.pool_before,
                "distributed": moved.distributed,
                "distributed_sats": moved.distributed_sats,
                "not_distributed": moved.not_distributed,
            }
        )
    else:
        say("Done.")


def _show_moved(moved: Moved) -> None:
    m = moved.machine
    where = f"stays in {m.pool!r}" if m.pool == moved.pool_before else f"from {moved.pool_before!r} to {m.pool!r}"
    say(f"Machine {m.name or m.device_id}: {where}, in {m.currency}.")
    if moved.distributed or moved.not_distributed:
        say(
            f"Cash-outs that waited for it: {moved.distributed} are distributed there, "
            f"{sats_text(moved.distributed_sats)}; {moved.not_distributed} are not (filters, or review)."
        )


@app.command()
def name(
    machine: MachineRef,
    to: Annotated[str, typer.Argument(metavar="NAME", help="What it is called from now on.")],
    as_json: AsJson = False,
) -> None:
    """Name a machine, where Lamassu's own names can't be read. Otherwise Lamassu's comes back."""
    from dca_daemon.services import machines

    found = with_books(load(), lambda db: machines.name(db, machine, to, actor=actor()))
    if as_json:
        print_json({"machine": as_dict(found)})
    else:
        say(f"The machine {found.device_id} is called {found.name!r}.")
