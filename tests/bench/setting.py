"""What is measured: real databases with ordinary durability, a real LNbits, and the daemon's own parts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import psycopg

from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.lamassu import trigger
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.listener import Listener
from dca_daemon.lamassu.scanner import ScanConfig, Scanner
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger import accounts, journal, migrate
from dca_daemon.ledger.db import Database, execute, rows
from dca_daemon.ledger.journal import Entry
from dca_daemon.payouts.books import SqlPayoutBooks
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.runtime.booker import Booker
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.metrics import Metrics, Snapshot
from dca_daemon.runtime.service_queue import CashOutQueue
from dca_daemon.services import baseline, pools
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import success

CURRENCY = "GTQ"
CHANNEL = "dca_cash_out"


@dataclass
class Ground:
    """The servers that all figures share."""

    postgres: EmbeddedPostgres
    lnbits: LnbitsServer
    wallets: list[WalletKeys]
    source: WalletKeys
    key: str = field(default_factory=KeyRing.generate)

    async def books(self, *, clients: int, balance_minor: int = 10**12) -> Books:
        """New books with so many Flow Mode clients."""
        name = f"books_{uuid.uuid4().hex[:8]}"
        self.postgres.create_database(name)
        url = sqlalchemy_url(self.postgres.dsn(name))
        await asyncio.to_thread(migrate.upgrade, url)
        db = Database(url)
        await pools.ensure_default_pool(db, name="default", currency=CURRENCY)
        made = Books(self, db, self.postgres.dsn(name))
        await made.add_clients(clients, balance_minor)
        return made

    def lamassu(self) -> str:
        """A new Lamassu-shaped database; its DSN."""
        name = f"lamassu_{uuid.uuid4().hex[:8]}"
        self.postgres.create_database(name)
        create_schema(self.postgres.dsn(name))
        return self.postgres.dsn(name)

    def wallet(self) -> LnbitsWallet:
        return LnbitsWallet(
            LnbitsConfig(url=self.lnbits.url, admin_key=self.source.adminkey, requests_per_minute=0)
        )


@dataclass
class Books:
    """Books under measurement."""

    ground: Ground
    db: Database
    dsn: str

    async def add_clients(self, count: int, balance_minor: int) -> None:
        """Clients who share the ground's wallets, each with the same balance."""
        keys = KeyRing(self.ground.key)
        sealed = [keys.encrypt(w.inkey) for w in self.ground.wallets]
        async with self.db.transaction() as conn:
            for key in sealed:
                await execute(
                    conn, "INSERT INTO destination (kind, invoice_key_encrypted) VALUES ('lnbits', :k)", k=key
                )
            found = await rows(
                conn,
                """INSERT INTO client (name, mode, destination_id)
                   SELECT 'client ' || n, 'flow', 1 + n % :wallets FROM generate_series(1, :count) n
                   RETURNING id""",
                count=count,
                wallets=len(sealed),
            )
        now = datetime.now(UTC)
        entries = [
            Entry(
                "opening",
                f"opening:{r.id}",
                now,
                "bench",
                "bench",
                journal.lines(
                    (accounts.cash(1, CURRENCY), balance_minor),
                    (accounts.client_fiat(r.id, 1, CURRENCY), -balance_minor),
                ),
            )
            for r in found
        ]
        async with self.db.transaction() as conn:
            await journal.post(conn, entries)

    async def analyze(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.dsn, autocommit=True) as conn:
            await conn.execute("VACUUM ANALYZE")

    async def count(self, query: str) -> int:
        async with self.db.transaction() as conn:
            return int((await rows(conn, query))[0][0])


@dataclass
class Running:
    """Listener, scanner, intake and (if wanted) payer at work, as in the daemon."""

    books: Books
    lamassu_dsn: str
    booked: asyncio.Event
    payer: Payer
    listener: Listener


@contextlib.asynccontextmanager
async def running(books: Books, lamassu_dsn: str, *, pay: bool) -> AsyncIterator[Running]:
    """Starts the parts, waits until they listen, and stops them."""
    await trigger.install(lamassu_dsn, CHANNEL)
    config = SourceConfig(dsn=lamassu_dsn, channel=CHANNEL)
    source = LamassuSource(config)
    await baseline.ensure(books.db, source, actor="bench")
    queue = CashOutQueue(2000)
    wallet = books.ground.wallet()
    payer = Payer(SqlPayoutBooks(books.db), wallet, KeyRing(books.ground.key), PayerConfig())
    booked = asyncio.Event()

    def on_booked() -> None:
        booked.set()
        payer.wake()

    async def put(found: list[SourceRow]) -> None:
        await queue.put(found)

    scanner = Scanner(
        source,
        lambda digests: baseline.outdated(books.db, digests),
        put,
        lambda: listener.listening,
        ScanConfig(),
    )
    listener = Listener(config, scanner.notify, lambda: scanner.wake(sweep=True))
    metrics = Metrics(lambda: Snapshot(), version="bench")
    intake = Intake(books.db, IntakeConfig())
    booker = Booker(queue, intake, on_booked, Heartbeats(), metrics, batch_size=200)
    stop = asyncio.Event()
    services: list[Callable[[], Awaitable[object]]] = [
        lambda: listener.run(),
        lambda: scanner.run(),
        lambda: booker.run(stop),
    ]
    if pay:
        services.append(lambda: payer.run(stop))
    tasks = [asyncio.ensure_future(service()) for service in services]
    async with asyncio.timeout(30):
        await listener.until("listen")
        await scanner.scanned(1)
    try:
        yield Running(books, lamassu_dsn, booked, payer, listener)
    finally:
        stop.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await source.close()
        await wallet.close()


def cash_outs(count: int, *, fiat: Decimal = Decimal(1000)) -> list[SourceRow]:
    """Successful rows, a second apart."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    row = success(fiat=fiat, crypto_atoms=Decimal(128_100), crypto_code="LN")
    return [
        replace(row, external_id=str(uuid.uuid4()), dispensed_at=start + timedelta(seconds=n))
        for n in range(count)
    ]


async def copy_same_rows(dsn: str, entry_ids_above: int, record_ids_above: int) -> float:
    """The bare cost of a booking: its postings and records by one COPY each, in one commit. Seconds."""
    async with await psycopg.AsyncConnection.connect(dsn) as conn:
        postings = await (
            await conn.execute(
                """SELECT account_id, account_version, entry_id, amount, balance_after FROM posting
                    WHERE entry_id > %s""",
                (entry_ids_above,),
            )
        ).fetchall()
        records = await (
            await conn.execute(
                """SELECT id, distribution_id, client_id, type, sats, fiat_minor, state FROM distribution_record
                    WHERE id > %s""",
                (record_ids_above,),
            )
        ).fetchall()
        await conn.execute("CREATE TABLE IF NOT EXISTS bare_posting AS SELECT * FROM posting WITH NO DATA")
        await conn.execute(
            "CREATE TABLE IF NOT EXISTS bare_record AS SELECT * FROM distribution_record WITH NO DATA"
        )
        await conn.commit()
        began = perf_counter()
        async with conn.cursor() as cursor:
            async with cursor.copy("COPY bare_posting FROM STDIN") as copy:
                for row in postings:
                    await copy.write_row(row)
            async with cursor.copy("COPY bare_record FROM STDIN") as copy:
                for row in records:
                    await copy.write_row(row)
        await conn.commit()
        return perf_counter() - began


async def newest_ids(books: Books) -> tuple[int, int]:
    """The highest ids of journal entries and records."""
    return (
        await books.count("SELECT coalesce(max(id), 0) FROM journal_entry"),
        await books.count("SELECT coalesce(max(id), 0) FROM distribution_record"),
    )


def configuration(books: Books, lamassu_dsn: str, path: Path) -> Path:
    """A configuration file for `dca-daemon run`."""
    path.touch(mode=0o600)
    path.write_text(
        "\n".join(
            [
                f"[database]\nurl = {json.dumps(books.dsn)}",
                f"[pool]\ncurrency = {json.dumps(CURRENCY)}",
                f"[lamassu]\ndsn = {json.dumps(lamassu_dsn)}",
                f"[lnbits]\nurl = {json.dumps(books.ground.lnbits.url)}",
                f"admin_key = {json.dumps(books.ground.source.adminkey)}",
                f"[security]\nencryption_keys = {json.dumps(books.ground.key)}",
                '[http]\nport = 0\n[log]\nformat = "json"\n',
            ]
        )
    )
    return path
