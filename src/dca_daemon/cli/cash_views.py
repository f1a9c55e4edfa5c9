"""Movements of notes, shown before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.context import confirm, load, with_books
from dca_daemon.cli.output import print_json, print_pairs, print_table, say
from dca_daemon.domain.money import fiat_text
from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.cash import Movement
    from dca_daemon.services.cash_report import MachineCash, PoolCash

_DID = {"refill": "Put in", "removal": "Taken out", "give-back": "Given back"}


def carry_out(work: Callable[[Database, bool], Awaitable[Movement]], *, yes: bool, as_json: bool) -> None:
    """Rehearses a movement, shows it, asks, and books it. `work` takes whether it is the rehearsal."""
    settings = load()
    rehearsed = with_books(settings, lambda db: work(db, True))
    if not as_json:
        _show(rehearsed)
    amount = fiat_text(rehearsed.amount_minor, rehearsed.pool.currency)
    confirm(f"{_DID[rehearsed.kind]}: {amount}. Book it?", yes=yes)
    done = with_books(settings, lambda db: work(db, False))
    if as_json:
        print_json(_movement_dict(done))
    else:
        say(f"{_DID[done.kind]}: {amount}, booked.")


def _movement_dict(m: Movement) -> dict[str, Any]:
    def fiat(minor: int | None) -> str | None:
        return None if minor is None else fiat_json(minor, m.pool.currency)

    return {
        "kind": m.kind,
        "pool_id": m.pool.pool_id,
        "pool": m.pool.name,
        "device_id": m.device_id,
        "client_id": m.client_id,
        "client": m.client,
        "amount": fiat(m.amount_minor),
        "currency": m.pool.currency,
        "reason": m.reason,
        "cash_before": fiat(m.cash_before_minor),
        "cash_after": fiat(m.cash_after_minor),
        "house_before": fiat(m.house_before_minor),
        "house_after": fiat(m.house_after_minor),
        "balance_before": fiat(m.client_before_minor),
        "balance_after": fiat(m.client_after_minor),
    }


def _show(m: Movement) -> None:
    def change(before: int, after: int) -> str:
        return f"{fiat_text(before, m.pool.currency)} → {fiat_text(after, m.pool.currency)}"

    pairs: list[tuple[str, object]] = [
        ("Pool", f"{m.pool.pool_id} {m.pool.name!r}"),
        ("Machine", m.device_id or "not told"),
        ("Cash in the machines", change(m.cash_before_minor, m.cash_after_minor)),
        ("The house's part", change(m.house_before_minor, m.house_after_minor)),
    ]
    if m.client_before_minor is not None and m.client_after_minor is not None:
        pairs.append((f"Balance of {m.client}", change(m.client_before_minor, m.client_after_minor)))
    print_pairs(pairs)
    if m.house_after_minor < min(0, m.house_before_minor):
        say("The house's part goes below zero: these notes are the clients'.")


def pool_dict(found: PoolCash) -> dict[str, Any]:
    """A pool with its cash, for scripts."""
    code = found.pool.currency
    return {
        "id": found.pool.pool_id,
        "name": found.pool.name,
        "currency": code,
        "cash": fiat_json(found.cash_minor, code),
        "clients_part": fiat_json(found.clients_minor, code),
        "house_part": fiat_json(found.house_minor, code),
        "machines": [_machine_dict(machine, code) for machine in found.machines],
    }


def _machine_dict(m: MachineCash, code: str) -> dict[str, Any]:
    return {
        "device_id": m.device_id,
        "name": m.name,
        "here": m.here,
        "deposits": fiat_json(m.deposits_minor, code),
        "refills": fiat_json(m.refills_minor, code),
        "removals": fiat_json(m.removals_minor, code),
        "dispensed": fiat_json(m.dispensed_minor, code),
        "given_back": fiat_json(m.given_back_minor, code),
        "cash": fiat_json(m.cash_minor, code),
    }


def show_pool(found: PoolCash) -> None:
    """A pool with its cash by machine, for people."""
    code = found.pool.currency

    def fiat(minor: int) -> str:
        return fiat_text(minor, code)

    print_table(
        ("machine", ">deposits", ">refills", ">removals", ">dispensed", ">given back", ">should be in it"),
        [
            *(
                (
                    _machine_name(m),
                    fiat(m.deposits_minor),
                    fiat(m.refills_minor),
                    fiat(m.removals_minor),
                    fiat(m.dispensed_minor),
                    fiat(m.given_back_minor),
                    fiat(m.cash_minor),
                )
                for m in found.machines
            ),
            ("in all", None, None, None, None, None, fiat(found.cash_minor)),
        ],
        title=f"Pool {found.pool.pool_id} {found.pool.name!r}, in {code}",
        empty="",
    )
    say(f"Of it the clients' part is {fiat(found.clients_minor)}, the house's {fiat(found.house_minor)}.")


def _machine_name(m: MachineCash) -> str:
    if m.device_id is None:
        return "not told which machine"
    name = m.name or m.device_id
    return name if m.here else f"{name} (moved away)"
