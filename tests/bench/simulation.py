"""`simulate` over a long history: from an empty scratch database to the report."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import psycopg

from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.scanner import ScanConfig
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database
from dca_daemon.runtime.shadow import ShadowConfig, Span, run_simulation
from dca_daemon.services.intake import IntakeConfig
from dca_daemon.services.pools import ensure_default_pool
from dca_daemon.services.shadow.simulate import Balances
from tests.bench.report import Figure, Report
from tests.services import builders

CURRENCY = "GTQ"
CLIENTS = 20
DAYS = 300
_TARGET_SECONDS_PER_CASH_OUT = 0.003  # 100,000 in five minutes

# Two successes of three, as a machine has them, evenly over the days.
_HISTORY = """
    WITH made AS (
        INSERT INTO public.cash_out_txs (id, device_id, to_address, crypto_atoms, crypto_code, fiat, fiat_code,
               status, dispense, dispense_confirmed, commission_percentage, raw_ticker_price, tx_version, created)
        SELECT gen_random_uuid(), 'bench', 'lnbc1private', 10000 * (1 + n %% 40), 'LN', 100 * (1 + n %% 40), 'GTQ',
               'confirmed', n %% 3 > 0, n %% 3 > 0, 0.055, 826091.28, 5,
               now() - n * make_interval(secs => %(seconds)s / %(count)s)
          FROM generate_series(1, %(count)s) n RETURNING id, created, dispense)
    INSERT INTO public.cash_out_actions (tx_id, action, device_id, created)
    SELECT id, 'dispense', 'bench', created + interval '1 minute' FROM made WHERE dispense ORDER BY created
"""


async def measure(server: EmbeddedPostgres, report: Report, *, quick: bool) -> None:
    """How long it takes, from an empty scratch database to the sums."""
    wanted = 10_000 if quick else 100_000
    config = await _config(server, wanted)
    span = Span(since=datetime.now(UTC) - timedelta(days=DAYS + 1), until=None, balances=Balances.NOW)
    found = await run_simulation(config, span, limit=20)
    done = sum(pool.cash_outs for pool in found.report.pools)
    report.add(
        Figure(
            f"{done:,} cash-outs simulated with {CLIENTS} clients, half of the time at rest",
            found.seconds,
            "s",
            target=done * _TARGET_SECONDS_PER_CASH_OUT,
        )
    )


async def _config(server: EmbeddedPostgres, successes: int) -> ShadowConfig:
    books, lamassu = f"books_{uuid.uuid4().hex[:8]}", f"lamassu_{uuid.uuid4().hex[:8]}"
    for name in (books, lamassu):
        server.create_database(name)
    create_schema(server.dsn(lamassu))
    with psycopg.connect(server.dsn(lamassu)) as conn:
        conn.execute(_HISTORY, {"count": successes * 3 // 2, "seconds": DAYS * 86_400})
    url = sqlalchemy_url(server.dsn(books))
    await asyncio.to_thread(migrate.upgrade, url)
    db = Database(url)
    await ensure_default_pool(db, name="default", currency=CURRENCY)
    for _ in range(CLIENTS):
        await builders.client(db, "10000000")
    await db.close()
    return ShadowConfig(
        books_url=url,
        database=None,
        clients_file=None,
        pool_name="default",
        currency=CURRENCY,
        source=SourceConfig(dsn=server.dsn(lamassu)),
        scans=ScanConfig(),
        intake=IntakeConfig(),
    )
