"""Sharing whole units: the sum is exact, and nobody gets more than its balance buys."""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import assume, given
from hypothesis import strategies as st

from dca_daemon.domain.allocation import Allocation, Share, allocate_flow, largest_remainder
from dca_daemon.domain.money import MAX_SATS

totals = st.integers(0, MAX_SATS)
weights = st.lists(st.integers(0, 10**12), min_size=1, max_size=30).filter(any)
balances = st.dictionaries(st.integers(1, 10**6), st.integers(1, 10**12), max_size=25)


@given(totals, weights)
def test_the_parts_add_up_and_are_the_exact_shares_rounded(total: int, w: list[int]) -> None:
    parts = largest_remainder(total, w)
    assert sum(parts) == total
    for part, weight in zip(parts, w, strict=True):
        exact = Fraction(total * weight, sum(w))
        assert exact - 1 < part < exact + 1
        if weight == 0:
            assert part == 0


@given(totals, weights)
def test_a_greater_weight_never_gets_less(total: int, w: list[int]) -> None:
    parts = largest_remainder(total, w)
    assert sorted(zip(w, parts, strict=True)) == sorted(zip(w, sorted(parts), strict=True)) or all(
        parts[i] <= parts[j] for i in range(len(w)) for j in range(len(w)) if w[i] < w[j]
    )


@given(totals, weights)
def test_equal_weights_differ_by_one_at_most_and_the_earlier_has_more(total: int, w: list[int]) -> None:
    parts = largest_remainder(total, w)
    for i in range(len(w)):
        for j in range(i + 1, len(w)):
            if w[i] == w[j]:
                assert 0 <= parts[i] - parts[j] <= 1


@given(st.integers(0, 10**6), weights, st.integers(1, 1000))
def test_only_the_proportions_of_the_weights_count(total: int, w: list[int], factor: int) -> None:
    assert largest_remainder(total, w) == largest_remainder(total, [x * factor for x in w])


def test_ties_go_to_the_earlier() -> None:
    assert largest_remainder(10, [1, 1, 1]) == [4, 3, 3]
    assert largest_remainder(2, [1, 1, 1]) == [1, 1, 0]
    assert largest_remainder(0, [5, 5]) == [0, 0]


def shuffled(of: dict[int, int], seed: int) -> dict[int, int]:
    items = list(of.items())
    random.Random(seed).shuffle(items)
    return dict(items)


@given(totals, st.integers(0, 10**13), balances, st.integers())
def test_everything_is_shared_and_the_order_of_reading_does_not_matter(
    sats: int, charge: int, of: dict[int, int], seed: int
) -> None:
    found = allocate_flow(sats, charge, of)
    assert sum(s.sats for s in found.shares) + found.house_sats == sats
    assert sum(s.fiat_minor for s in found.shares) + found.house_minor == charge
    assert [s.client_id for s in found.shares] == sorted(of)
    assert all(0 <= s.fiat_minor <= of[s.client_id] and s.sats >= 0 for s in found.shares)
    assert found.house_sats >= 0
    assert found.house_minor == max(0, charge - sum(of.values()))
    assert allocate_flow(sats, charge, shuffled(of, seed)) == found


@given(totals, st.integers(1, 10**13), balances)
def test_each_share_is_within_one_of_its_exact_part(sats: int, charge: int, of: dict[int, int]) -> None:
    assume(of)
    covered = sum(of.values())
    weight = max(charge, covered)  # the house is one more participant where balances do not cover the charge
    for share in allocate_flow(sats, charge, of).shares:
        balance = of[share.client_id]
        assert abs(share.sats - Fraction(sats * balance, weight)) < 1
        assert abs(share.fiat_minor - Fraction(min(charge, covered) * balance, covered)) < 1


@given(totals, st.integers(0, 10**6), balances)
def test_where_the_balances_do_not_cover_the_charge_all_of_them_are_spent(
    sats: int, more: int, of: dict[int, int]
) -> None:
    charge = sum(of.values()) + more
    found = allocate_flow(sats, charge, of)
    assert {s.client_id: s.fiat_minor for s in found.shares} == of
    assert found.house_minor == more
    if more == 0 and of:
        assert found.house_sats == 0


def test_without_clients_all_is_the_houses() -> None:
    assert allocate_flow(484218, 378000, {}) == Allocation((), 484218, 378000)


def test_the_uncovered_part_is_the_houses_at_the_same_price() -> None:
    found = allocate_flow(1000, 400, {7: 100, 3: 100})
    assert found == Allocation((Share(3, 250, 100), Share(7, 250, 100)), 500, 200)


def test_a_share_of_nothing_is_still_a_share() -> None:
    found = allocate_flow(1, 3, {1: 1, 2: 10**9})
    assert found.shares == (Share(1, 0, 0), Share(2, 1, 3))


def test_the_house_is_last_in_a_tie() -> None:
    found = allocate_flow(3, 2, {5: 1})
    assert (found.shares[0].sats, found.house_sats) == (2, 1)
