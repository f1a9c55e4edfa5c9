"""Reads Lightning invoices (BOLT 11) and checks them against what was asked for.

An invoice comes from outside: whatever is wrong with it is a `WalletReplyError`, and never another exception.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import bolt11

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.domain.money import MAX_SATS, MSATS_PER_SAT
from dca_daemon.payouts.wallet import Invoice

NETWORKS = ("bc", "tb", "tbs", "bcrt")  # mainnet, testnet, signet, regtest
MAX_LENGTH = 8_192  # with the longest description and many route hints it stays below


@dataclass(frozen=True, slots=True)
class DecodedInvoice:
    """What the invoice itself says; the signature over it is valid."""

    amount_sats: int
    payment_hash: str
    expires_at: datetime
    network: str  # one of NETWORKS
    description_hash: str | None


def decode(text: str) -> DecodedInvoice:
    """Decodes an invoice. Raises `WalletReplyError` for all but a valid one over whole sats."""
    if not text.isascii() or len(text) > MAX_LENGTH:
        raise WalletReplyError(f"this is not a Lightning invoice: {_shown(text)}")
    try:
        invoice = bolt11.decode(text)
        amount_msat = invoice.amount_msat
        decoded_hash = invoice.payment_hash
        expires_at = datetime.fromtimestamp(invoice.expiry_time, tz=UTC)
        network = invoice.currency
        description_hash = invoice.description_hash
    except Exception as error:  # the library raises a dozen kinds, its own and others'
        raise WalletReplyError(f"this is not a Lightning invoice: {_shown(text)}: {error}") from error
    if network not in NETWORKS:
        raise WalletReplyError(f"an invoice of an unknown network {network!r}")
    return DecodedInvoice(
        amount_sats=_whole_sats(text, amount_msat),
        payment_hash=_hash(decoded_hash),
        expires_at=expires_at,
        network=network,
        description_hash=description_hash,
    )


def checked_invoice(
    text: str,
    *,
    amount_sats: int,
    now: datetime,
    payment_hash: str | None = None,
    wallet_id: str | None = None,
    network: str | None = None,
    min_validity_seconds: int = 0,
    description_hash: str | None = None,
) -> Invoice:
    """The invoice, if it is for exactly what was asked; otherwise raises `WalletReplyError`.

    `payment_hash` and `network` are compared where given, `description_hash` where the invoice has one.
    It must be valid for at least `min_validity_seconds` from `now`.
    """
    decoded = decode(text)
    if decoded.amount_sats != amount_sats:
        raise WalletReplyError(f"asked for an invoice over {amount_sats} sats, got {decoded.amount_sats}")
    if payment_hash is not None and decoded.payment_hash != payment_hash:
        raise WalletReplyError(
            f"the invoice's payment hash is {decoded.payment_hash}, the answer said {_shown(payment_hash)}"
        )
    if network is not None and decoded.network != network:
        raise WalletReplyError(f"an invoice of the network {decoded.network}, not of {network}")
    if (decoded.expires_at - now).total_seconds() <= min_validity_seconds:
        raise WalletReplyError(f"the invoice is valid until {decoded.expires_at.isoformat()} only")
    if description_hash and decoded.description_hash and decoded.description_hash != description_hash:
        raise WalletReplyError("the invoice is for another description than the destination showed")
    return Invoice(
        bolt11=text,
        payment_hash=decoded.payment_hash,
        amount_sats=decoded.amount_sats,
        expires_at=decoded.expires_at,
        wallet_id=wallet_id,
    )


def _whole_sats(text: str, amount_msat: int | None) -> int:
    """Refuses a missing amount and parts of a sat; the library rounds those below a msat away."""
    human_part = text.lower().rpartition("1")[0]
    if amount_msat is None or (human_part.endswith("p") and not human_part.endswith("0p")):
        raise WalletReplyError(f"the invoice has no amount in whole sats: {_shown(text)}")
    amount_sats, rest = divmod(int(amount_msat), MSATS_PER_SAT)
    if rest or not 0 < amount_sats <= MAX_SATS:
        raise WalletReplyError(f"the invoice is over {int(amount_msat)} msat, not over whole sats")
    return amount_sats


def _hash(text: str) -> str:
    if len(text) != 64 or any(digit not in "0123456789abcdef" for digit in text):
        raise WalletReplyError(f"the invoice's payment hash is not one: {_shown(text)}")
    return text


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
