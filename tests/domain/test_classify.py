"""What a row means: every case of the table in lamassu.md §2, and when a changed row is looked at again."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.domain.cash_out import BITCOIN_CODES, MAX_CASH_OUT_SATS, Verdict, classify, split_row
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.split import Charge, SplitMethod
from tests.services.builders import success

CANCELLED = {"error": "Operator cancel", "error_code": "operatorCancel"}
SHORT = {"dispense_confirmed": False}
S, F, I, R = Verdict.SUCCESS, Verdict.FAILED, Verdict.IGNORED, Verdict.REVIEW  # noqa: E741

TABLE: list[tuple[str, dict[str, Any], Verdict, str]] = [
    ("on-chain, confirmed, dispensed", {}, S, "dispensed"),
    ("Lightning", {"crypto_code": "LN"}, S, "dispensed"),
    ("zero-conf, dispensed while authorized", {"status": "authorized", "confirmed_at": None}, S, "dispensed"),
    ("zero-conf, confirmed later", {"status": "confirmed", "tx_version": 9}, S, "dispensed"),
    ("zero-conf, instant", {"status": "instant", "confirmed_at": None}, S, "dispensed"),
    ("zero-conf, never confirmed", {"status": "rejected", "confirmed_at": None}, S, "dispensed"),
    ("redeem later", {"redeem": True}, S, "dispensed"),
    ("discount of 100 %", {"discount": 100}, S, "dispensed"),
    ("promo code", {"discount": 35}, S, "dispensed"),
    ("an error that is no cancel, all notes out", {"error": "late answer"}, S, "dispensed"),
    ("another coin", {"crypto_code": "ETH"}, I, "other-coin"),
    ("another coin, failed", {"crypto_code": "USDT", **SHORT}, I, "other-coin"),
    ("another coin, cancelled", {"crypto_code": "LTC", **CANCELLED}, I, "other-coin"),
    ("cancelled after the notes came out", CANCELLED, R, "paid-and-cancelled"),
    ("the same, by its text alone", {"error": "Operator cancel"}, R, "paid-and-cancelled"),
    ("the same, by its code alone", {"error_code": "operatorCancel"}, R, "paid-and-cancelled"),
    ("operator cancel", {**SHORT, **CANCELLED}, F, "operator-cancel"),
    ("operator cancel, unpaid", {**SHORT, **CANCELLED, "status": "notSeen"}, F, "operator-cancel"),
    ("dispenser error, part of the notes", {**SHORT, "error": "Dispenser jam"}, F, "error"),
    ("an error with a code only", {**SHORT, "error_code": "scoreThresholdReached"}, F, "error"),
    ("wallet scoring error", {**SHORT, "error": "Chain analysis error"}, F, "error"),
    ("short dispense, no error text", SHORT, F, "dispense-unconfirmed"),
    ("machine died after dispense was requested", SHORT, F, "dispense-unconfirmed"),
    ("dispense_confirmed NULL", {"dispense_confirmed": None}, F, "dispense-unconfirmed"),
    ("NULL and cancelled", {"dispense_confirmed": None, **CANCELLED}, F, "operator-cancel"),
    ("never paid", {**SHORT, "status": "notSeen", "dispense": False}, F, "not-paid"),
    ("paid, not yet dispensed", {**SHORT, "status": "confirmed", "dispense": False}, F, "not-dispensed"),
    ("NULL, paid, not yet dispensed", {"dispense_confirmed": None, "dispense": False}, F, "not-dispensed"),
]


@pytest.mark.parametrize(("changes", "verdict", "reason"), [t[1:] for t in TABLE], ids=[t[0] for t in TABLE])
def test_the_table_of_cases(changes: dict[str, Any], verdict: Verdict, reason: str) -> None:
    found = classify(success(**changes))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert found.text


rows = st.builds(
    success,
    crypto_code=st.sampled_from(["BTC", "LN", "ETH", "LTC"]),
    status=st.sampled_from(
        ["notSeen", "published", "authorized", "instant", "confirmed", "rejected", "insufficientFunds"]
    ),
    dispense=st.booleans(),
    dispense_confirmed=st.sampled_from([True, False, None]),
    redeem=st.booleans(),
    error=st.sampled_from([None, "", "Operator cancel", "Dispenser jam"]),
    error_code=st.sampled_from([None, "", "operatorCancel", "x"]),
)


@given(rows)
def test_only_a_confirmed_dispense_of_bitcoin_is_a_success(row: Any) -> None:
    found = classify(row).verdict
    cancelled = row.error == "Operator cancel" or row.error_code == "operatorCancel"
    if row.crypto_code not in BITCOIN_CODES:
        assert found is Verdict.IGNORED
    elif row.dispense_confirmed is not True:
        assert found is Verdict.FAILED
    else:
        assert found is (Verdict.REVIEW if cancelled else Verdict.SUCCESS)


@pytest.mark.parametrize(
    "changes",
    [
        {"tx_version": 6},
        {"status": "authorized"},
        {"dispense": False},
        {"dispense_confirmed": False},
        {"dispense_confirmed": None},
        {"error": "x"},
        {"error_code": "x"},
    ],
)
def test_the_digest_changes_with_all_that_the_verdict_looks_at(changes: dict[str, Any]) -> None:
    row = success()
    changed = dataclasses.replace(row, **changes)
    assert changed.digest != row.digest
    assert dataclasses.replace(row).digest == row.digest


def test_the_digest_tells_false_from_null() -> None:
    assert success(dispense_confirmed=False).digest != success(dispense_confirmed=None).digest
    assert success(error="None").digest != success(error=None).digest


def take_apart(**changes: Any) -> Any:
    return split_row(success(**changes), pool_currency="GTQ", method=SplitMethod.RECORDED, charge=Charge.PRINCIPAL)


def test_a_good_row_is_split() -> None:
    parts, fiat_minor = take_apart()
    assert (parts.principal_sats, fiat_minor) == (484218, 400000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"crypto_atoms": Decimal("512400.5")}, "crypto_atoms"),
        ({"crypto_atoms": Decimal(0)}, "crypto_atoms"),
        ({"crypto_atoms": Decimal(-1)}, "crypto_atoms"),
        ({"crypto_atoms": Decimal(MAX_CASH_OUT_SATS + 1)}, "crypto_atoms"),
        ({"crypto_atoms": Decimal("NaN")}, "crypto_atoms"),
        ({"crypto_atoms": Decimal("Infinity")}, "crypto_atoms"),
        ({"fiat_code": "USD"}, "the pool is in GTQ"),
        ({"fiat": Decimal("0.00000")}, "not greater than zero"),
        ({"fiat": Decimal("-1")}, "not greater than zero"),
        ({"fiat": Decimal("1.00001")}, "finer"),
        ({"fiat": Decimal("NaN")}, "not an amount"),
        ({"fiat": Decimal(10) ** 13}, "too large to be one cash-out"),
        ({"commission_percentage": None}, "commission_percentage"),
        ({"commission_percentage": Decimal("1.23E-999999999")}, "too many digits"),
    ],
)
def test_a_row_that_cannot_be_split_says_why(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError, match=words):
        take_apart(**changes)


def test_the_largest_and_the_smallest_row_can_be_split() -> None:
    assert take_apart(crypto_atoms=Decimal(MAX_CASH_OUT_SATS))[0].total_sats == MAX_CASH_OUT_SATS
    assert take_apart(crypto_atoms=Decimal(1), fiat=Decimal("0.01"))[0].principal_sats == 1


def test_what_is_said_of_a_row_is_one_short_line() -> None:
    long = "x" * 10_000 + "\n\x1b[31m"
    for changes in (
        {"error": long, "dispense_confirmed": False},
        {"crypto_code": long},
        {"status": long, "dispense": False, "dispense_confirmed": False},
    ):
        text = classify(success(**changes)).text
        assert len(text) < 400 and text.isprintable()
