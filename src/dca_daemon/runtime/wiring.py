"""From settings to the parts that the doors and the daemon use. The rooms below never see the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.scanner import ScanConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.lamassu.tunnel import Tunnel, TunnelConfig
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.lnurl import LnurlConfig
from dca_daemon.payouts.pacing import Pacer, SlowerPacer
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.runtime.alert_desk import AlertDesk
from dca_daemon.runtime.metrics import Metrics
from dca_daemon.runtime.notifier import Notifier
from dca_daemon.runtime.notify_targets import open_targets
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.version import program_version
from dca_daemon.runtime.watcher import (
    BackupWatch,
    Check,
    ClockWatch,
    DiskWatch,
    UnknownWatch,
    WalletWatch,
    Watcher,
)
from dca_daemon.services import alert_state, retention
from dca_daemon.services.backups import runs as backup_runs
from dca_daemon.services.backups.drill import DrillConfig, with_database
from dca_daemon.services.backups.make import BackupConfig
from dca_daemon.services.backups.restore import Target
from dca_daemon.services.backups.rotation import Keep
from dca_daemon.services.doctor.findings import ExpectedBackups
from dca_daemon.services.intake import IntakeConfig
from dca_daemon.services.rates import RatesConfig
from dca_daemon.services.status import database_now

_RECEIVER_PATIENCE_SECONDS = 15.0  # a person waits for it


def open_database(settings: Settings, *, pool_size: int | None = None) -> Database:
    """Our own database, for the daemon; it connects when it is first used."""
    return Database(
        settings.database.sqlalchemy_url,
        pool_size=pool_size or settings.database.pool_size,
        statement_timeout_seconds=settings.database.statement_timeout_seconds,
    )


def key_ring(settings: Settings) -> KeyRing:
    """What seals and opens invoice keys."""
    return KeyRing("\n".join(settings.security.fernet_keys))


def pacer(settings: Settings) -> Pacer:
    """How many requests LNbits is sent."""
    return Pacer(settings.lnbits_without_key.requests_per_minute)


def wallet(settings: Settings, pace: Pacer | None = None) -> LnbitsWallet:
    """The source wallet on LNbits."""
    return LnbitsWallet(_lnbits_config(settings), pacer=pace or pacer(settings))


def receivers(settings: Settings) -> LnbitsWallet:
    """Only to ask whether a destination can be paid: it holds no key that could pay."""
    lnbits = settings.lnbits_without_key
    config = LnbitsConfig(
        url=lnbits.url,
        admin_key="",
        read_timeout_seconds=_RECEIVER_PATIENCE_SECONDS,
        max_connections=2,
        lnurl=LnurlConfig(allow_private=settings.payouts.allow_private_lnurl),
    )
    return LnbitsWallet(config, pacer=Pacer(lnbits.requests_per_minute))


def payment_book(settings: Settings, within: Pacer | None = None) -> LnbitsWallet:
    """What LNbits has recorded, read one request after the other at a quarter of the pace: payments go first."""
    slow = SlowerPacer(max(1, settings.lnbits.requests_per_minute // 4), within or pacer(settings))
    return LnbitsWallet(replace(_lnbits_config(settings), max_connections=1), pacer=slow)


def price_feed(settings: Settings, pace: Pacer | None = None) -> LnbitsRates:
    """What LNbits says that a bitcoin costs."""
    lnbits = settings.lnbits_without_key
    return LnbitsRates(lnbits.url, pacer=pace or pacer(settings), read_timeout_seconds=lnbits.timeout_seconds)


def rates_config(settings: Settings) -> RatesConfig:
    """Which rates may be used."""
    fixed = settings.fixed
    return RatesConfig(
        lnbits_max_age_seconds=fixed.lnbits_rate_max_age_seconds,
        ticker_max_age_seconds=fixed.ticker_max_age_seconds,
        max_deviation_percent=fixed.max_deviation_percent,
    )


def _lnbits_config(settings: Settings) -> LnbitsConfig:
    lnbits, payouts = settings.lnbits, settings.payouts
    return LnbitsConfig(
        url=lnbits.url,
        admin_key=lnbits.admin_key.get_secret_value(),
        records_wallet_id=lnbits.source_wallet_id,
        requests_per_minute=lnbits.requests_per_minute,
        max_invoice_sats=payouts.max_payout_sats,
        read_timeout_seconds=lnbits.timeout_seconds,
        max_connections=payouts.concurrency,
        lnurl=LnurlConfig(allow_private=payouts.allow_private_lnurl),
    )


def tunnel(settings: Settings, *, telling: bool = False) -> Tunnel | None:
    """The SSH tunnel to Lamassu's database, not open yet; `telling`: it logs. None where there is to be none."""
    chosen = settings.tunnel
    if chosen.host is None:
        return None
    assert chosen.user is not None  # the settings see to it
    return Tunnel(
        TunnelConfig(
            host=chosen.host,
            port=chosen.port,
            user=chosen.user,
            host_keys=chosen.host_keys,
            private_key=None if chosen.key is None else chosen.key.get_secret_value(),
            agent=None if chosen.agent is None else str(chosen.agent),
            connect_timeout_seconds=chosen.connect_timeout_seconds,
            keepalive_seconds=chosen.keepalive_seconds,
        ),
        telling=telling,
    )


def source_config(settings: Settings, *, telling: bool = False) -> SourceConfig:
    """How to reach Lamassu's database. Each has a tunnel of its own: who uses it closes it, as `LamassuSource`."""
    lamassu = settings.lamassu
    return SourceConfig(
        dsn=lamassu.dsn.get_secret_value(),
        listen_dsn=lamassu.listen_dsn_or_dsn,
        channel=lamassu.channel,
        connect_timeout_seconds=lamassu.connect_timeout_seconds,
        statement_timeout_seconds=lamassu.statement_timeout_seconds,
        tunnel=tunnel(settings, telling=telling),
    )


def scan_config(settings: Settings) -> ScanConfig:
    """How far back and how often Lamassu is read."""
    lamassu = settings.lamassu
    return ScanConfig(
        window_days=lamassu.window_days,
        scan_interval_seconds=lamassu.scan_interval_seconds,
        poll_interval_seconds=lamassu.poll_interval_seconds,
        sweep_interval_seconds=lamassu.sweep_interval_seconds,
    )


def intake_config(settings: Settings) -> IntakeConfig:
    """How cash-outs are split."""
    lamassu = settings.lamassu
    return IntakeConfig(
        split_method=lamassu.split_method,
        charge=lamassu.charge,
        new_machines_wait=settings.pool.new_machines_wait,
    )


def keep(settings: Settings) -> retention.Keep:
    """How long what is no part of the books is kept."""
    return retention.Keep(**settings.retention.model_dump())


def payer_config(settings: Settings) -> PayerConfig:
    """How payouts are made."""
    payouts = settings.payouts
    return PayerConfig(
        concurrency=payouts.concurrency,
        invoice_expiry_seconds=payouts.invoice_expiry_seconds,
        max_payout_sats=payouts.max_payout_sats,
        lookup_after_timeout_seconds=payouts.lookup_after_timeout_seconds,
        trust_external_failures=payouts.trust_external_failures,
        wallet_reserve_sats=payouts.wallet_reserve_sats,
    )


def watcher(settings: Settings, db: Database, source: LamassuSource, payer: Payer) -> Watcher:
    """What is looked at every minute."""
    watch = settings.watch
    checks: dict[str, Check] = {
        "disk": DiskWatch(watch.disk_paths, least_percent=watch.disk_free_percent),
        "clock": ClockWatch(
            {"our database's": lambda: database_now(db), "Lamassu's database's": source.now},
            most_seconds=watch.clock_seconds,
        ),
        "unknown payouts": UnknownWatch(db, most_seconds=60.0 * watch.unknown_minutes),
    }
    if settings.backup.folder is not None:
        most_seconds = 3600.0 * settings.backup.max_age_hours
        checks["backups"] = BackupWatch(lambda: backup_runs.last(db), most_seconds=most_seconds)
    if watch.wallet_low_sats:
        checks["wallet"] = WalletWatch(lambda: payer.funds.balance_sats, low_sats=watch.wallet_low_sats)
    return Watcher(checks)


def notifier(settings: Settings, db: Database, metrics: Metrics) -> Notifier:
    """Who is told when something alerts. Raises `ConfigError` for an address that is none."""
    notify = settings.notify
    desk = AlertDesk(
        least=notify.severity,
        group_seconds=float(notify.group_seconds),
        repeat_seconds=3600.0 * notify.repeat_hours,
    )
    return Notifier(
        open_targets(notify.addresses),
        desk,
        name=notify.name,
        load=lambda: alert_state.load(db),
        save=lambda alerts: alert_state.save(db, alerts),
        on_sent=metrics.count_notification,
    )


def backup_config(settings: Settings) -> BackupConfig:
    """How backups are made."""
    backup = settings.backup
    return BackupConfig(
        dsn=settings.database.dsn,
        folder=backup.folder,
        recipients=backup.recipients,
        unencrypted=backup.unencrypted,
        keep=Keep(backup.keep_daily, backup.keep_weekly, backup.keep_monthly),
        pg_bin=backup.pg_bin,
        timeout_seconds=backup.timeout_seconds,
        program_version=program_version(),
    )


def expected_backups(settings: Settings) -> ExpectedBackups:
    """What `doctor` goes by."""
    return ExpectedBackups(backup_config(settings), settings.backup.max_age_hours * 3600)


def drill_config(settings: Settings, *, identities: Sequence[Any] | None, archive: Path | None) -> DrillConfig:
    """What a drill takes."""
    return DrillConfig(
        backup=backup_config(settings),
        server_dsn=settings.backup.drill_dsn or settings.database.dsn,
        identities=identities,
        archive=archive,
    )


def restore_target(settings: Settings, database: str | None) -> Target:
    """Our own database, or another one of its server."""
    dsn = settings.database.dsn
    return Target(
        dsn=dsn if database is None else with_database(dsn, database),
        pg_bin=settings.backup.pg_bin,
        timeout_seconds=settings.backup.timeout_seconds,
    )
