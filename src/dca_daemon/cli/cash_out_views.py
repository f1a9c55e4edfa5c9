"""A cash-out for people and for scripts: the list, the split, the shares, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.cash_out_explanation import explain
from dca_daemon.cli.output import (
    NOTHING,
    detail_text,
    fiat_json,
    iso,
    price_json,
    price_text,
    print_pairs,
    print_table,
    say,
    source_coins_text,
    source_fiat_json,
    source_fiat_text,
    source_sats_json,
    when,
)
from dca_daemon.domain.commission import BASIS_POINTS, percent_decimal, percent_text
from dca_daemon.domain.money import fiat_text, sats_text

if TYPE_CHECKING:
    from dca_daemon.services.cash_outs import (
        CashOutSummary,
        CashOutView,
        CommissionView,
        ShareView,
        SplitView,
    )


def summary_dict(summary: CashOutSummary) -> dict[str, Any]:
    """A line of the list, for scripts."""
    return {
        "id": summary.cash_out_id,
        "source": summary.source,
        "external_id": summary.external_id,
        "happened_at": iso(summary.happened_at),
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
            "created_at": iso(row["created_at"]),
            "confirmed_at": iso(row["confirmed_at"]),
            "first_seen_at": iso(row["first_seen_at"]),
        },
        "split": None if view.split is None else split_dict(view.split),
        "shares": [] if view.split is None else [share_dict(s, view.split.currency) for s in view.shares],
        "commission": [commission_dict(part) for part in view.commission],
        "explanation": [] if view.split is None else explain(row, view.split, len(view.shares), view.commission),
        "log": [{**entry, "at": iso(entry["at"])} for entry in view.log],
    }


_SOURCE_COLUMNS = (
    "commission_percentage", "discount", "raw_ticker_price", "fixed_fee", "source_status", "dispense",
    "dispense_confirmed", "redeem", "error", "error_code",
)  # fmt: skip


def show_whole(view: CashOutView) -> None:
    """A cash-out for people."""
    summary, row = view.summary, view.source_row
    print_pairs(
        [
            ("Cash-out", f"{summary.cash_out_id}: {summary.external_id} ({row['source']})"),
            ("State", f"{summary.state}: {summary.reason_text}"),
            ("Happened", when(summary.happened_at)),
            ("Machine", f"{summary.machine_name or 'without a name'} ({summary.device_id})"),
            ("Notes", source_fiat_text(summary.fiat, summary.fiat_code)),
            ("Coins", f"{source_coins_text(summary.crypto_atoms, summary.crypto_code)} ({summary.crypto_code})"),
            ("Created", when(row["created_at"])),
            ("First seen", when(row["first_seen_at"])),
            *_by_hand_pairs(view),
            *([("Seen again", f"{row['duplicates']} times, without effect")] if row["duplicates"] else []),
        ]
    )
    if view.split is not None:
        say()
        explanation = explain(row, view.split, len(view.shares), view.commission)
        show_split(view.split, view.shares, explanation, view.commission)
    say()
    print_table(
        ("when", "what", "~detail", "#payout"),
        (
            (when(e["at"]), e["event"], detail_text(e["detail"], summary.fiat_code), e["payout_id"])
            for e in view.log
        ),
        title="What happened",
        empty="Nothing is recorded.",
    )


def _by_hand_pairs(view: CashOutView) -> list[tuple[str, object]]:
    """Who entered it and why, and which cash-out's place it takes; or which entry has taken its own."""
    summary, row = view.summary, view.source_row
    pairs: list[tuple[str, object]] = []
    if row["entered_by"] is not None:
        pairs.append(("Entered", f"by {row['entered_by']}: {row['entry_reason']}"))
    if summary.settles_id is not None:
        pairs.append(("Settles", f"cash-out {summary.settles_id}"))
    if summary.settled_by_id is not None:
        pairs.append(("Settled by", f"cash-out {summary.settled_by_id}"))
    return pairs


def show_rehearsed(view: CashOutView, heading: str) -> None:
    """What would come of a decision, for people."""
    summary = view.summary
    say(heading)
    print_pairs(
        [
            ("Happened", when(summary.happened_at)),
            ("Machine", f"{summary.machine_name or 'without a name'} ({summary.device_id})"),
            ("Notes", source_fiat_text(summary.fiat, summary.fiat_code)),
            ("Coins", f"{source_coins_text(summary.crypto_atoms, summary.crypto_code)} ({summary.crypto_code})"),
            *_by_hand_pairs(view),
        ]
    )
    if view.split is not None:
        say()
        explanation = explain(view.source_row, view.split, len(view.shares), view.commission)
        show_split(view.split, view.shares, explanation, view.commission)
    say()


def show_decided(view: CashOutView) -> None:
    """What has come of a decision, in a line."""
    summary, split = view.summary, view.split
    if split is None:
        say(f"Cash-out {summary.cash_out_id} is {summary.state}: {summary.reason_text}.")
        return
    say(
        f"Cash-out {summary.cash_out_id} is {summary.state}: {sats_text(split.clients_sats)} to "
        f"{len(view.shares)} clients, {sats_text(split.house_sats)} to the house."
    )
    if summary.settles_id is not None:
        say(f"Cash-out {summary.settles_id} is settled by it, and can't be distributed any more.")


def show_split(
    split: SplitView,
    shares: Sequence[ShareView],
    explanation: Sequence[str],
    commission: Sequence[CommissionView],
) -> None:
    """Split and shares for people."""
    say("Split")
    for line in explanation:
        say(f"  {line}")
    say()
    # Where the balances do not cover the charge, the house is one more participant.
    weights = sum(share.weight_minor for share in shares) + split.uncovered_minor
    rows: list[tuple[str | None, ...]] = [
        (
            f"{s.client_id} {s.client}",
            fiat_text(s.weight_minor, split.currency),
            _part(s.weight_minor, weights),
            sats_text(s.sats),
            fiat_text(s.fiat_minor, split.currency),
            price_text(s.sats, s.fiat_minor, split.currency),
            s.state,
            s.payout_state,
            s.payout_id,
        )
        for s in shares
    ]
    if shares and split.uncovered_minor:
        rows.append(_house_row(split, weights))
    print_table(
        (
            "client", ">balance before", ">weight", ">sats", ">charged", ">price per BTC", "record", "payment",
            "#payout",
        ),
        rows,
        title=f"Shares of the principal, {sats_text(split.principal_sats)}",
        empty="No client took part.",
    )  # fmt: skip

    if commission:
        say()
        _show_commission(split, commission)


def _show_commission(split: SplitView, commission: Sequence[CommissionView]) -> None:
    house = split.commission_sats - split.commission_shared_sats
    rest = BASIS_POINTS - sum(part.basis_points for part in commission)
    print_table(
        ("receiver", ">share", ">sats", "record", "payment", "#payout"),
        [
            *(
                (
                    f"{p.client_id} {p.receiver}",
                    percent_text(p.basis_points),
                    sats_text(p.sats),
                    p.state,
                    p.payout_state,
                    p.payout_id,
                )
                for p in commission
            ),
            ("house", percent_text(rest), sats_text(house), None, None, None),
        ],
        title=f"Shares of the commission, {sats_text(split.commission_sats)}",
        empty="",
    )


def _house_row(split: SplitView, weights: int) -> tuple[str | None, ...]:
    return (
        "house",
        fiat_text(split.uncovered_minor, split.currency),
        _part(split.uncovered_minor, weights),
        sats_text(split.uncovered_sats),
        fiat_text(split.uncovered_minor, split.currency),
        price_text(split.uncovered_sats, split.uncovered_minor, split.currency),
        None,
        None,
        None,
    )


def _part(weight: int, weights: int) -> str:
    return f"{Decimal(weight) * 100 / weights:.4f} %" if weights else NOTHING
