"""A distribution for programs: what the command line's JSON and the API have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.services.distribution_views import DistributionView


def distribution_dict(view: DistributionView) -> dict[str, Any]:
    """A distribution for scripts."""
    return {
        "id": view.distribution_id,
        "kind": view.kind,
        "cash_out_id": view.cash_out_id,
        "external_id": view.external_id,
        "pool_id": view.pool_id,
        "currency": view.currency,
        "total_sats": view.total_sats,
        "house_sats": view.house_sats,
        "fiat": fiat_json(view.fiat_minor, view.currency),
        "charge_fiat": fiat_json(view.charge_minor, view.currency),
        "happened_at": view.happened_at,
        "booked_at": view.booked_at,
        "entry_id": view.entry_id,
        "reason": view.reason,
        "reversed_at": view.reversed_at,
        "reversal_entry_id": view.reversal_entry_id,
        "records": [
            {
                "id": r.record_id,
                "client_id": r.client_id,
                "client": r.client,
                "type": r.type,
                "sats": r.sats,
                "fiat": fiat_json(r.fiat_minor, view.currency),
                "state": r.state,
                "payout_id": r.payout_id,
                "payout_state": r.payout_state,
            }
            for r in view.records
        ],
    }
