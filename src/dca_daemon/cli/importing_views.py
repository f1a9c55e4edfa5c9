"""How an import looks: each client's figures there and here, the sums, and what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import print_table, say
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import fiat_json, price_json, price_text

if TYPE_CHECKING:
    from dca_daemon.services.importing.apply import Imported
    from dca_daemon.services.importing.receivers import Receiver
    from dca_daemon.services.importing.satmachine import Plan, Theirs


_PLAN_COLUMNS = (
    *("their client", "mode", "status", ">a day", ">deposited", ">converted", ">sats", ">average price"),
    *(">left = our deposit", ">pending", "~paid to"),
)


def _sums_dict(plan: Plan) -> dict[str, Any]:
    sums = plan.sums()
    return {
        "clients": sums["clients"],
        "deposited": fiat_json(sums["deposited_minor"], plan.currency),
        "converted": fiat_json(sums["converted_minor"], plan.currency),
        "left": fiat_json(sums["left_minor"], plan.currency),
        "pending": fiat_json(sums["pending_minor"], plan.currency),
        "received_sats": sums["received_sats"],
    }


def _where(receiver: Receiver | None) -> str | None:
    if receiver is None:
        return None
    to = receiver.destination
    return to.address or f"LNbits wallet {receiver.info.name!r}"


def plan_dict(plan: Plan, chosen: Mapping[str, Receiver]) -> dict[str, Any]:
    """What would be imported, for scripts."""
    return {
        "applied": False,
        "currency": plan.currency,
        "clients": [
            _client_dict(client, plan.currency, chosen.get(client.external_id)) for client in plan.clients
        ],
        "sums": _sums_dict(plan),
        "problems": list(plan.problems),
        "notes": list(plan.notes),
    }


def _client_dict(client: Theirs, currency: str, receiver: Receiver | None) -> dict[str, Any]:
    return {
        "external_id": client.external_id,
        "client": client.name,
        "mode": client.mode,
        "status": client.status,
        "daily": None if client.daily_minor is None else fiat_json(client.daily_minor, currency),
        "deposited": fiat_json(client.deposited_minor, currency),
        "converted": fiat_json(client.converted_minor, currency),
        "left": fiat_json(client.left_minor, currency),
        "pending": fiat_json(client.pending_minor, currency),
        "received_sats": client.received_sats,
        "average_fiat_per_btc": price_json(client.received_sats, client.converted_minor, currency),
        "destination": _where(receiver),
    }


def show_plan(plan: Plan, chosen: Mapping[str, Receiver]) -> None:
    """For people. The price is there so that a wrong --amounts is seen: it would be a hundred times off."""

    def fiat(minor: int) -> str:
        return fiat_text(minor, plan.currency)

    sums = plan.sums()
    print_table(
        _PLAN_COLUMNS,
        [
            *(
                (
                    c.name,
                    c.mode,
                    c.status,
                    None if c.daily_minor is None else fiat(c.daily_minor),
                    fiat(c.deposited_minor),
                    fiat(c.converted_minor),
                    sats_text(c.received_sats),
                    price_text(c.received_sats, c.converted_minor, plan.currency),
                    fiat(c.left_minor),
                    fiat(c.pending_minor),
                    _where(chosen.get(c.external_id)),
                )
                for c in plan.clients
            ),
            (
                f"all {sums['clients']}",
                *(None,) * 3,
                fiat(sums["deposited_minor"]),
                fiat(sums["converted_minor"]),
                sats_text(sums["received_sats"]),
                price_text(sums["received_sats"], sums["converted_minor"], plan.currency),
                fiat(sums["left_minor"]),
                fiat(sums["pending_minor"]),
                None,
            ),
        ],
        empty="",
    )
    for note in plan.notes:
        say(f"note: {note}")
    for problem in plan.problems:
        say(f"problem: {problem}")


def done_dict(import_id: int, plan: Plan, done: Sequence[Imported]) -> dict[str, Any]:
    """What was imported, for scripts: as it stands in our books."""
    return {
        "applied": True,
        "import_id": import_id,
        "currency": plan.currency,
        "clients": [
            {
                "external_id": d.external_id,
                "client_id": d.client_id,
                "client": d.client,
                "deposited": fiat_json(d.deposited_minor, plan.currency),
                "converted": fiat_json(d.converted_minor, plan.currency),
                "left": fiat_json(d.left_minor, plan.currency),
                "pending": fiat_json(d.pending_minor, plan.currency),
                "received_sats": d.received_sats,
            }
            for d in done
        ],
        "sums": _sums_dict(plan),
        "problems": [],
        "notes": list(plan.notes),
    }


def show_done(import_id: int, plan: Plan, done: Sequence[Imported]) -> None:
    """For people: before and after, as it stands in our books."""
    theirs = {client.external_id: client for client in plan.clients}
    print_table(
        ("id", "client", ">left there", ">balance here", ">pending there", ">pending here", ">sats"),
        (
            (
                d.client_id,
                d.client,
                fiat_text(theirs[d.external_id].left_minor, plan.currency),
                fiat_text(d.left_minor, plan.currency),
                fiat_text(theirs[d.external_id].pending_minor, plan.currency),
                fiat_text(d.pending_minor, plan.currency),
                sats_text(d.received_sats),
            )
            for d in done
        ),
        empty="",
    )
    before, after = plan.sums()["left_minor"], sum(d.left_minor for d in done)
    say(f"Import {import_id}: {fiat_text(before, plan.currency)} there, {fiat_text(after, plan.currency)} here.")
