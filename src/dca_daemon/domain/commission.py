"""Sharing a commission: basis points to receivers, the rest to the house."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from dca_daemon.domain.allocation import largest_remainder
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import plain

BASIS_POINTS = 10_000  # of the whole: 100 %
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,2})?) ?%?")


class Pay(StrEnum):
    """When what was shared becomes payable."""

    AT_ONCE = "at-once"  # with each cash-out
    AT_TIMES = "at-times"  # gathered, and released at set local times
    FROM_AMOUNT = "from-amount"  # gathered, and released once a receiver's comes to an amount


@dataclass(frozen=True, slots=True)
class Terms:
    """What a cash-out needs to know of the version in force: the basis points of who takes part, by client."""

    version_id: int | None  # None: nothing was ever shared
    pay: Pay
    basis_points: Mapping[int, int]


NOTHING_SHARED = Terms(None, Pay.AT_ONCE, {})


@dataclass(frozen=True, slots=True)
class CommissionPart:
    """What one receiver gets of a commission."""

    client_id: int
    sats: int


@dataclass(frozen=True, slots=True)
class CommissionAllocation:
    """One commission, shared; what is not allocated stays with the house."""

    parts: tuple[CommissionPart, ...]
    house_sats: int

    @property
    def shared_sats(self) -> int:
        """What the receivers get together."""
        return sum(part.sats for part in self.parts)


def allocate_commission(commission_sats: int, basis_points: Mapping[int, int]) -> CommissionAllocation:
    """Shares a commission by basis points (client id → 1 to 10,000, together at most 10,000).

    Largest remainder; the mapping's order does not matter: receivers go by client id, the house last.
    """
    receivers = sorted(basis_points)
    weights = [basis_points[c] for c in receivers]
    rest = BASIS_POINTS - sum(weights)
    assert rest >= 0 and all(w > 0 for w in weights)
    *parts, house_sats = largest_remainder(commission_sats, [*weights, rest])
    allocation = CommissionAllocation(
        tuple(CommissionPart(*part) for part in zip(receivers, parts, strict=True)), house_sats
    )
    assert allocation.shared_sats + house_sats == commission_sats
    return allocation


def parse_percent(text: str) -> int:
    """What a person typed ("20", "2.5", "33.33 %") in basis points. Raises `InputError`."""
    found = _PERCENT.fullmatch(text.strip())
    if found is None:
        raise InputError(
            f"{plain(text)!r} is not a percentage", remedy="write it like 20 or 12.5, with at most two decimals"
        )
    basis_points = int(Decimal(found[1]) * 100)
    if not 0 < basis_points <= BASIS_POINTS:
        raise InputError(f"a share is more than 0 % and at most 100 %, not {plain(text)}")
    return basis_points


def percent_text(basis_points: int) -> str:
    """For people: `12.5 %`."""
    return f"{percent_decimal(basis_points)} %"


def percent_decimal(basis_points: int) -> str:
    """The same as a decimal number, without needless zeros: `12.5`."""
    whole, hundredths = divmod(basis_points, 100)
    return f"{whole}.{hundredths:02d}".rstrip("0").rstrip(".")
