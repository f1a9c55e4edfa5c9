"""The figures, one function each."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import psutil
import psycopg

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.lamassu import trigger
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.bench.report import Figure, Report, median_ms
from tests.bench.setting import (
    CHANNEL,
    Books,
    Ground,
    cash_outs,
    configuration,
    copy_same_rows,
    newest_ids,
    running,
)

ROUNDS = 30
UNPAID = "SELECT count(*) FROM distribution_record WHERE state IN ('owed', 'in-payout')"


async def notify_round_trip_seconds(dsn: str) -> list[float]:
    """Bare: one commit with a NOTIFY, until another connection has heard it and committed a row."""
    seconds: list[float] = []
    async with (
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as listener,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as writer,
        await psycopg.AsyncConnection.connect(dsn, autocommit=True) as notifier,
    ):
        await writer.execute("CREATE TABLE IF NOT EXISTS bare (at timestamptz)")
        await listener.execute(f"LISTEN {CHANNEL}_bare")
        for _ in range(ROUNDS):
            heard = asyncio.ensure_future(_one_notification(listener))
            await asyncio.sleep(0)
            await notifier.execute(f"NOTIFY {CHANNEL}_bare")
            began = perf_counter()
            await heard
            await writer.execute("INSERT INTO bare VALUES (now())")
            seconds.append(perf_counter() - began)
    return seconds


async def _one_notification(conn: psycopg.AsyncConnection) -> None:
    async for _ in conn.notifies(stop_after=1):
        pass


async def latency(ground: Ground, report: Report, clients: int, bare_ms: float) -> None:
    """From the commit in Lamassu to the commit of the distribution."""
    books = await ground.books(clients=clients)
    lamassu_dsn = ground.lamassu()
    seconds: list[float] = []
    with SimulatedAtm(lamassu_dsn) as atm:
        async with running(books, lamassu_dsn, pay=False) as run:
            for _ in range(ROUNDS):
                run.booked.clear()
                cash_out = atm_scenarios.begin(atm, "lightning")
                await asyncio.to_thread(_all_but_last, cash_out)
                await asyncio.to_thread(cash_out.step)
                began = perf_counter()
                async with asyncio.timeout(30):
                    await run.booked.wait()
                seconds.append(perf_counter() - began)
    target = {3: 10.0, 1000: None}.get(clients)
    name = f"cash-out to distribution, {clients} clients (median of {ROUNDS})"
    report.add(Figure(name, median_ms(seconds[5:]), "ms", bare_ms, target))
    await books.db.close()


def _all_but_last(cash_out: atm_scenarios.RunningCashOut) -> None:
    """Everything up to the final write, which is the success itself."""
    for _ in range(2):
        cash_out.step()


async def create_and_pay_seconds(ground: Ground, count: int) -> float:
    """Bare: one invoice and one payment on the same LNbits, four at a time; seconds for `count` of them."""
    wallet = ground.wallet()
    room = asyncio.Semaphore(4)

    async def one(n: int) -> None:
        keys = ground.wallets[n % len(ground.wallets)]
        destination = Destination(DestinationKind.LNBITS, invoice_key=keys.inkey)
        async with room:
            invoice = await wallet.create_invoice(
                destination, amount_sats=10, memo="bare", expiry_seconds=86_400, payout_id=f"bare-{n}", extra={}
            )
            await wallet.pay(invoice.bolt11, payout_id=f"bare-{n}", extra={})

    began = perf_counter()
    await asyncio.gather(*(one(n) for n in range(count)))
    seconds = perf_counter() - began
    await wallet.close()
    return seconds


async def settled(ground: Ground, report: Report, clients: int) -> None:
    """From the commit in Lamassu to the last settled payout."""
    books = await ground.books(clients=clients)
    lamassu_dsn = ground.lamassu()
    bare = await create_and_pay_seconds(ground, clients)
    with SimulatedAtm(lamassu_dsn) as atm:
        async with running(books, lamassu_dsn, pay=True) as run:
            await asyncio.to_thread(atm_scenarios.run, atm, "lightning")
            began = perf_counter()
            await run.booked.wait()
            await _until(books, UNPAID, 0)
            seconds = perf_counter() - began
    name = f"cash-out to {clients} settled payouts"
    report.add(Figure(name, seconds, "s", bare, note="bare: create + pay, 4 at a time"))
    await books.db.close()


async def booking(ground: Ground, report: Report, clients: int, target_ms: float) -> None:
    """One cash-out among many clients, booked."""
    books = await ground.books(clients=clients)
    intake = Intake(books.db, IntakeConfig())
    await intake.process(cash_outs(1))
    await books.analyze()
    seconds: list[float] = []
    before = await newest_ids(books)
    for row in cash_outs(5):
        before = await newest_ids(books)
        began = perf_counter()
        await intake.process([row])
        seconds.append(perf_counter() - began)
    bare = await copy_same_rows(books.dsn, *before)
    report.add(
        Figure(
            f"one cash-out booked among {clients:,} clients (median of 5)",
            median_ms(seconds),
            "ms",
            bare * 1000,
            target_ms,
            note="bare: the same postings and records by COPY",
        )
    )
    await books.db.close()


async def backlog(ground: Ground, report: Report, count: int) -> None:
    """A backlog found at start: read, queued and booked; then paid, coalesced."""
    books = await ground.books(clients=10)
    lamassu_dsn = ground.lamassu()
    before = await newest_ids(books)
    with SimulatedAtm(lamassu_dsn) as atm:
        async with running(books, lamassu_dsn, pay=False):
            await asyncio.to_thread(atm.backlog, count, fiat=Decimal(10))
            began = perf_counter()
            await _until(books, "SELECT count(*) FROM distribution", count)
            seconds = perf_counter() - began
    bare = await copy_same_rows(books.dsn, *before)
    report.add(Figure(f"backlog of {count:,} cash-outs, 10 clients, booked", seconds, "s", bare, 20.0))
    report.add(Figure("cash-outs booked a second, from a backlog", count / seconds, "1/s", count / bare))
    async with running(books, lamassu_dsn, pay=True):
        await _until(books, UNPAID, 0)
    payouts = await books.count("SELECT count(*) FROM payout")
    records = await books.count("SELECT count(*) FROM distribution_record")
    report.add(
        Figure(
            "records paid by one payment, from that backlog", records / payouts, "records", 1.0, 10, at_least=True
        )
    )
    await books.db.close()


async def _until(books: Books, query: str, wanted: int) -> None:
    """Asks the books again and again: nothing in this process is told when they are done."""
    async with asyncio.timeout(900):
        while await books.count(query) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def history(ground: Ground, report: Report, postings: int) -> None:
    """One cash-out's cost on empty books, and after so many postings."""
    books = await ground.books(clients=10)
    intake = Intake(books.db, IntakeConfig())
    await intake.process(cash_outs(20))
    await books.analyze()
    empty = await _one_by_one(intake)
    await _fill(books, postings)
    await books.analyze()
    full = await _one_by_one(intake)
    report.add(
        Figure(
            f"one cash-out booked after {postings:,} postings (median of {ROUNDS})",
            full,
            "ms",
            empty,
            1.5 * empty,
            note="bare: the same on empty books; the target is 1.5 times that",
        )
    )
    await books.db.close()


async def _one_by_one(intake: Intake) -> float:
    seconds: list[float] = []
    for row in cash_outs(ROUNDS):
        began = perf_counter()
        await intake.process([row])
        seconds.append(perf_counter() - began)
    return median_ms(seconds[5:])


async def _fill(books: Books, postings: int) -> None:
    """History, written behind the triggers' back (in replica mode) but as they would leave it."""
    async with await psycopg.AsyncConnection.connect(books.dsn) as conn:
        await conn.execute("SET session_replication_role = replica")
        await conn.execute(
            """WITH a AS (SELECT id, version, balance, row_number() OVER (ORDER BY id) - 1 AS n FROM account
                           WHERE purpose = 'client-payable' ORDER BY id LIMIT 10),
                    e AS (INSERT INTO journal_entry
                                 (template, idempotency_key, input_hash, happened_at, actor, cause)
                          SELECT 'fill', 'fill:' || g, '', now(), 'bench', 'bench'
                            FROM generate_series(1, %(n)s / 10) g RETURNING id),
                    k AS (SELECT id, row_number() OVER (ORDER BY id) AS g FROM e)
               INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
               SELECT a.id, a.version + k.g, k.id, CASE k.g %% 2 WHEN 0 THEN 1 ELSE -1 END,
                      a.balance - k.g %% 2
                 FROM k CROSS JOIN a""",
            {"n": postings},
        )
        await conn.execute(
            """UPDATE account a SET version = p.version, balance = p.balance
                 FROM (SELECT DISTINCT ON (account_id) account_id, account_version AS version,
                              balance_after AS balance FROM posting ORDER BY account_id, account_version DESC) p
                WHERE p.account_id = a.id"""
        )
        await conn.commit()


async def idle(ground: Ground, report: Report) -> None:
    """`dca-daemon run` with nothing to do: memory, and how often it asks Lamassu."""
    books = await ground.books(clients=3)
    lamassu_dsn = ground.lamassu()
    await trigger.install(lamassu_dsn, CHANNEL)
    with tempfile.TemporaryDirectory() as folder:
        config = configuration(books, lamassu_dsn, Path(folder) / "config.toml")
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "dca_daemon", "--config", str(config), "run", stderr=subprocess.DEVNULL
        )
        try:
            process = psutil.Process(daemon.pid)
            await asyncio.sleep(10)
            cpu, commits = process.cpu_times(), await _statements(lamassu_dsn)
            await asyncio.sleep(30)
            later = process.cpu_times()
            resident = process.memory_info().rss / 2**20
            asked = await _statements(lamassu_dsn) - commits
        finally:
            daemon.terminate()
            await daemon.wait()
    used = (later.user + later.system) - (cpu.user + cpu.system)
    report.add(Figure("idle: resident memory", resident, "MiB", None, 120))
    report.add(Figure("idle: processor time in 30 s", used * 1000, "ms", None, 300))
    report.add(Figure("idle: transactions on Lamassu's database in 30 s", asked, "transactions", None, 30))
    await books.db.close()


async def _statements(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as conn:
        await conn.execute("SELECT pg_stat_clear_snapshot()")
        row = await (
            await conn.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
        ).fetchone()
        assert row is not None
        return int(row[0])
