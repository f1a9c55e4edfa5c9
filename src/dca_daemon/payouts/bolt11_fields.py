"""The format of Lightning invoices (BOLT 11): as much of it as tells what is paid, where and until when.

The signature must be there, but is not verified. Without the payee's key known beforehand it proves nothing:
whoever alters an invoice can sign it anew, and the key that is recovered is then simply another one. The invoice
comes over TLS from the payee's own wallet, the checksum finds what was garbled, and LNbits and the node behind
it verify the signature before they pay. That is not worth a compiled dependency. The same holds for what only
the paying node understands (features, routes, fallbacks): unknown fields are skipped.

Stricter than BOLT 11 for a reader: of a field that is read here there may be only one, so that no other reader
can take another one for the payment's hash; and its padding is zero.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bech32 import CHARSET, bech32_hrp_expand, bech32_polymod, convertbits

NETWORKS = ("bc", "tb", "tbs", "bcrt")  # mainnet, testnet, signet, regtest
DEFAULT_EXPIRY_SECONDS = 3_600

# Everything after the last "1" is groups of 5 bits.
TIMESTAMP_GROUPS = 7
SIGNATURE_GROUPS = 104
CHECKSUM_GROUPS = 6
HASH_GROUPS = 52  # a field of hashes with another length is not one, and skipped
TAG_AND_LENGTH_GROUPS = 3

CHECKSUM_IS_RIGHT = 1  # the polynomial's remainder in bech32 (in bech32m it is another)
PICO_PER_MSAT = 10  # amounts are in bitcoin, and the finest multiplier is pico
_PICO_PER = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
_AMOUNT = "([1-9][0-9]{0,19})([munp]?)"  # 20 digits hold all bitcoin in pico
_HUMAN_PART = re.compile(f"ln({'|'.join(NETWORKS)})(?:{_AMOUNT})?")


@dataclass(frozen=True, slots=True)
class InvoiceFields:
    """What an invoice says."""

    network: str  # one of NETWORKS
    amount_msat: int | None
    timestamp: int  # Unix time
    expiry_seconds: int
    payment_hash: str
    description_hash: str | None


def read_fields(text: str) -> InvoiceFields:
    """Reads an invoice. Raises `ValueError`, and nothing else, for whatever is not one."""
    human_part, groups = _bech32(text)
    network, amount_msat = _network_and_amount(human_part)
    if len(groups) < TIMESTAMP_GROUPS + SIGNATURE_GROUPS:
        raise ValueError("it is too short")
    tagged = _tagged(groups[TIMESTAMP_GROUPS:-SIGNATURE_GROUPS])
    if "p" not in tagged or "s" not in tagged:
        raise ValueError("it has no payment hash or no payment secret")
    if ("d" in tagged) == ("h" in tagged):
        raise ValueError("it has not exactly one of a description and its hash")
    if "d" in tagged:
        _octets(tagged["d"]).decode("utf-8")
    if "x" in tagged and not tagged["x"]:
        raise ValueError("its expiry is empty")
    _octets(tagged["s"])
    return InvoiceFields(
        network=network,
        amount_msat=amount_msat,
        timestamp=_number(groups[:TIMESTAMP_GROUPS]),
        expiry_seconds=_number(tagged["x"]) if "x" in tagged else DEFAULT_EXPIRY_SECONDS,
        payment_hash=_octets(tagged["p"]).hex(),
        description_hash=_octets(tagged["h"]).hex() if "h" in tagged else None,
    )


def _bech32(text: str) -> tuple[str, Sequence[int]]:
    """The human-readable part and the groups of 5 bits, without the checksum; of any length."""
    lower = text.lower()
    if not text.isascii() or text not in (lower, text.upper()):
        raise ValueError("it mixes upper and lower case, or has other characters")
    human_part, separator, data = lower.rpartition("1")
    groups = [CHARSET.find(character) for character in data]
    if not separator or -1 in groups or len(groups) < CHECKSUM_GROUPS:
        raise ValueError("it is not bech32")
    if bech32_polymod(bech32_hrp_expand(human_part) + groups) != CHECKSUM_IS_RIGHT:
        raise ValueError("its checksum is wrong, so it is garbled")
    return human_part, groups[:-CHECKSUM_GROUPS]


def _network_and_amount(human_part: str) -> tuple[str, int | None]:
    found = _HUMAN_PART.fullmatch(human_part)
    if found is None:
        raise ValueError("its network or its amount is none")
    network, digits, multiplier = found.groups()
    if digits is None:
        return network, None
    amount_msat, rest = divmod(int(digits) * _PICO_PER[multiplier], PICO_PER_MSAT)
    if rest:
        raise ValueError("its amount is not in whole msat")
    return network, amount_msat


def _tagged(groups: Sequence[int]) -> dict[str, Sequence[int]]:
    """The fields that are read here, each by its letter."""
    found: dict[str, Sequence[int]] = {}
    start = 0
    while start < len(groups):
        data_start = start + TAG_AND_LENGTH_GROUPS
        if data_start > len(groups):
            raise ValueError("its last field is cut off")
        tag = CHARSET[groups[start]]
        length = _number(groups[start + 1 : data_start])
        start = data_start + length
        if start > len(groups):
            raise ValueError("its last field is cut off")
        if tag not in "pshdx" or (tag in "psh" and length != HASH_GROUPS):
            continue
        if tag in found:
            raise ValueError(f"it has more than one field {tag}")
        found[tag] = groups[data_start:start]
    return found


def _number(groups: Sequence[int]) -> int:
    value = 0
    for group in groups:
        value = value << 5 | group
    return value


def _octets(groups: Sequence[int]) -> bytes:
    octets = convertbits(groups, 5, 8, False)
    if octets is None:
        raise ValueError("a field is not padded with zeros")
    return bytes(octets)
