"""What a finding is, what is looked at, and what several areas need to look."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.split import SplitMethod
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsWallet
from dca_daemon.services.backups.make import BackupConfig
from dca_daemon.services.rates import Rates

CLOCK_SECONDS = 5.0
SYNCHRONISE = "set up time synchronisation on both machines (timedatectl tells)"


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty where there is nothing to do."""

    area: str
    name: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ExpectedBackups:
    """How backups are made, and how old the last one may be."""

    config: BackupConfig
    max_age_seconds: float


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at; what the configuration does not tell is None, and left out."""

    books: Database | None = None
    currency: str | None = None
    keys: KeyRing | None = None
    source: SourceConfig | None = None
    split_method: SplitMethod | None = None
    lnbits: LnbitsWallet | None = None
    lnbits_url: str = ""
    reserve_sats: int = 0
    requests_per_minute: int = 0
    folders: tuple[tuple[str, Path], ...] = ()  # what is kept there, and where: to see whether there is room
    rates: Rates | None = None
    backups: ExpectedBackups | None = None


Check = Callable[[Subject], Awaitable[list[Finding]]]


async def books_fit(subject: Subject) -> bool:
    """Whether our tables can be read at all; where not, `check_books` says so."""
    try:
        return subject.books is not None and (await migrate.revision(subject.books)).fits
    except (DcaError, DBAPIError):
        return False


def clocks_apart(whose: str, seconds: float) -> str:
    """What a difference of clocks is told as."""
    return f"{whose} clock and ours are {seconds:,.0f} s apart"


def judged(area: str, name: str, good: bool, text: str, remedy: str, *, or_else: Level = Level.FAIL) -> Finding:
    """A finding that is well, or else as bad as that; its remedy is told only then."""
    return Finding(area, name, Level.OK if good else or_else, text, "" if good else remedy)
