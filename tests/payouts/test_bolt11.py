"""Invoices come from outside: each is read exactly, or refused with one kind of error."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta

import bech32
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.payouts.bolt11 import NETWORKS, checked_invoice, decode
from tests.fixtures.invoices import HASH, make_invoice

CREATED = 1_800_000_000
NOW = datetime.fromtimestamp(CREATED, tz=UTC)
GOOD = make_invoice(1_234_000, created_at=CREATED, expiry_seconds=600)


@pytest.mark.parametrize("network", NETWORKS)
def test_an_invoice_is_read_exactly(network: str) -> None:
    read = decode(make_invoice(21_000, created_at=CREATED, expiry_seconds=600, network=network))
    assert (read.amount_sats, read.payment_hash, read.network) == (21, HASH, network)
    assert read.expires_at == NOW + timedelta(minutes=10)


@given(sats=st.integers(1, 99_999_999_999))  # the library can't write 1000 BTC and more
@settings(max_examples=40, deadline=None)
def test_every_whole_amount_survives(sats: int) -> None:
    assert decode(make_invoice(sats * 1_000)).amount_sats == sats


@pytest.mark.parametrize("amount_msat", [None, 1, 999, 1_001, 1_234_567, 2_100_000_000_000_001_000])
def test_an_amount_that_is_not_whole_sats_is_refused(amount_msat: int | None) -> None:
    with pytest.raises(WalletReplyError):
        decode(make_invoice(amount_msat))


def test_parts_of_a_millisat_are_refused_although_the_library_drops_them() -> None:
    """10001p is 1000.1 msat: not an amount by BOLT 11, and not 1 sat."""
    prefix, data = bech32.bech32_decode(make_invoice(1_000))
    assert prefix == "lnbc10n"
    assert data is not None
    with pytest.raises(WalletReplyError, match="whole sats"):
        decode(bech32.bech32_encode("lnbc10001p", data))


@given(st.text(max_size=400))
@example("")
@example("lnbc1")
@example("lnbc10n1" + "q" * 120)
@example("\u0131" * 50)
@settings(max_examples=150, deadline=None)
def test_garbage_raises_one_kind_of_error(text: str) -> None:
    with pytest.raises(WalletReplyError):
        decode(text)


@given(data=st.lists(st.integers(0, 31), max_size=300), prefix=st.sampled_from(["lnbc", "lnbc10n", "lntb1", "x"]))
@settings(max_examples=150, deadline=None)
def test_garbage_with_a_right_checksum_raises_one_kind_of_error(data: list[int], prefix: str) -> None:
    with pytest.raises(WalletReplyError):
        decode(bech32.bech32_encode(prefix, data))


@given(position=st.integers(0, 10_000), replacement=st.integers(0, 31))
@settings(max_examples=150, deadline=None)
def test_an_altered_field_never_raises_another_error(position: int, replacement: int) -> None:
    """With the checksum repaired: the signature then names another payee, so that it may be read."""
    prefix, data = bech32.bech32_decode(GOOD)
    assert prefix is not None
    assert data is not None
    altered = list(data)
    altered[position % len(altered)] = replacement
    with contextlib.suppress(WalletReplyError):
        assert decode(bech32.bech32_encode(prefix, altered)).amount_sats == 1_234


def test_a_longer_text_than_any_invoice_is_not_even_read() -> None:
    with pytest.raises(WalletReplyError, match="not a Lightning invoice"):
        decode(GOOD + "q" * 10_000)


def test_an_expiry_beyond_all_calendars_is_refused() -> None:
    with pytest.raises(WalletReplyError):
        decode(make_invoice(expiry_seconds=2**55))


def test_what_fits_is_returned_with_the_receivers_wallet() -> None:
    invoice = checked_invoice(
        GOOD, amount_sats=1_234, now=NOW, payment_hash=HASH, wallet_id="w", network="bc", min_validity_seconds=599
    )
    assert (invoice.bolt11, invoice.payment_hash, invoice.amount_sats, invoice.wallet_id) == (
        GOOD,
        HASH,
        1_234,
        "w",
    )
    assert invoice.expires_at == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ({"amount_sats": 1_233}, "1233 sats, got 1234"),
        ({"payment_hash": "cd" * 32}, "payment hash"),
        ({"network": "tb"}, "network"),
        ({"min_validity_seconds": 600}, "valid until"),
        ({"now": NOW + timedelta(minutes=10)}, "valid until"),
    ],
)
def test_what_does_not_fit_is_refused(asked: dict[str, object], complaint: str) -> None:
    expected: dict[str, object] = {"amount_sats": 1_234, "now": NOW, **asked}
    with pytest.raises(WalletReplyError, match=complaint):
        checked_invoice(GOOD, **expected)  # type: ignore[arg-type]


def test_the_description_hash_is_compared_where_the_invoice_has_one() -> None:
    with_hash = make_invoice(created_at=CREATED, description_hash="11" * 32)
    without = make_invoice(created_at=CREATED)
    for text, asked in ((with_hash, "11" * 32), (with_hash, None), (without, "22" * 32)):
        assert checked_invoice(text, amount_sats=1_000, now=NOW, description_hash=asked).amount_sats == 1_000
    with pytest.raises(WalletReplyError, match="description"):
        checked_invoice(with_hash, amount_sats=1_000, now=NOW, description_hash="22" * 32)
