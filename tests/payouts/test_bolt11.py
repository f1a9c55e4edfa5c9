"""Invoices come from outside: each is read exactly, or refused with one kind of error."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import secrets
from datetime import UTC, datetime, timedelta
from random import Random

import bech32
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.domain.money import MAX_SATS
from dca_daemon.payouts.bolt11 import checked_invoice, decode
from dca_daemon.payouts.bolt11_fields import NETWORKS, read_fields
from tests.fixtures.invoices import HASH, Field, amount_text, groups, invoice_of, make_invoice, number
from tests.payouts.bolt11_examples import INVALID, INVALID_FOR_THE_NODE, VALID, Example

CREATED = 1_800_000_000
NOW = datetime.fromtimestamp(CREATED, tz=UTC)
GOOD = make_invoice(1_234_000, created_at=CREATED, expiry_seconds=600)

PAYMENT: Field = ("p", groups(bytes.fromhex(HASH)))
SECRET: Field = ("s", groups(bytes(32)))
DESCRIPTION: Field = ("d", groups(b"for a test"))
DESCRIPTION_HASH: Field = ("h", groups(bytes(32)))
NEEDED = [PAYMENT, SECRET, DESCRIPTION]


@pytest.mark.parametrize("network", NETWORKS)
def test_an_invoice_is_read_exactly(network: str) -> None:
    read = decode(make_invoice(21_000, created_at=CREATED, expiry_seconds=600, network=network))
    assert (read.amount_sats, read.payment_hash, read.network) == (21, HASH, network)
    assert read.expires_at == NOW + timedelta(minutes=10)


@given(sats=st.integers(1, MAX_SATS))
@example(MAX_SATS)
@settings(max_examples=100, deadline=None)
def test_every_whole_amount_survives(sats: int) -> None:
    assert decode(make_invoice(sats * 1_000)).amount_sats == sats


@pytest.mark.parametrize("amount_msat", [None, 1, 999, 1_001, 1_234_567, 2_100_000_000_000_001_000])
def test_an_amount_that_is_not_whole_sats_is_refused(amount_msat: int | None) -> None:
    with pytest.raises(WalletReplyError):
        decode(make_invoice(amount_msat))


@pytest.mark.parametrize(
    ("amount", "msat"),
    [
        ("", None),
        ("1", 100_000_000_000),
        ("1m", 100_000_000),
        ("1u", 100_000),
        ("1n", 100),
        ("10p", 1),
        ("21000000", MAX_SATS * 1_000),
        ("21000000000000000000p", MAX_SATS * 1_000),
    ],
)
def test_an_amount_is_in_bitcoin_times_its_multiplier(amount: str, msat: int | None) -> None:
    assert read_fields(invoice_of(f"lnbc{amount}", NEEDED)).amount_msat == msat


@pytest.mark.parametrize(
    "amount", ["0", "0n", "01n", "1x", "1k", "n", "1nn", "-1n", "1.5n", "1 n", "1p", "10001p"]
)
def test_what_is_not_an_amount_is_refused(amount: str) -> None:
    with pytest.raises(WalletReplyError, match="amount"):
        decode(invoice_of(f"lnbc{amount}", NEEDED))


def test_an_amount_of_very_many_digits_is_refused() -> None:
    for digits in (21, 5_000):  # Python itself refuses the latter
        with pytest.raises(WalletReplyError, match="amount"):
            decode(invoice_of(f"lnbc{'9' * digits}p", NEEDED))


@pytest.mark.parametrize("prefix", ["lnbs10n", "lnltc10n", "lntbr10n", "bc10n", "lnbcrtt10n", "ln10n", "lnurl"])
def test_another_network_is_refused(prefix: str) -> None:
    with pytest.raises(WalletReplyError, match="network"):
        decode(invoice_of(prefix, NEEDED))


@pytest.mark.parametrize("invoice", VALID, ids=lambda it: it.name)
def test_the_examples_of_the_specification_are_read(invoice: Example) -> None:
    read = read_fields(invoice.text)
    assert (read.network, read.amount_msat) == (invoice.network, invoice.amount_msat)
    assert (read.timestamp, read.expiry_seconds) == (invoice.created, invoice.expiry_seconds)
    assert (read.payment_hash, read.description_hash) == (invoice.payment_hash, invoice.description_hash)


@pytest.mark.parametrize(("complaint", "text"), INVALID)
def test_the_invalid_examples_of_the_specification_are_refused(complaint: str, text: str) -> None:
    with pytest.raises(WalletReplyError, match=complaint):
        decode(text)


@pytest.mark.parametrize(("name", "text"), INVALID_FOR_THE_NODE)
def test_what_only_the_paying_node_judges_is_read(name: str, text: str) -> None:
    assert decode(text).amount_sats > 0, name


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ([SECRET, DESCRIPTION], "no payment hash"),
        ([PAYMENT, DESCRIPTION], "no payment secret"),
        ([PAYMENT, SECRET], "exactly one of a description"),
        ([*NEEDED, DESCRIPTION_HASH], "exactly one of a description"),
        ([("p", PAYMENT[1][:-1]), SECRET, DESCRIPTION], "no payment hash"),
        ([("p", [*PAYMENT[1], 0]), SECRET, DESCRIPTION], "no payment hash"),
        ([*NEEDED, ("p", groups(bytes(32)))], "more than one field p"),
        ([*NEEDED, PAYMENT], "more than one field p"),
        ([*NEEDED, SECRET], "more than one field s"),
        ([*NEEDED, DESCRIPTION], "more than one field d"),
        ([PAYMENT, SECRET, DESCRIPTION_HASH, DESCRIPTION_HASH], "more than one field h"),
        ([*NEEDED, ("x", number(60)), ("x", number(600))], "more than one field x"),
        ([*NEEDED, ("x", [])], "expiry is empty"),
        ([*NEEDED, ("x", [31] * 1_023)], "not a Lightning invoice"),
        ([("p", [*PAYMENT[1][:-1], 31]), SECRET, DESCRIPTION], "padded"),
        ([PAYMENT, ("s", [31] * 52), DESCRIPTION], "padded"),
        ([PAYMENT, SECRET, ("d", groups(b"\xff\xfe"))], "utf-8"),
    ],
)
def test_fields_that_leave_a_doubt_are_refused(fields: list[Field], complaint: str) -> None:
    with pytest.raises(WalletReplyError, match=complaint):
        decode(invoice_of("lnbc10n", fields))


@pytest.mark.parametrize("rest", [[6], [6, 0], [6, 0, 1], [6, 31, 31]])
def test_a_last_field_that_is_cut_off_is_refused(rest: list[int]) -> None:
    prefix, data = parts(GOOD)
    with pytest.raises(WalletReplyError, match="cut off"):
        decode(bech32.bech32_encode(prefix, data[:-104] + rest + data[-104:]))


@given(cut=st.integers(1, 160))
@settings(deadline=None)
def test_an_invoice_that_lacks_its_end_is_refused(cut: int) -> None:
    """Up to its timestamp, and with a right signature and checksum nevertheless."""
    prefix, data = parts(invoice_of("lnbc10n", NEEDED))
    with pytest.raises(WalletReplyError):
        decode(bech32.bech32_encode(prefix, data[:-104][:-cut] + data[-104:]))


@given(
    unknown=st.lists(
        st.tuples(
            st.sampled_from(sorted(set(bech32.CHARSET) - set("pshdx"))),
            st.lists(st.integers(0, 31), max_size=60),
        ),
        max_size=5,
    ),
    order=st.randoms(use_true_random=False),
)
@settings(max_examples=60, deadline=None)
def test_other_fields_are_skipped_and_the_order_does_not_matter(unknown: list[Field], order: Random) -> None:
    fields = [*NEEDED, ("x", number(60)), *unknown]
    order.shuffle(fields)
    read = read_fields(invoice_of("lnbc10n", fields, created_at=CREATED))
    assert (read.payment_hash, read.timestamp, read.expiry_seconds) == (HASH, CREATED, 60)


def test_an_hour_is_the_default() -> None:
    assert decode(invoice_of("lnbc10n", NEEDED, created_at=CREATED)).expires_at == NOW + timedelta(hours=1)


def test_upper_case_is_the_same_and_mixed_case_is_none() -> None:
    assert decode(GOOD.upper()) == decode(GOOD)
    with pytest.raises(WalletReplyError, match="upper and lower"):
        decode(GOOD[:-1] + GOOD[-1:].upper() if GOOD[-1].isalpha() else "L" + GOOD[1:])


@given(position=st.integers(4, len(GOOD) - 1), character=st.sampled_from(bech32.CHARSET))
@settings(max_examples=150, deadline=None)
def test_a_single_wrong_character_never_goes_unnoticed(position: int, character: str) -> None:
    garbled = GOOD[:position] + character + GOOD[position + 1 :]
    if garbled != GOOD:
        with pytest.raises(WalletReplyError):
            decode(garbled)


@pytest.mark.skipif(importlib.util.find_spec("bolt11") is None, reason="the library is for Python up to 3.12")
@given(
    sats=st.integers(1, 99_999_999_999),  # the library can't write 1000 BTC and more
    created=st.integers(0, 2**35 - 1),
    expiry=st.integers(1, 2**34),
    network=st.sampled_from(NETWORKS),
    payment_hash=st.binary(min_size=32, max_size=32).map(bytes.hex),
    described=st.one_of(st.text(max_size=100), st.binary(min_size=32, max_size=32)),
)
@settings(max_examples=60, deadline=None)
def test_what_another_implementation_writes_is_read_as_it_was_meant(
    sats: int, created: int, expiry: int, network: str, payment_hash: str, described: str | bytes
) -> None:
    """With a true signature, over which that implementation reads the same."""
    bolt11 = importlib.import_module("bolt11")
    models = importlib.import_module("bolt11.models.tags")
    tag = models.TagChar
    hashed = described.hex() if isinstance(described, bytes) else None
    tags = [
        models.Tag(tag.payment_hash, payment_hash),
        models.Tag(tag.payment_secret, "11" * 32),
        models.Tag(tag.description_hash, hashed) if hashed else models.Tag(tag.description, described),
        models.Tag(tag.expire_time, expiry),
    ]
    text = bolt11.encode(
        bolt11.Bolt11(
            currency=network,
            date=created,
            tags=models.Tags(tags),
            amount_msat=bolt11.MilliSatoshi(sats * 1_000),
        ),
        secrets.token_hex(32),
    )
    read = read_fields(text)
    assert (read.network, read.amount_msat, read.timestamp) == (network, sats * 1_000, created)
    assert (read.payment_hash, read.expiry_seconds, read.description_hash) == (payment_hash, expiry, hashed)
    theirs = bolt11.decode(text)
    assert (theirs.amount_msat, theirs.payment_hash) == (read.amount_msat, read.payment_hash)
    assert text.startswith(f"ln{network}{amount_text(sats * 1_000)}1")


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
    """With the checksum repaired, so that it may be read."""
    prefix, data = parts(GOOD)
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


def parts(invoice: str) -> tuple[str, list[int]]:
    """The human-readable part and the data, without the checksum."""
    prefix, data = bech32.bech32_decode(invoice)
    assert prefix is not None
    assert data is not None
    return prefix, data
