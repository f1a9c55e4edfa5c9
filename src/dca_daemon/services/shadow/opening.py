"""Who would take part in a cash-out, and with how much: read from the books, or from a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from dca_daemon.services.pools import Pool

Account = tuple[int, int]  # a client's id, a pool's id


@dataclass(frozen=True, slots=True)
class Member:
    """A client or a receiver of commission, under its id in the books."""

    client_id: int
    name: str
    mode: str
    status: str


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a machine stands."""

    device_id: str
    name: str | None
    pool_id: int
    awaiting: bool


@dataclass(frozen=True, slots=True)
class ShareOfCommission:
    """What a receiver gets of each commission."""

    client_id: int
    basis_points: int
    active: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """Fiat that came to a client's balance or left it (below zero)."""

    account: Account
    minor: int
    at: datetime | None = None  # None: it counts from the beginning
    cash_out: str | None = None  # Lamassu's id, where the books' own share of that cash-out is what came or left


@dataclass(frozen=True, slots=True)
class Opening:
    """Everything that a distribution depends on, but the cash-out. Filters are (number, kind, value).

    `marks` tells, account by account, up to where `changes` were read.
    """

    pools: tuple[Pool, ...]
    members: tuple[Member, ...]
    changes: tuple[Change, ...]
    shares: tuple[ShareOfCommission, ...] = ()
    machines: tuple[Machine, ...] = ()
    filters: tuple[tuple[int, str, str], ...] = ()
    marks: Mapping[Account, int] = field(default_factory=dict)


class Clients(Protocol):
    """Where clients and balances are read from."""

    @property
    def origin(self) -> str:
        """Where that is, for people."""

    @property
    def follows_books(self) -> bool:
        """Whether ids are those of the books, so that both can be compared."""

    async def look(self, marks: Mapping[Account, int] | None, known: Mapping[str, int]) -> Opening:
        """As they are now. `changes`: since these marks; None: the whole balance, as one change each.
        Those by cash-outs are among them: the scratch books have cash-outs of their own.

        `known`: the ids of those that were read before, by their names in small letters.
        """

    async def history(self, since: datetime) -> Opening:
        """As they are now, with `changes` as they were: the balance of that time, then each with its time, but
        those by cash-outs."""
