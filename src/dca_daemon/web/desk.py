"""What the console's handlers work with. It can receive and ask, and holds nothing that could pay."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from starlette.requests import Request

from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.one_transaction import OneTransaction
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.wallet import Wallet
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.wiring import intake_config
from dca_daemon.services.intake import Intake

if TYPE_CHECKING:
    from dca_daemon.web.daemon_status import DaemonStatus
    from dca_daemon.web.market import HeldRate


@dataclass(frozen=True, slots=True)
class Desk:
    """One for the process. `receivers` checks destinations; it has no admin key. `base_url`: where we are."""

    db: Database
    keys: KeyRing
    receivers: Wallet
    prices: LnbitsRates
    lamassu: LamassuSource
    daemon: DaemonStatus
    settings: Settings
    zone: ZoneInfo
    base_url: str
    held_rates: dict[str, HeldRate] = field(default_factory=dict)  # `market` keeps them
    proving: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def secure(self) -> bool:
        """Whether browsers reach us through TLS."""
        return self.base_url.startswith("https://")

    def intake(self, db: Database | OneTransaction) -> Intake:
        """Books cash-outs as the daemon does."""
        return Intake(db, intake_config(self.settings))


def desk_of(request: Request) -> Desk:
    """The desk of the application that was asked."""
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk
