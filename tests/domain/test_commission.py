"""Sharing a commission: exact, whatever the order; and percentages as people type them."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.commission import (
    BASIS_POINTS,
    allocate_commission,
    parse_percent,
    percent_decimal,
    percent_text,
)
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_SATS

sats = st.integers(0, MAX_SATS)


@st.composite
def shares(draw: st.DrawFn) -> dict[int, int]:
    """Any set of shares that comes to 100 % or less."""
    left, found = BASIS_POINTS, {}
    for client_id in draw(st.lists(st.integers(1, 10**6), max_size=12, unique=True)):
        if left:
            found[client_id] = draw(st.integers(1, left))
            left -= found[client_id]
    return found


@given(sats, shares())
def test_every_sat_is_a_receivers_or_the_houses(commission: int, of: dict[int, int]) -> None:
    allocation = allocate_commission(commission, of)
    assert allocation.shared_sats + allocation.house_sats == commission
    assert [p.client_id for p in allocation.parts] == sorted(of)
    for part in allocation.parts:
        assert abs(part.sats - Fraction(commission * of[part.client_id], BASIS_POINTS)) < 1
    assert abs(allocation.house_sats - Fraction(commission * (BASIS_POINTS - sum(of.values())), BASIS_POINTS)) < 1


@given(sats, shares(), st.randoms(use_true_random=False))
def test_the_order_does_not_matter(commission: int, of: dict[int, int], order: random.Random) -> None:
    shuffled = list(of.items())
    order.shuffle(shuffled)
    assert allocate_commission(commission, dict(shuffled)) == allocate_commission(commission, of)


def test_ties_go_by_client_id_and_the_house_is_last() -> None:
    allocation = allocate_commission(2, {9: 2500, 4: 2500, 7: 2500})
    assert [(p.client_id, p.sats) for p in allocation.parts] == [(4, 1), (7, 1), (9, 0)]
    assert allocation.house_sats == 0


def test_at_a_hundred_percent_nothing_is_left_for_the_house() -> None:
    assert allocate_commission(7, {1: 3333, 2: 6667}).house_sats == 0


def test_without_shares_it_is_all_the_houses() -> None:
    allocation = allocate_commission(28_182, {})
    assert (allocation.parts, allocation.house_sats) == ((), 28_182)


@pytest.mark.parametrize(
    ("typed", "basis_points"),
    [("20", 2000), ("12.5", 1250), ("0.01", 1), ("100", 10_000), ("33.33 %", 3333), (" 5% ", 500)],
)
def test_percentages(typed: str, basis_points: int) -> None:
    assert parse_percent(typed) == basis_points


@pytest.mark.parametrize(
    "typed", ["0", "0.00", "100.01", "999", "-5", "1.234", "", "%", "1e1", "nan", "1,5", "٥", ".5", "5.", "5 5"]
)
def test_what_is_no_percentage(typed: str) -> None:
    with pytest.raises(InputError):
        parse_percent(typed)


@given(st.integers(1, BASIS_POINTS))
def test_a_percentage_is_read_back_as_it_is_shown(basis_points: int) -> None:
    assert parse_percent(percent_text(basis_points)) == basis_points
    assert parse_percent(percent_decimal(basis_points)) == basis_points
