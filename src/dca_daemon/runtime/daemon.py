"""`dca-daemon run`: everything together, for years.

    http, watchdog ─────────────────────────────── from the start, also on standby
    wait for the lock ─► leader, listener, scanner, intake, payer and its signals, fixed, releaser, reconciler,
                         forgetter
                      ─► lost? wait again

What the daemon needs may be away for any time, in any order: each service waits for what it needs by itself.
Only what waiting can't mend (settings, the schema, the encryption key) ends it, at once, with a clear line.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import structlog

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import DatabaseError, SourceError
from dca_daemon.lamassu.listener import Listener
from dca_daemon.lamassu.outage import Outage
from dca_daemon.lamassu.scanner import Scanner
from dca_daemon.lamassu.source import LamassuSource, RowDigest
from dca_daemon.ledger import lock_keys, migrate
from dca_daemon.ledger.signals import Signals
from dca_daemon.payouts.books import SqlPayoutBooks
from dca_daemon.payouts.payer import Payer
from dca_daemon.runtime import sdnotify, wiring
from dca_daemon.runtime.booker import SILENT_SECONDS, Booker
from dca_daemon.runtime.fixed_runner import FixedRunner
from dca_daemon.runtime.forgetter import Forgetter
from dca_daemon.runtime.health import HealthServer, health_app
from dca_daemon.runtime.heartbeats import Heartbeats
from dca_daemon.runtime.leader import LeaderLock
from dca_daemon.runtime.logging import count_events_with, listen_with
from dca_daemon.runtime.reconciler import Reconciler
from dca_daemon.runtime.recoverer import Recoverer
from dca_daemon.runtime.releaser import Releaser
from dca_daemon.runtime.service_queue import CashOutQueue
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.status_board import StatusBoard
from dca_daemon.runtime.supervisor import Service, stop_on_signals, supervise
from dca_daemon.runtime.tasks import follow, pause, until_stopped
from dca_daemon.services import baseline, commission_release, destinations, pools, retention
from dca_daemon.services.intake import Intake
from dca_daemon.services.rates import Rates
from dca_daemon.services.reconcile import ReconcileConfig, Sides, reconcile
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Reconciliation

log = structlog.get_logger()

_SECTIONS = (
    "database",
    "pool",
    "lamassu",
    "tunnel",
    "lnbits",
    "payouts",
    "security",
    "intake",
    "reconcile",
    "fixed",
    "watch",
    "notify",
    "backup",
    "retention",
    "http",
)
_GRACE_SECONDS = 6.0
_STANDBY_FIRST_SECONDS = 1.5  # a standby looks every second: who has just lost the lock lets it go first
_COMPARISON = ReconcileConfig(grace_seconds=90.0)  # a lost notification is made up for by the next scan


async def run_daemon(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT. Raises `DcaError` for what waiting can't mend."""
    settings.require(*_SECTIONS)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await Daemon(settings).run(stop)


class Daemon:
    """The parts of one daemon, built from the settings; `run` starts them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._db = wiring.open_database(settings)
        self._pacer = wiring.pacer(settings)
        self._wallet = wiring.wallet(settings, self._pacer)
        self._price_feed = wiring.price_feed(settings, self._pacer)
        self._keys = wiring.key_ring(settings)
        source_config = wiring.source_config(settings, telling=True)
        self._source = LamassuSource(source_config)
        self._queue = CashOutQueue(settings.intake.queue_size)
        payer_config = wiring.payer_config(settings)
        recoverer = Recoverer(
            self._db, self._wallet, self._keys, patience_seconds=payer_config.lookup_after_timeout_seconds
        )
        self._payer = Payer(SqlPayoutBooks(self._db), self._wallet, self._keys, payer_config, recoverer)
        self._listener = Listener(source_config, self._on_ids, self._on_connected)
        self._scanner = Scanner(
            self._source,
            self._outdated,
            self._queue_rows,
            lambda: self._listener.listening,
            wiring.scan_config(settings),
        )
        self._lock = LeaderLock(settings.database.dsn, lock_keys.LEADER)
        self._heartbeats = Heartbeats()
        self.board = StatusBoard(
            self._db,
            self._listener,
            self._scanner,
            self._queue,
            self._payer,
            self._lock,
            settings,
            source_config.tunnel,
        )
        self._notifier = wiring.notifier(settings, self._db, self.board.metrics)
        self.board.open_problems = self._notifier.desk.open_problems
        self._releaser = Releaser(lambda: commission_release.look(self._db), self._payer.wake)
        self._watcher = wiring.watcher(settings, self._db, self._source, self._payer)
        self._booker = Booker(
            self._queue,
            Intake(self._db, wiring.intake_config(settings)),
            self._on_booked,
            self._heartbeats,
            self.board.metrics,
            batch_size=settings.intake.batch_size,
        )

    def _on_ids(self, ids: list[str]) -> None:
        self._scanner.notify(ids)

    def _on_connected(self) -> None:
        self._scanner.wake(sweep=True)

    def _on_booked(self) -> None:
        self._payer.wake()
        self._releaser.wake()

    async def _outdated(self, digests: Sequence[RowDigest]) -> list[str]:
        return await baseline.outdated(self._db, digests)

    async def _queue_rows(self, rows: list[SourceRow]) -> None:
        await self._queue.put(rows)

    async def run(self, stop: asyncio.Event) -> None:
        """Runs until `stop` is set."""
        count_events_with(self.board.metrics.count_event)
        listen_with(self._notifier.hear)
        services: dict[str, Service] = {
            "active": lambda: self._active(stop),
            "watchdog": lambda: sdnotify.run_watchdog(self._heartbeats.fresh, stop),
            "notifier": lambda: self._notifier.run(stop),
        }
        server = self._health_server()
        if server is not None:
            port = server.bind()
            log.info("http.listening", host=self._settings.http.host, port=port)
            services["http"] = lambda: server.run(stop)
        sdnotify.ready("started")
        failed = True
        try:
            await supervise(services, stop, _GRACE_SECONDS + 2)
            failed = False
        finally:
            sdnotify.stopping()
            await self._notifier.finish(failed=failed)
            count_events_with(None)
            listen_with(None)
            await self._close()
            log.info("daemon.stopped")

    def _health_server(self) -> HealthServer | None:
        http = self._settings.http
        if http.port == 0:
            return None
        app = health_app(
            heartbeats=self._heartbeats,
            readiness=self.board.readiness,
            metrics=self.board.render_metrics,
            status=self.board.status,
            allowed_hosts=[http.host, *http.allowed_hosts],
        )
        return HealthServer(app, http.host, http.port)

    async def _close(self) -> None:
        for part in (self._lock, self._source, self._wallet, self._price_feed, self._db):
            await part.close()

    async def _active(self, stop: asyncio.Event) -> None:
        """Takes the lock, works, and after a loss of the lock stands by again."""
        outage = Outage()
        await until_stopped(stop, self._refuse_other_schema())
        while not stop.is_set():
            if not await until_stopped(stop, self._lock.wait_until_leader()):
                return
            self._queue.clear()
            session = asyncio.Event()
            follower = asyncio.create_task(follow(stop, session))
            try:
                await self._prepare(session)
                outage.recovered()
                await supervise(self._services(session), session, _GRACE_SECONDS)
            except DatabaseError as error:
                if error.code == migrate.SCHEMA_CODE:
                    raise
                sdnotify.status("standing by")
                if outage.failed():
                    log.warning("daemon.standing-by", reason=str(error))
            finally:
                follower.cancel()
                for name in ("intake", "payer"):
                    self._heartbeats.unregister(name)
                await self._lock.close()
            await pause(stop, max(_STANDBY_FIRST_SECONDS, outage.delay_seconds))

    async def _refuse_other_schema(self) -> None:
        """A daemon that could not take over ends now, and not in the night in which it would have to."""
        try:
            await migrate.check_revision(self._db)
        except DatabaseError as error:
            if error.code == migrate.SCHEMA_CODE:
                raise

    async def _prepare(self, session: asyncio.Event) -> None:
        """What must be right before anything is booked or paid."""
        schema = await migrate.check_revision(self._db)
        if schema.is_newer:
            log.warning("daemon.schema-newer", schema=schema.current, own=schema.wanted)
        pool = self._settings.pool
        await pools.ensure_default_pool(self._db, name=pool.name, currency=pool.currency)
        await destinations.check_keys(self._db, self._keys)
        await baseline.look_again(self._db)
        sdnotify.status("active")
        log.info("daemon.active", payouts_enabled=self._settings.payouts.enabled)

    def _services(self, session: asyncio.Event) -> dict[str, Service]:
        services: dict[str, Service] = {
            "leader": lambda: until_stopped(session, self._lock.watch()),
            "listener": lambda: until_stopped(session, self._listener.run()),
            "scanner": lambda: until_stopped(session, self._scan()),
            "intake": lambda: self._booker.run(session),
            "releaser": lambda: until_stopped(session, self._releaser.run()),
        }
        rates = Rates(self._db, self._price_feed, wiring.rates_config(self._settings))
        runner = FixedRunner(self._db, rates, self._payer.wake, retry_seconds=self._settings.fixed.retry_seconds)
        services["fixed"] = lambda: until_stopped(session, runner.run())
        keep = wiring.keep(self._settings)
        forgetter = Forgetter(lambda: retention.forget(self._db, keep))
        services["forgetter"] = lambda: until_stopped(session, forgetter.run())
        if self._settings.payouts.enabled:
            services["payer"] = lambda: self._pay(session)
            # What people book through the command line and the console is paid as soon.
            signals = Signals(self._settings.database.dsn, self._payer.nudge)
            services["signals"] = lambda: signals.run(session)
        if self._settings.reconcile.times:
            # A new one each time: another daemon may have compared meanwhile.
            reconciler = Reconciler(
                self._compare, lambda: runs.daemon_done_at(self._db), self._settings.reconcile.times_of_day
            )
            services["reconciler"] = lambda: until_stopped(session, reconciler.run())
        services["watcher"] = lambda: until_stopped(session, self._watcher.run())
        return services

    async def _compare(self) -> Reconciliation:
        """On a connection and a pace of its own, so that nothing else waits for it."""
        settings = self._settings.reconcile
        since = datetime.now(UTC) - timedelta(days=settings.window_days)
        if settings.since_time is not None:
            since = max(since, settings.since_time)
        db = wiring.open_database(self._settings, pool_size=1)
        book = wiring.payment_book(self._settings, self._pacer)
        try:
            sides = Sides(db=db, book=book, keys=self._keys, source=self._source)
            found = await reconcile(sides, since=since, config=_COMPARISON)
            await runs.save(db, found, actor=runs.DAEMON, routine=True)
            return found
        finally:
            await book.close()
            await db.close()

    async def _scan(self) -> None:
        """The baseline comes first: without it, history would look new."""
        delay_seconds = 1.0
        waited = False
        while True:
            try:
                found = await baseline.ensure(
                    self._db,
                    self._source,
                    actor="daemon",
                    new_machines_wait=self._settings.pool.new_machines_wait,
                )
                break
            except (SourceError, DatabaseError) as error:
                waited = True
                log.warning("baseline.waits", error=str(error))
                await asyncio.sleep(delay_seconds * random.uniform(0.75, 1.0))  # noqa: S311 - jitter
                delay_seconds = min(5.0, delay_seconds * 2)
        if waited:
            log.info("baseline.found", at=found.at.isoformat())
        self.board.baseline_at = found.at
        await self._scanner.run()

    async def _pay(self, session: asyncio.Event) -> None:
        self._heartbeats.register("payer", SILENT_SECONDS)
        await self._payer.run(session, lambda: self._heartbeats.beat("payer"))
