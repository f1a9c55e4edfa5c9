"""Three sides that agree: the books, a real LNbits, a Lamassu-shaped database; and ways to make them differ."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.db import Database, execute
from dca_daemon.ledger.verify import _CHECKS
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import TAG, Destination, PaymentBook, WalletRecord
from dca_daemon.services import baseline, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payouts import PayoutView
from dca_daemon.services.reconcile import ReconcileConfig, Sides, reconcile
from dca_daemon.services.reconciliation.findings import Difference, Kind, Reconciliation
from tests.fixtures.postgres import LamassuDb
from tests.payouts.test_payer import World, make_world

CHECKS = len(_CHECKS)  # of the books by themselves
Change = Callable[[WalletRecord], WalletRecord | None]


@dataclass
class TamperedBook:
    """LNbits' records as they are, but for what a test changes or hides: of the source, or of the receivers."""

    real: PaymentBook
    source: Change = field(default=lambda record: record)
    receivers: Change = field(default=lambda record: record)
    asked: list[tuple[int, Destination | None]] = field(default_factory=list)  # how many hashes, of whom

    def _changed(self, record: WalletRecord, destination: Destination | None) -> WalletRecord | None:
        return (self.source if destination is None else self.receivers)(record)

    async def records_by_hash(
        self, hashes: Sequence[str], destination: Destination | None = None
    ) -> dict[str, WalletRecord]:
        self.asked.append((len(hashes), destination))
        found = await self.real.records_by_hash(hashes, destination)
        changed = {key: self._changed(record, destination) for key, record in found.items()}
        return {key: record for key, record in changed.items() if record is not None}

    async def payments_tagged(
        self, since: datetime, *, tag: str = TAG, destination: Destination | None = None
    ) -> AsyncIterator[WalletRecord]:
        async for record in self.real.payments_tagged(since, tag=tag, destination=destination):
            changed = self._changed(record, destination)
            if changed is not None:
                yield changed


class NoPayments:
    """An LNbits where nothing of ours was ever paid."""

    async def records_by_hash(
        self, hashes: Sequence[str], destination: Destination | None = None
    ) -> dict[str, WalletRecord]:
        return {}

    async def payments_tagged(
        self, since: datetime, *, tag: str = TAG, destination: Destination | None = None
    ) -> AsyncIterator[WalletRecord]:
        nothing: list[WalletRecord] = []
        for record in nothing:
            yield record


@dataclass(kw_only=True)
class Two:
    """The books, and Lamassu with one machine: no client, no payment."""

    db: Database
    keys: KeyRing
    book: PaymentBook
    source: LamassuSource
    atm: SimulatedAtm
    admin: psycopg.Connection  # of Lamassu's database

    async def cash_out(self, scenario: str = "on-chain") -> str:
        """One happens at the machine, and is booked."""
        external_id = atm_scenarios.run(self.atm, scenario)
        await self.book_it(external_id)
        return external_id

    async def book_it(self, external_id: str) -> None:
        await Intake(self.db, IntakeConfig()).process(await self.source.fetch([external_id]))

    async def reconcile(
        self, since: datetime | None = None, *, grace_seconds: float = 0.0, page_rows: int = 100
    ) -> Reconciliation:
        sides = Sides(db=self.db, book=self.book, keys=self.keys, source=self.source)
        config = ReconcileConfig(grace_seconds=grace_seconds, page_rows=page_rows)
        return await reconcile(sides, since=since, config=config)

    async def differences(self, **options: Any) -> list[Difference]:
        found = await self.reconcile(**options)
        assert found.complete, found.not_compared
        assert sum(found.counts.values()) == len(found.differences)
        assert found.agrees == (not found.differences)
        return list(found.differences)

    async def only(self, kind: Kind, **options: Any) -> Difference:
        """The one thing that differs."""
        found = await self.differences(**options)
        assert [one.kind for one in found] == [kind], found
        assert found[0].remedy
        return found[0]

    async def behind_the_books_back(self, statement: str, **parameters: Any) -> None:
        """Changes what the database would refuse: no trigger fires."""
        async with self.db.transaction() as conn:
            await execute(conn, "SET LOCAL session_replication_role = replica")
            assert await execute(conn, statement, **parameters) > 0


@dataclass(kw_only=True)
class Three(Two):
    """And a real LNbits, where two clients of `world` have wallets."""

    book: TamperedBook
    world: World
    wallet: LnbitsWallet

    async def pay(self, cash_outs: int = 1) -> list[PayoutView]:
        """So many cash-outs are booked and paid, each by itself. All payouts, the oldest first."""
        for _ in range(cash_outs):
            await self.cash_out()
            await self.world.payer().drain()
        return list(reversed(await payouts.list_all(self.db, limit=1000)))


def hidden(payment_hash: str | None) -> Change:
    """As if there were no record of that payment."""
    return lambda record: None if record.payment_hash == payment_hash else record


def changed(payment_hash: str | None, **changes: Any) -> Change:
    """As if its record said something else."""
    return lambda record: replace(record, **changes) if record.payment_hash == payment_hash else record


@pytest.fixture
def admin(lamassu_db: LamassuDb) -> Iterator[psycopg.Connection]:
    """A superuser's connection to Lamassu's database, in autocommit."""
    with psycopg.connect(lamassu_db.admin_dsn, autocommit=True) as conn:
        yield conn


@pytest.fixture
async def two(
    books: Database, keys: KeyRing, lamassu_db: LamassuDb, admin: psycopg.Connection
) -> AsyncIterator[Two]:
    """Nothing has happened yet but one cash-out before the baseline."""
    source = LamassuSource(SourceConfig(dsn=lamassu_db.reader_dsn))
    with SimulatedAtm(lamassu_db.admin_dsn) as atm:
        atm_scenarios.run(atm, "on-chain")
        await baseline.ensure(books, source, actor="test")
        yield Two(db=books, keys=keys, book=NoPayments(), source=source, atm=atm, admin=admin)
    await source.close()


@pytest.fixture
async def three(two: Two, lnbits: LnbitsAdmin) -> AsyncIterator[Three]:
    """The same, with two clients who have wallets and deposits."""
    world = await make_world(two.db, two.keys, lnbits)
    wallet = LnbitsWallet(
        LnbitsConfig(url=lnbits.url, admin_key=world.source.adminkey, requests_per_minute=0, max_connections=1)
    )
    yield Three(
        db=two.db,
        keys=two.keys,
        book=TamperedBook(wallet),
        source=two.source,
        atm=two.atm,
        admin=two.admin,
        world=world,
        wallet=wallet,
    )
    await wallet.close()
    await world.wallet.close()


def now() -> datetime:
    return datetime.now(UTC)
