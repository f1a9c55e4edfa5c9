"""A cash-out explained to the last sat and centavo: the split in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dca_daemon.domain.commission import percent_text
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import NOTHING, price_text

if TYPE_CHECKING:
    from dca_daemon.services.cash_outs import CommissionView, SplitView


def explain(
    row: Mapping[str, Any], split: SplitView, clients: int, commission: Sequence[CommissionView]
) -> list[str]:
    """The split in sentences, with the row's own numbers."""
    return [
        *_commission_lines(row, split),
        *_charge_lines(split),
        *_share_lines(clients),
        *_receiver_lines(split, commission),
        *_house_lines(split, clients),
    ]


def _commission_lines(row: Mapping[str, Any], split: SplitView) -> list[str]:
    total, commission, principal = (
        sats_text(sats) for sats in (split.total_sats, split.commission_sats, split.principal_sats)
    )
    if split.method == "ticker":
        fiat, ticker = fiat_text(split.fiat_minor, split.currency), row["raw_ticker_price"]
        return [
            f"principal: {fiat} at the ticker of {_plain(ticker)} {split.currency} per BTC = {principal}",
            f"commission: {total} − {principal} = {commission}",
        ]
    rate, discount = row["commission_percentage"], row["discount"]
    percent = _percent(rate * (1 - Decimal(discount or 0) / 100))
    reason = f"{_percent(rate)} less a discount of {discount} % = {percent}" if discount else percent
    return [
        f"commission: {reason} of {total} = {commission} (rounded half to even)",
        f"principal: {total} − {commission} = {principal}",
    ]


def _charge_lines(split: SplitView) -> list[str]:
    fiat, charge = (fiat_text(minor, split.currency) for minor in (split.fiat_minor, split.charge_minor))
    price = price_text(split.principal_sats, split.charge_minor, split.currency) or NOTHING
    if split.charge == "dispensed":
        text = f"fiat for the principal: all the notes, {charge}"
    else:
        part = fiat_text(split.fiat_minor - split.charge_minor, split.currency)
        text = f"fiat for the principal: {fiat} − {part} of commission = {charge}"
    return [f"{text}; that is {price} per BTC"]


def _share_lines(clients: int) -> list[str]:
    if not clients:
        return []
    return [
        "shares: in proportion to what each client had in just before, in sats and in fiat; the units that"
        " rounding leaves go to the largest remainders"
    ]


def _receiver_lines(split: SplitView, commission: Sequence[CommissionView]) -> list[str]:
    if not commission:
        return []
    percent = percent_text(sum(part.basis_points for part in commission))
    return [
        f"of the commission, {percent} is shared (version {split.commission_version_id} of the shares)"
        f" = {sats_text(split.commission_shared_sats)}; the house is the last participant"
    ]


def _house_lines(split: SplitView, clients: int) -> list[str]:
    """What the house's part consists of."""
    lines = [
        f"house: {sats_text(split.commission_sats - split.commission_shared_sats)} of commission"
        f" + {sats_text(split.uncovered_sats)} of principal"
        f" that no client's balance covered = {sats_text(split.house_sats)}"
    ]
    if not clients:
        lines.append("no active Flow Mode client had a balance in this pool: all of it is the house's")
    elif split.uncovered_minor:
        lines.append(
            f"the clients' balances covered {fiat_text(split.clients_minor, split.currency)}; the house took part"
            f" with the weight of the other {fiat_text(split.uncovered_minor, split.currency)}"
        )
    receivers = f" + commission {sats_text(split.commission_shared_sats)}" if split.commission_shared_sats else ""
    lines.append(
        f"check: clients {sats_text(split.clients_sats)}{receivers} + house {sats_text(split.house_sats)}"
        f" = {sats_text(split.total_sats)}; clients {fiat_text(split.clients_minor, split.currency)}"
        f" + house {fiat_text(split.house_minor, split.currency)} = {fiat_text(split.fiat_minor, split.currency)}"
    )
    return lines


def _percent(fraction: Decimal) -> str:
    return f"{_plain(fraction * 100)} %"


def _plain(number: Decimal) -> str:
    return f"{number.normalize():,f}"
