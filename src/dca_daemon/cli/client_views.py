"""How a client is shown: to people, and to scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import iso, print_pairs, print_table, when
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import fiat_json, price_json, price_text

if TYPE_CHECKING:
    from dca_daemon.payouts.wallet import DestinationInfo
    from dca_daemon.services.clients import ClientView


def as_dict(view: ClientView) -> dict[str, Any]:
    """A client for scripts. The invoice key is never part of it."""
    return {
        "id": view.client_id,
        "name": view.name,
        "mode": view.mode,
        "status": view.status,
        "destination_kind": view.destination_kind,
        "destination": view.destination,
        "created_at": iso(view.created_at),
        "erased_at": iso(view.erased_at),
        "balances": [
            {
                "pool_id": b.pool_id,
                "pool": b.pool,
                "currency": b.currency,
                "balance": fiat_json(b.balance_minor, b.currency),
                "pending": fiat_json(b.pending_minor, b.currency),
                "deposited": fiat_json(b.deposited_minor, b.currency),
            }
            for b in view.balances
        ],
        "owed_sats": view.owed_sats,
        "in_payout_sats": view.in_payout_sats,
        "settled_sats": view.settled_sats,
        "credit_sats": view.credit_sats,
        "records": view.records,
    }


def show_whole(view: ClientView) -> None:
    """One client for people."""
    print_pairs(
        [
            ("Client", f"{view.client_id} {view.name!r}"),
            ("Mode", f"{view.mode}, {view.status}"),
            ("Paid to", f"{view.destination} ({view.destination_kind})"),
            ("Since", when(view.created_at)),
            *([] if view.erased_at is None else [("Erased", when(view.erased_at))]),
            ("Owed", sats_text(view.owed_sats)),
            ("On its way", sats_text(view.in_payout_sats)),
            ("Received", sats_text(view.settled_sats)),
            *([("Paid ahead", f"{sats_text(view.credit_sats)}, used up first")] if view.credit_sats else []),
        ]
    )
    for b in view.balances:
        balance, pending, deposited = (
            fiat_text(minor, b.currency) for minor in (b.balance_minor, b.pending_minor, b.deposited_minor)
        )
        print_pairs([("Balance", f"{balance} in pool {b.pool!r}; deposited {deposited}, pending {pending}")])


def history_dict(record: Mapping[str, Any]) -> dict[str, Any]:
    """A distribution record for scripts."""
    currency = record["currency"]
    return {
        "id": record["record_id"],
        "type": record["type"],
        "cash_out_id": record["cash_out_id"],
        "happened_at": iso(record["happened_at"]),
        "booked_at": iso(record["booked_at"]),
        "sats": record["sats"],
        "fiat": fiat_json(record["fiat_minor"], currency),
        "currency": currency,
        "fiat_per_btc": price_json(record["sats"], record["fiat_minor"], currency),
        "state": record["state"],
        "payout_id": record["payout_id"],
    }


def show_history(records: Sequence[Mapping[str, Any]]) -> None:
    """Distribution records for people."""
    print_table(
        ("record", "type", "cash-out", "when", ">sats", ">fiat", ">price per BTC", "state", "#payout"),
        (
            (
                r["record_id"],
                r["type"],
                r["cash_out_id"],
                when(r["happened_at"]),
                sats_text(r["sats"]),
                fiat_text(r["fiat_minor"], r["currency"]),
                price_text(r["sats"], r["fiat_minor"], r["currency"]),
                r["state"],
                r["payout_id"],
            )
            for r in records
        ),
        title="Newest distribution records",
        empty="None yet.",
    )


def info_dict(info: DestinationInfo) -> dict[str, Any]:
    """What a destination answered, for scripts."""
    return {"name": info.name, "min_sats": info.min_sats, "max_sats": info.max_sats}


def answered(info: DestinationInfo) -> str:
    """What a destination answered, for people."""
    most = "" if info.max_sats is None else f" to {sats_text(info.max_sats)}"
    return f"The destination answered as {info.name!r}; it takes from {sats_text(info.min_sats)}{most} at once."
