"""A cash-out for people and for scripts: the list, the split, the shares, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from dca_daemon.cli.output import print_pairs, print_table, say, when
from dca_daemon.domain.commission import BASIS_POINTS, percent_text
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import (
    NOTHING,
    detail_text,
    price_text,
    source_coins_text,
    source_fiat_text,
)
from dca_daemon.services.cash_out_explanation import explain

if TYPE_CHECKING:
    from dca_daemon.services.cash_outs import (
        CashOutView,
        CommissionView,
        ShareView,
        SplitView,
    )


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
