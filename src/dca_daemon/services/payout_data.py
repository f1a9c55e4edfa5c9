"""A payout for programs: what the command line's JSON and the API have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.services.payouts import PayoutView


def payout_dict(p: PayoutView) -> dict[str, Any]:
    """A payout for scripts."""
    return {
        "id": p.payout_id,
        "client_id": p.client_id,
        "client": p.client,
        "destination": p.destination,
        "amount_sats": p.amount_sats,
        "credit_sats": p.credit_sats,
        "fee_msat": p.fee_msat,
        "state": p.state,
        "held_from": p.held_from,
        "reason": p.reason,
        "memo": p.memo,
        "payment_hash": p.payment_hash,
        "bolt11": p.bolt11,
        "invoice_expires_at": p.invoice_expires_at,
        "submits": p.submits,
        "failures": p.failures,
        "last_submit_at": p.last_submit_at,
        "next_attempt_at": p.next_attempt_at,
        "created_at": p.created_at,
        "adopted_at": p.adopted_at,
        "settled_at": p.settled_at,
        "records": p.records,
    }


def record_dict(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record that it pays, for scripts."""
    return {
        "id": record["record_id"],
        "type": record["type"],
        "cash_out_id": record["cash_out_id"],
        "happened_at": record["happened_at"],
        "sats": record["sats"],
        "fiat": fiat_json(record["fiat_minor"], record["currency"]),
        "currency": record["currency"],
        "state": record["state"],
        "active": record["active"],
    }


def what_to_do(view: PayoutView) -> str | None:
    """What a person does about a held payout, before anything is paid twice; None for any other."""
    if view.state != "held":
        return None
    if view.adopted_at is not None:
        return (
            "A payment that the books had forgotten. Ask the client whether it arrived (LNbits shows it by its "
            "hash), then resolve it as settled or void."
        )
    if not view.submits:
        return (
            "Its invoice was never submitted, so nothing has left. Put right what the reason says, such as the "
            "client's destination, then release it: it ends as void, and its records are owed again."
        )
    return (
        "It may have been paid. Find the payment by its hash in LNbits first. Releasing it looks it up again, and "
        "never pays anew; resolve it only where LNbits can't prove what came of it."
    )
