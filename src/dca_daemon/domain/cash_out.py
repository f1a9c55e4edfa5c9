"""A cash-out as Lamassu's database shows it, and what that row means.

The table of cases is in docs/reference.md. Only `dispense_confirmed` says that the notes came out.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_AMOUNT_MINOR, SATS_PER_BTC, to_minor
from dca_daemon.domain.split import Charge, Split, SplitMethod, split
from dca_daemon.domain.text import plain

BITCOIN_CODES = ("BTC", "LN")
MANUAL = "manual"  # the source of what was entered by hand
# A thousand bitcoin: no machine pays out so much, and a few junk rows of more would fill an account's 64 bits.
MAX_CASH_OUT_SATS = 1_000 * SATS_PER_BTC


class Verdict(StrEnum):
    """What a row of the source means at this moment."""

    SUCCESS = "success"
    FAILED = "failed"
    IGNORED = "ignored"
    REVIEW = "review"


class CashOutState(StrEnum):
    """What we have done with a cash-out."""

    FAILED = "failed"  # not (or not yet) a successful cash-out
    IGNORED = "ignored"  # another coin, or left out by a filter
    REVIEW = "review"  # waits for a person, with the reason
    BEFORE_BASELINE = "before-baseline"  # was successful before we began to count
    DUE = "due"  # released by a person: distributed at the next scan
    DISTRIBUTED = "distributed"  # booked; final
    SETTLED_BY_HAND = "settled-by-hand"  # one entered by hand has taken its place; final


_WAYS = {
    "unusable": "enter, ignore; or a setting",
    "refused": "distribute, enter, ignore",
    "machine-awaits-pool": "machine accept, machine move",
}


def ways_to_decide(reason: str) -> str:
    """What a person can do about a cash-out that waits in review for this reason."""
    return _WAYS.get(reason, "distribute, ignore, enter")


@dataclass(frozen=True, slots=True)
class ManualEntry:
    """What an entry by hand says besides its amounts: by whom, why, and which cash-out of ours it settles."""

    by: str
    reason: str
    settles_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """One row of `cash_out_txs`, with the machine's name and version and, where it may be read, the time of
    the dispense. Only the columns that we may read; amounts as the database gives them, unchecked."""

    external_id: str
    device_id: str
    crypto_code: str
    crypto_atoms: Decimal
    fiat: Decimal
    fiat_code: str
    status: str
    dispense: bool
    dispense_confirmed: bool | None
    redeem: bool
    error: str | None
    error_code: str | None
    created: datetime
    confirmed_at: datetime | None
    commission_percentage: Decimal | None
    discount: int | None
    raw_ticker_price: Decimal | None
    fixed_fee: Decimal | None
    tx_version: int
    machine_name: str | None = None
    machine_version: str | None = None
    dispensed_at: datetime | None = None
    source: str = "lamassu"
    entry: ManualEntry | None = None

    @property
    def digest(self) -> str:
        """Changes whenever something changes that `classify` looks at."""
        return row_digest(
            self.tx_version, self.status, self.dispense, self.dispense_confirmed, self.error, self.error_code
        )


def row_digest(
    tx_version: int,
    status: str,
    dispense: bool,
    dispense_confirmed: bool | None,
    error: str | None,
    error_code: str | None,
) -> str:
    """What the scanner compares, to tell which rows have changed since the books saw them."""
    flags = f"{dispense:d}{'-' if dispense_confirmed is None else int(dispense_confirmed)}"
    return f"{tx_version}:{status}:{flags}:{zlib.crc32(f'{error!r}|{error_code!r}'.encode()):08x}"


@dataclass(frozen=True, slots=True)
class Classification:
    """A verdict with a stable reason code and a sentence for people."""

    verdict: Verdict
    reason: str
    text: str


def classify(row: SourceRow) -> Classification:
    """What the row means now."""
    if row.crypto_code not in BITCOIN_CODES:
        return Classification(Verdict.IGNORED, "other-coin", f"{plain(row.crypto_code)} is not bitcoin")
    if row.dispense_confirmed is True:
        if _cancelled(row):
            return Classification(
                Verdict.REVIEW, "paid-and-cancelled", "all notes came out, yet the operator cancelled it"
            )
        return Classification(Verdict.SUCCESS, "dispensed", "the machine says that all notes came out")
    return _failure(row)


def _cancelled(row: SourceRow) -> bool:
    return row.error_code == "operatorCancel" or row.error == "Operator cancel"


def _failure(row: SourceRow) -> Classification:
    if _cancelled(row):
        return Classification(Verdict.FAILED, "operator-cancel", "the operator cancelled it")
    if row.error is not None or row.error_code is not None:
        detail = row.error or row.error_code
        return Classification(Verdict.FAILED, "error", f"Lamassu reports: {plain(detail, 300)}")
    if row.dispense:
        return Classification(
            Verdict.FAILED,
            "dispense-unconfirmed",
            "notes were asked for, but not all are known to have come out",
        )
    if row.status == "notSeen":
        return Classification(Verdict.FAILED, "not-paid", "no coins have been seen")
    return Classification(
        Verdict.FAILED, "not-dispensed", f"coins {plain(row.status)}, no notes have been asked for yet"
    )


def split_row(row: SourceRow, *, pool_currency: str, method: SplitMethod, charge: Charge) -> tuple[Split, int]:
    """The split of a successful row, and its fiat in minor units.

    Raises `InputError` with the reason when the row can't be processed; such a row goes to review.
    """
    atoms = row.crypto_atoms
    if not atoms.is_finite() or atoms != atoms.to_integral_value() or not 0 < atoms <= MAX_CASH_OUT_SATS:
        raise InputError(
            f"crypto_atoms {plain(atoms)} is not a number of satoshis between 1 and {MAX_CASH_OUT_SATS}"
        )
    if row.fiat_code != pool_currency:
        raise InputError(f"the cash-out is in {plain(row.fiat_code)}, the pool is in {pool_currency}")
    fiat_minor = to_minor(row.fiat, row.fiat_code)
    if fiat_minor > MAX_AMOUNT_MINOR:
        raise InputError(f"fiat {plain(row.fiat)} {row.fiat_code} is too large to be one cash-out")
    if fiat_minor <= 0:
        raise InputError(f"fiat {plain(row.fiat)} {row.fiat_code} is not greater than zero")
    parts = split(
        total_sats=int(atoms),
        fiat_minor=fiat_minor,
        fiat=row.fiat,
        commission=row.commission_percentage,
        discount_percent=row.discount,
        ticker=row.raw_ticker_price,
        method=method,
        charge=charge,
    )
    return parts, fiat_minor
