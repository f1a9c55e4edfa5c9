"""Lightning invoices: read exactly as another reader does, or refused with one kind of error."""

from __future__ import annotations

import importlib
import importlib.util
from datetime import UTC, datetime, timedelta
from typing import Any

import bech32

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.payouts.bolt11 import checked_invoice, decode
from dca_daemon.payouts.bolt11_fields import DEFAULT_EXPIRY_SECONDS
from tests.fixtures.invoices import make_invoice
from tests.fuzz.choices import Choices, pick
from tests.fuzz.registry import target
from tests.fuzz.values import storable
from tests.payouts.bolt11_examples import INVALID, VALID

CREATED = 1_700_000_000
NOW = datetime.fromtimestamp(CREATED, UTC)
SAMPLES = (
    make_invoice(1_234_000, created_at=CREATED),
    make_invoice(None, created_at=CREATED, network="tb"),
    make_invoice(1, created_at=CREATED, network="bcrt", description_hash="11" * 32),
    *(example.text for example in VALID),
    *(text for _, text in INVALID),
)
# There is none for Python 3.13.
_THEIRS: Any = importlib.import_module("bolt11") if importlib.util.find_spec("bolt11") else None


def mutated(choices: Choices) -> str:
    """A sample with some groups of 5 bits changed, put in or left out; with a right checksum again."""
    human_part, data = _parts(pick(choices, SAMPLES))
    for _ in range(choices.integer(0, 6)):
        at = choices.integer(0, len(data))
        kind = choices.integer(0, 3)
        new = [group % 32 for group in choices.octets(60)]
        data[at : at + (0 if kind == 0 else len(new) if kind == 1 else choices.integer(0, 60))] = new
    if choices.integer(0, 3) == 3:
        human_part = pick(
            choices, ("lnbc", "lnbc1", "lnbc10n", "lnbc1p", "lnbc0m", "lnbcrt5u", "lntbs2m", "ln", "x")
        )
    if choices.integer(0, 7) == 7:
        human_part += choices.text(12).lower()
    return str(bech32.bech32_encode(human_part, data))


def _parts(text: str) -> tuple[str, list[int]]:
    human_part, _, data = text.lower().rpartition("1")
    return human_part, [bech32.CHARSET.find(character) % 32 for character in data[:-6]]


@target("invoice", examples=250)
def any_invoice(choices: Choices) -> None:
    """Accepted is only what the independent reading says the same of."""
    kind = choices.integer(0, 3)
    text = mutated(choices) if kind else choices.rest(600).decode("utf-8", "surrogateescape")
    try:
        found = decode(text)
    except WalletReplyError as error:
        assert storable(str(error)) and len(str(error)) < 500
        return
    assert 0 < found.amount_sats <= 21 * 10**14 and len(found.payment_hash) == 64
    own = _by_the_letter(text)
    assert own["hash"] == found.payment_hash
    assert own["expires_at"] == found.expires_at
    assert own["human"] == f"ln{found.network}" + own["amount"] and own["pico"] == found.amount_sats * 10_000
    _as_theirs(text, own["pico"], found.payment_hash, found.expires_at)
    invoice = checked_invoice(text, amount_sats=found.amount_sats, now=found.expires_at - timedelta(seconds=1))
    assert (invoice.amount_sats, invoice.payment_hash) == (found.amount_sats, found.payment_hash)
    for asked in (found.amount_sats - 1, found.amount_sats + 1):
        try:
            checked_invoice(text, amount_sats=asked, now=NOW)
        except WalletReplyError:
            continue
        raise AssertionError("another amount than asked for was accepted")


def _by_the_letter(text: str) -> dict[str, Any]:
    """BOLT 11 once more, on a string of bits: what is paid, to which hash, until when."""
    human, _, data = text.lower().rpartition("1")
    bits = "".join(f"{bech32.CHARSET.index(character):05b}" for character in data[:-6])
    created, bits = int(bits[:35], 2), bits[35:-520]
    fields: dict[str, list[str]] = {}
    while bits:
        size = 5 * int(bits[5:15], 2)
        fields.setdefault(bech32.CHARSET[int(bits[:5], 2)], []).append(bits[15 : 15 + size])
        bits = bits[15 + size :]
    (payment_hash,) = {content for content in fields["p"] if len(content) == 260}
    expiry = int(fields["x"][0], 2) if "x" in fields else DEFAULT_EXPIRY_SECONDS
    digits = human.lstrip("lnbctsr")
    unit = {"m": 10**9, "u": 10**6, "n": 10**3, "p": 1}.get(digits[-1:], 10**12)
    return {
        "human": human,
        "amount": digits,
        "pico": int(digits.rstrip("munp")) * unit,
        "hash": f"{int(payment_hash[:256], 2):064x}",
        "expires_at": datetime.fromtimestamp(created + expiry, UTC),
    }


def _as_theirs(text: str, pico: int, payment_hash: str, expires_at: datetime) -> None:
    if _THEIRS is None:
        return
    try:
        theirs = _THEIRS.decode(text)
    except Exception:  # noqa: BLE001 - it verifies the signature, and has errors of many kinds
        return
    expiry = DEFAULT_EXPIRY_SECONDS if theirs.expiry is None else theirs.expiry
    until = datetime.fromtimestamp(theirs.date + expiry, UTC)
    assert (theirs.amount_msat * 10, theirs.payment_hash, until) == (pico, payment_hash, expires_at)
