"""Sharing whole units by weights, so that the parts add up to the whole to the last unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Parts of `total` in proportion to `weights` (≥ 0, not all 0), by the largest-remainder method.

    Ties go to the earlier position. Σ parts = total; each part is its exact share rounded down or up.
    """
    weight_sum = sum(weights)
    assert total >= 0 and weight_sum > 0 and min(weights) >= 0
    parts: list[int] = []
    remainders: list[int] = []
    for weight in weights:
        part, remainder = divmod(total * weight, weight_sum)
        parts.append(part)
        remainders.append(remainder)
    missing = total - sum(parts)
    if missing:
        by_remainder = sorted(range(len(weights)), key=lambda i: (-remainders[i], i))
        for i in by_remainder[:missing]:
            parts[i] += 1
    assert sum(parts) == total
    return parts


@dataclass(frozen=True, slots=True)
class Share:
    """What one client gets of a cash-out, and what its fiat balance is charged for it."""

    client_id: int
    sats: int
    fiat_minor: int


@dataclass(frozen=True, slots=True)
class Allocation:
    """The principal of one cash-out, shared. The house's part is what no client's balance covered."""

    shares: tuple[Share, ...]
    house_sats: int
    house_minor: int


def allocate_flow(principal_sats: int, charge_minor: int, balances_minor: Mapping[int, int]) -> Allocation:
    """Shares a principal among clients by their fiat balances (client id → minor units, each > 0).

    Nobody is charged more than its balance. Where the balances do not cover the charge, the house is one
    more participant, with the uncovered fiat as its weight. The mapping's order does not matter: clients
    go by id, the house last.
    """
    clients = sorted(balances_minor)
    balances = [balances_minor[c] for c in clients]
    assert all(b > 0 for b in balances)
    covered = sum(balances)
    if not clients:
        return Allocation((), principal_sats, charge_minor)
    if charge_minor >= covered:
        charges = balances
        sats = largest_remainder(principal_sats, [*balances, charge_minor - covered])
        house_sats, house_minor = sats.pop(), charge_minor - covered
    else:
        charges = largest_remainder(charge_minor, balances)
        sats = largest_remainder(principal_sats, balances)
        house_sats, house_minor = 0, 0
    shares = tuple(Share(*share) for share in zip(clients, sats, charges, strict=True))
    assert sum(s.sats for s in shares) + house_sats == principal_sats
    assert sum(s.fiat_minor for s in shares) + house_minor == charge_minor
    assert all(s.fiat_minor <= balances_minor[s.client_id] for s in shares)
    return Allocation(shares, house_sats, house_minor)
