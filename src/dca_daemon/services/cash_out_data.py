"""A cash-out for programs: what the command line's JSON and the API have in common.

Sats are integers, fiat a decimal string; the source's own amounts are as they came, whatever a bad row has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dca_daemon.domain.commission import percent_decimal
from dca_daemon.domain.wording import fiat_json, price_json, source_fiat_json, source_sats_json
from dca_daemon.services.cash_out_explanation import explain

if TYPE_CHECKING:
    from dca_daemon.services.cash_outs import CashOutSummary, CashOutView, CommissionView, ShareView, SplitView


def summary_dict(summary: CashOutSummary) -> dict[str, Any]:
    """A line of the list, for scripts."""
    return {
        "id": summary.cash_out_id,
        "source": summary.source,
        "external_id": summary.external_id,
        "happened_at": summary.happened_at,
        "device_id": summary.device_id,
        "machine_name": summary.machine_name,
        "crypto_code": summary.crypto_code,
        "sats": source_sats_json(summary.crypto_atoms),
        "fiat": source_fiat_json(summary.fiat, summary.fiat_code),
        "currency": summary.fiat_code,
        "state": summary.state,
        "reason": summary.reason,
        "reason_text": summary.reason_text,
        "clients": summary.clients,
        "client_sats": summary.client_sats,
        "settled_sats": summary.settled_sats,
        "settles_id": summary.settles_id,
        "settled_by_id": summary.settled_by_id,
    }


def split_dict(split: SplitView) -> dict[str, Any]:
    """A split, for scripts."""
    amounts = {
        name: fiat_json(minor, split.currency)
        for name, minor in (
            ("fiat", split.fiat_minor),
            ("charge_fiat", split.charge_minor),
            ("clients_fiat", split.clients_minor),
            ("uncovered_fiat", split.uncovered_minor),
            ("house_fiat", split.house_minor),
        )
    }
    return {
        "method": split.method,
        "charge": split.charge,
        "currency": split.currency,
        "total_sats": split.total_sats,
        "principal_sats": split.principal_sats,
        "commission_sats": split.commission_sats,
        "commission_shared_sats": split.commission_shared_sats,
        "commission_version_id": split.commission_version_id,
        "clients_sats": split.clients_sats,
        "uncovered_sats": split.uncovered_sats,
        "house_sats": split.house_sats,
        **amounts,
        "fiat_per_btc": price_json(split.principal_sats, split.charge_minor, split.currency),
    }


def share_dict(share: ShareView, currency: str) -> dict[str, Any]:
    """A client's share, for scripts."""
    return {
        "client_id": share.client_id,
        "client": share.client,
        "balance_before": fiat_json(share.weight_minor, currency),
        "sats": share.sats,
        "fiat": fiat_json(share.fiat_minor, currency),
        "fiat_per_btc": price_json(share.sats, share.fiat_minor, currency),
        "state": share.state,
        "payout_id": share.payout_id,
        "payout_state": share.payout_state,
    }


def commission_dict(part: CommissionView) -> dict[str, Any]:
    """A receiver's share of the commission, for scripts."""
    return {
        "client_id": part.client_id,
        "receiver": part.receiver,
        "percent": percent_decimal(part.basis_points),
        "sats": part.sats,
        "state": part.state,
        "payout_id": part.payout_id,
        "payout_state": part.payout_state,
    }


def whole_dict(view: CashOutView) -> dict[str, Any]:
    """All of a cash-out, for scripts."""
    row = view.source_row
    source = {key: row[key] for key in _SOURCE_COLUMNS}
    return {
        "cash_out": {
            **summary_dict(view.summary),
            "entered_by": row["entered_by"],
            "entry_reason": row["entry_reason"],
            "duplicates": row["duplicates"],
        },
        "source_row": {
            **source,
            "created_at": row["created_at"],
            "confirmed_at": row["confirmed_at"],
            "first_seen_at": row["first_seen_at"],
        },
        "split": None if view.split is None else split_dict(view.split),
        "shares": [] if view.split is None else [share_dict(s, view.split.currency) for s in view.shares],
        "commission": [commission_dict(part) for part in view.commission],
        "explanation": [] if view.split is None else explain(row, view.split, len(view.shares), view.commission),
        "log": [dict(entry) for entry in view.log],
    }


_SOURCE_COLUMNS = (
    "commission_percentage", "discount", "raw_ticker_price", "fixed_fee", "source_status", "dispense",
    "dispense_confirmed", "redeem", "error", "error_code",
)  # fmt: skip
