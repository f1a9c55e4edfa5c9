"""Reads Lightning invoices (BOLT 11) and checks them against what was asked for.

An invoice comes from outside: whatever is wrong with it is a `WalletReplyError`, and never another exception.
The format, and why the signature is not verified: bolt11_fields.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from dca_daemon.domain.errors import InvoiceExpiredError, WalletReplyError
from dca_daemon.domain.money import MAX_SATS, MSATS_PER_SAT
from dca_daemon.payouts.bolt11_fields import read_fields
from dca_daemon.payouts.wallet import Invoice

MAX_LENGTH = 8_192  # with the longest description and many route hints it stays below


@dataclass(frozen=True, slots=True)
class DecodedInvoice:
    """What the invoice itself says."""

    amount_sats: int
    payment_hash: str
    expires_at: datetime
    network: str  # one of bolt11_fields.NETWORKS
    description_hash: str | None


def decode(text: str) -> DecodedInvoice:
    """Decodes an invoice. Raises `WalletReplyError` for all but a well-formed one over whole sats."""
    if len(text) > MAX_LENGTH:
        raise WalletReplyError(f"this is not a Lightning invoice: {_shown(text)}: it is too long")
    try:
        fields = read_fields(text)
        expires_at = datetime.fromtimestamp(fields.timestamp + fields.expiry_seconds, tz=UTC)
    except (ValueError, OverflowError, OSError) as error:  # the latter two: an expiry beyond all calendars
        raise WalletReplyError(f"this is not a Lightning invoice: {_shown(text)}: {error}") from error
    return DecodedInvoice(
        amount_sats=_whole_sats(text, fields.amount_msat),
        payment_hash=fields.payment_hash,
        expires_at=expires_at,
        network=fields.network,
        description_hash=fields.description_hash,
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
        raise InvoiceExpiredError(
            f"the invoice is valid until {decoded.expires_at.isoformat()} only",
            remedy="compare this host's clock with the time of day, and the receiver's",
        )
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
    if amount_msat is None:
        raise WalletReplyError(f"the invoice has no amount: {_shown(text)}")
    amount_sats, rest = divmod(amount_msat, MSATS_PER_SAT)
    if rest or not 0 < amount_sats <= MAX_SATS:
        raise WalletReplyError(f"the invoice is over {amount_msat} msat, not over whole sats")
    return amount_sats


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "…")
