"""Fixed Mode on real books, with a clock and a price of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from dca_daemon.domain.errors import WalletError, WalletReplyError
from dca_daemon.domain.fixed import Missed
from dca_daemon.ledger.db import Database, rows
from dca_daemon.runtime.fixed_runner import FixedRunner
from dca_daemon.services import fixed_amounts, fixed_schedules
from dca_daemon.services.rates import Rates, RatesConfig
from tests.services.builders import client

PRICE = Decimal("800000")
ZONE = "America/Guatemala"  # six hours behind UTC, all year


def at(text: str) -> datetime:
    """A time in UTC."""
    return datetime.fromisoformat(f"{text}+00:00")


@dataclass
class Feed:
    """In place of LNbits."""

    price: Decimal | None = PRICE
    error: WalletError = field(default_factory=lambda: WalletReplyError("LNbits knows no rate for GTQ"))
    asked: int = 0

    async def fiat_per_btc(self, currency: str) -> Decimal:
        self.asked += 1
        if self.price is None:
            raise self.error
        return self.price


class Bench:
    """A runner that looks when it is told to; `restart` begins another, as after a crash."""

    def __init__(self, db: Database, now: str, config: RatesConfig | None = None) -> None:
        self.db = db
        self.now = at(now)
        self.seconds = 0.0
        self.feed = Feed()
        self.woken = 0
        self.rates = Rates(db, self.feed, config or RatesConfig(), now=lambda: self.now)
        self.restart()

    def restart(self) -> None:
        self.runner = FixedRunner(
            self.db,
            self.rates,
            self._wake,
            retry_seconds=60,
            now=lambda: self.now,
            clock=lambda: self.seconds,
        )

    def _wake(self) -> None:
        self.woken += 1

    async def schedule(
        self, *times: str, zone: str = ZONE, missed: Missed = Missed.CATCH_UP, most: str | None = None
    ) -> None:
        await fixed_schedules.change(
            self.db, zone=zone, times=times, missed=missed, max_per_day=most, actor="test", at=self.now
        )

    async def buyer(self, per_day: str, deposit: str | None = "10000", own_max: str | None = None) -> int:
        client_id = await client(self.db, deposit, mode="fixed")
        await fixed_amounts.change(self.db, str(client_id), per_day=per_day, own_max=own_max, actor="test")
        return client_id

    async def look(self, text: str) -> datetime | None:
        """Looks at that time; the monotonic clock goes on by a minute."""
        self.now = at(text)
        self.seconds += 60
        return await self.runner.look()

    async def runs(self) -> list[tuple[str, str]]:
        """Slot and state of each run, in the order in which they were dealt with."""
        async with self.db.transaction() as conn:
            found = await rows(conn, "SELECT local_date, local_time, state FROM fixed_run ORDER BY id")
        return [(f"{r.local_date:%m-%d} {r.local_time}", r.state) for r in found]

    async def bought(self) -> list[tuple[int, int, int]]:
        """Client, sats and minor units of each record, in their order."""
        async with self.db.transaction() as conn:
            found = await rows(
                conn,
                "SELECT client_id, sats, fiat_minor FROM distribution_record WHERE type = 'fixed' ORDER BY id",
            )
        return [(r.client_id, r.sats, r.fiat_minor) for r in found]
