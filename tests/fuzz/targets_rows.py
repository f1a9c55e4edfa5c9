"""Rows of the ATM's database: read, classified, split, shared. Whatever stands in them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from dca_daemon.domain.allocation import allocate_flow
from dca_daemon.domain.cash_out import MAX_CASH_OUT_SATS, SourceRow, Verdict, classify, split_row
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.lamassu.rows import to_digest, to_row
from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.registry import target
from tests.fuzz.values import clamped, maybe, number, storable, text

GOOD: dict[str, Any] = {
    "crypto_atoms": Decimal(512400),
    "fiat": Decimal("4000.00000"),
    "commission_percentage": Decimal("0.05500"),
    "discount": 10,
    "raw_ticker_price": Decimal("826091.28000"),
    "tx_version": 5,
}
STATUSES = ("confirmed", "notSeen", "published", "authorized", "instant", "rejected", "insufficientFunds")
ID = "4f1f3b2e-6c1d-4c58-9e2a-1b1f0a3c9d77"
MAX_REASON = 500  # what is kept and shown of a refused row


def values(choices: Choices, external_id: str = ID) -> tuple[Any, ...]:
    """One result row, in the order of `shape.build_queries`; now and then the worked example's values."""

    def num(name: str) -> Decimal | int | None:
        kind = choices.integer(0, 5)
        return None if kind == 5 else number(choices) if kind > 2 else GOOD[name]

    def flag() -> bool | None:
        return pick(choices, (True, False, None))

    def optional(*usual: str) -> str | None:
        return text(choices, usual) if maybe(choices) else None

    return (
        external_id,
        optional("d" * 64),
        "BTC" if not chance(choices, 4) else optional("LN", "ETH"),
        num("crypto_atoms"),
        num("fiat"),
        "GTQ" if not chance(choices, 4) else optional("USD", "JPY", "BHD", "XXX"),
        optional(*STATUSES),
        flag(),
        True if not chance(choices, 3) else flag(),
        flag(),
        optional("Operator cancel") if chance(choices, 3) else None,
        optional("operatorCancel") if chance(choices, 3) else None,
        clamped(choices) if maybe(choices) else None,
        clamped(choices) if maybe(choices) else None,
        num("commission_percentage"),
        num("discount"),
        num("raw_ticker_price"),
        number(choices) if chance(choices, 4) else None,
        num("tx_version"),
        optional("Antigua"),
        optional("v10.0.3"),
        clamped(choices) if maybe(choices) else None,
    )


def source_row(choices: Choices, external_id: str = ID) -> SourceRow:
    """A row as the daemon reads it."""
    return to_row(values(choices, external_id))


@target("row", examples=250)
def any_row(choices: Choices) -> None:
    """Every result row becomes a `SourceRow`, with the same digest either way, and texts that can be kept."""
    found = values(choices)
    row = to_row(found)
    digest = to_digest((found[0], found[18], *found[6:9], found[10], found[11], found[12], True))
    assert digest.digest == row.digest == to_row(found).digest
    assert digest.created == row.created
    kept = (row.device_id, row.crypto_code, row.fiat_code, row.status, row.error, row.error_code)
    for said in (*kept, row.machine_name, row.machine_version, row.digest):
        assert said is None or storable(said)
    for amount in (row.crypto_atoms, row.fiat, row.commission_percentage, row.raw_ticker_price, row.fixed_fee):
        if amount is not None and amount.is_finite():
            places = -int(amount.as_tuple().exponent)
            assert amount.adjusted() < 131_072 and places < 16_384, "fits a numeric column"
        else:
            assert amount is None or amount.is_qnan()
    assert row.discount is None or -(2**31) <= row.discount < 2**31, "fits the books' column"


@target("split", examples=200)
def any_split(choices: Choices) -> None:
    """A row is split exactly and shared exactly, or refused with one short reason."""
    row = source_row(choices)
    if chance(choices, 3):  # numbers that no database gives, but code may
        row = replace(
            row, fiat=number(choices), commission_percentage=number(choices), raw_ticker_price=number(choices)
        )
    found = classify(row)
    assert found.reason and found.text
    assert storable(found.text) and len(found.text) <= MAX_REASON
    if found.verdict is Verdict.SUCCESS:
        assert row.dispense_confirmed is True
    method, charge = pick(choices, tuple(SplitMethod)), pick(choices, tuple(Charge))
    try:
        parts, fiat_minor = split_row(row, pool_currency="GTQ", method=method, charge=charge)
    except InputError as error:
        assert storable(str(error)) and 0 < len(str(error)) <= MAX_REASON
        return
    assert 0 < parts.total_sats <= MAX_CASH_OUT_SATS
    assert parts.total_sats == row.crypto_atoms
    assert parts.principal_sats + parts.commission_sats == parts.total_sats
    assert 0 < fiat_minor < 10**15 and fiat_minor == row.fiat * 100
    assert 0 <= parts.charge_minor <= fiat_minor
    balances = {n: choices.integer(1, 10**12) for n in range(choices.integer(0, 4))}
    shared = allocate_flow(parts.principal_sats, parts.charge_minor, balances)
    assert sum(s.sats for s in shared.shares) + shared.house_sats == parts.principal_sats
    assert sum(s.fiat_minor for s in shared.shares) + shared.house_minor == parts.charge_minor
    assert all(0 <= s.fiat_minor <= balances[s.client_id] and s.sats >= 0 for s in shared.shares)
