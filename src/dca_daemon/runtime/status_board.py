"""What /readyz, /metrics and /status tell, gathered from the daemon's parts and the books."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.lamassu.listener import Listener
from dca_daemon.lamassu.scanner import Scanner
from dca_daemon.lamassu.tunnel import Tunnel
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.payer import Payer
from dca_daemon.runtime.health import Component, Readiness
from dca_daemon.runtime.leader import LeaderLock
from dca_daemon.runtime.metrics import Metrics, Snapshot
from dca_daemon.runtime.service_queue import CashOutQueue
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.version import program_version
from dca_daemon.services import fixed_status
from dca_daemon.services.backups import runs as backup_runs
from dca_daemon.services.fixed_status import FixedStatus
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Kind
from dca_daemon.services.reconciliation.runs import LastRun
from dca_daemon.services.status import BooksStatus, status

VERSION = program_version()
_FRESH_SECONDS = 2.0
_OVERDUE_SECONDS = 300.0


class StatusBoard:
    """Reads; changes nothing. The books are asked at most every two seconds, however often it is called."""

    def __init__(
        self,
        db: Database,
        listener: Listener,
        scanner: Scanner,
        queue: CashOutQueue,
        payer: Payer,
        lock: LeaderLock,
        settings: Settings,
        tunnel: Tunnel | None = None,
    ) -> None:
        self._db = db
        self._listener = listener
        self._scanner = scanner
        self._queue = queue
        self._payer = payer
        self._lock = lock
        self._settings = settings
        self._tunnel = tunnel
        self._books: BooksStatus | None = None
        self._books_error: str | None = None
        self._compared: LastRun | None = None
        self._fixed: FixedStatus | None = None
        self._backup: backup_runs.Last | None = None
        self._read_at = float("-inf")
        self.baseline_at: datetime | None = None
        self.open_problems: Callable[[], Mapping[str, int]] = dict
        self.metrics = Metrics(self._snapshot, version=VERSION)

    async def _refresh(self) -> BooksStatus | None:
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            try:
                self._compared = await runs.last(self._db)
                self._backup = await backup_runs.last(self._db)
                self._fixed = await fixed_status.status(self._db, datetime.now(UTC))
                self._books, self._books_error = await status(self._db), None
            except DatabaseError as error:
                self._compared, self._fixed, self._backup = None, None, None
                self._books, self._books_error = None, str(error)
            self._read_at = time.monotonic()
        return self._books

    def _snapshot(self) -> Snapshot:
        books, compared, fixed = self._books, self._compared, self._fixed
        backup_at = self._backup.good_at if self._backup else None
        now = datetime.now(UTC)
        return Snapshot(
            cash_outs=books.cash_outs if books else {},
            payouts=books.payouts if books else {},
            owed_sats=books.owed_sats + books.in_payout_sats + books.held_sats if books else None,
            gathered_sats=books.gathered_sats if books else None,
            oldest_owed_seconds=books.oldest_owed_seconds if books else None,
            source_wallet_balance_sats=self._payer.funds.balance_sats,
            tunnel_up=self._tunnel.up if self._tunnel and self._lock.is_leader else None,
            listener_mode=self._listener.status.mode,
            scan_lag_seconds=self._scanner.lag_seconds,
            queue_length=self._queue.size,
            leader=self._lock.is_leader,
            reconcile_differences={str(kind): compared.counts.get(kind, 0) for kind in Kind} if compared else None,
            reconcile_age_seconds=compared.complete_age_seconds if compared else None,
            fixed_waiting_runs=fixed.waiting if fixed else None,
            fixed_next_run_seconds=_seconds(now, fixed.next_due_at) if fixed else None,
            fixed_last_run_age_seconds=_seconds(fixed.last_run_at, now) if fixed else None,
            open_problems=self.open_problems(),
            backup_last_success_timestamp_seconds=backup_at.timestamp() if backup_at else None,
        )

    async def render_metrics(self) -> bytes:
        """For Prometheus."""
        await self._refresh()
        return self.metrics.render()

    async def readiness(self) -> Readiness:
        """Whether the job gets done, component by component."""
        await self._refresh()
        # It can be read, and yet take no writes: a full disk, a switch to read-only.
        trouble = self._books_error or self._db.work_error
        database = Component(trouble is None, trouble)
        if not self._lock.is_leader:
            return Readiness("standby", {"database": database})
        return Readiness(
            "active",
            {
                "database": database,
                "lamassu": self._lamassu(),
                "lnbits": Component(self._payer.outage is None, self._payer.outage),
                "source_wallet": self._source_wallet(),
                "payouts": Component(
                    self._settings.payouts.enabled,
                    None if self._settings.payouts.enabled else "payouts.enabled is false",
                ),
            },
        )

    def _source_wallet(self) -> Component:
        funds = self._payer.funds
        if not funds.short:
            return Component(True)
        return Component(False, f"payouts wait: {funds.missing_sats:,} sats are missing in the source wallet")

    def _lamassu(self) -> Component:
        state = self._scanner.status
        if self._tunnel is not None and self._tunnel.trouble is not None:
            return Component(False, self._tunnel.trouble)
        if state.last_error is not None:
            return Component(False, state.last_error)
        if state.last_scan_at is None:
            return Component(False, "the first scan is not done yet")
        lag_seconds = self._scanner.lag_seconds or 0.0
        if lag_seconds > _OVERDUE_SECONDS + 3 * self._settings.lamassu.scan_interval_seconds:
            return Component(False, f"the last complete scan was {lag_seconds:.0f} s ago")
        return Component(True)

    async def status(self) -> Mapping[str, object]:
        """Everything in one look."""
        books = await self._refresh()
        listener, scanner = self._listener.status, self._scanner.status
        return {
            "version": VERSION,
            "role": "active" if self._lock.is_leader else "standby",
            "mode": listener.mode,
            "mode_reason": listener.reason,
            "mode_since": listener.since.isoformat(),
            "tunnel": None if self._tunnel is None else {"up": self._tunnel.up, "trouble": self._tunnel.trouble},
            "last_notification_at": _iso(listener.last_notification_at),
            "last_scan_at": _iso(scanner.last_scan_at),
            "scan_lag_seconds": None if self._scanner.lag_seconds is None else round(self._scanner.lag_seconds, 1),
            "last_error": scanner.last_error,
            "baseline_at": _iso(self.baseline_at),
            "queue_length": self._queue.size,
            "payouts_enabled": self._settings.payouts.enabled,
            "lnbits_error": self._payer.outage,
            "source_wallet_balance_sats": self._payer.funds.balance_sats,
            "source_wallet_missing_sats": self._payer.funds.missing_sats,
            "books": asdict(books) if books else None,
            "books_error": self._books_error,
            "reconcile": asdict(self._compared) if self._compared else None,
            "fixed": _plain(self._fixed) if self._fixed else None,
            "backup": _plain(self._backup) if self._backup else None,
        }


def _plain(found: FixedStatus | backup_runs.Last) -> dict[str, object]:
    return {name: _iso(v) if isinstance(v, datetime) else v for name, v in asdict(found).items()}


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max(0.0, (until - since).total_seconds())


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
