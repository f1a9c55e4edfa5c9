"""What `doctor` looks at of the backups."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import Database
from dca_daemon.services.backups import folder, programs, runs
from dca_daemon.services.backups.make import BackupConfig, server
from dca_daemon.services.backups.runs import Last
from dca_daemon.services.doctor.findings import ExpectedBackups, Finding, Level, Subject, books_fit, judged

_DRILL_EACH = timedelta(days=100)


async def check_backups(subject: Subject) -> list[Finding]:
    """Whether there are backups, recent ones, that somebody has tried to restore."""
    if subject.backups is None or not await books_fit(subject):
        return []
    assert subject.books is not None
    return await _look(subject.books, subject.backups)


async def _look(db: Database, expected: ExpectedBackups) -> list[Finding]:
    config = expected.config
    if config.folder is None:
        text = "this program makes no backups: there is no backup.folder in the configuration"
        return [judged("backups", "configured", False, text, "set it up: docs/backup.md", or_else=Level.WARN)]
    last = await runs.last(db)
    return [
        _configured(config),
        await _programs(db, config),
        _age(last, expected.max_age_seconds),
        *_failure(last),
        _drill(last),
    ]


def _configured(config: BackupConfig) -> Finding:
    try:
        place = config.place()
        folder.check(place)
    except DcaError as error:
        return judged("backups", "configured", False, error.message, error.remedy or "see docs/backup.md")
    if not config.recipients:
        text = f"backups in {place} are not encrypted"
        return judged(
            "backups", "configured", False, text, "set backup.recipients: docs/backup.md", or_else=Level.WARN
        )
    return judged("backups", "configured", True, f"into {place}, public keys: {len(config.recipients)}", "")


async def _programs(db: Database, config: BackupConfig) -> Finding:
    async with db.transaction() as conn:
        _, major = await server(conn)
    try:
        using = await asyncio.to_thread(programs.find, major, config.pg_bin)
    except DcaError as error:
        return judged("backups", "pg-dump", False, error.message, error.remedy or "")
    return judged("backups", "pg-dump", True, f"{using.dump} is of PostgreSQL {using.major}", "")


def _age(last: Last, max_age_seconds: float) -> Finding:
    if last.good_at is None or last.good_age_seconds is None:
        return judged(
            "backups",
            "age",
            False,
            "no backup was made yet",
            "systemctl enable --now dca-backup.timer",
            or_else=Level.WARN,
        )
    text = f"the last good backup is {last.good_age_seconds / 3600:.0f} hours old, of {last.good_at.isoformat()}"
    remedy = "see why: journalctl -u dca-backup; then: systemctl start dca-backup"
    return judged("backups", "age", last.good_age_seconds <= max_age_seconds, text, remedy)


def _failure(last: Last) -> list[Finding]:
    if last.failed_at is None:
        return []
    text = f"the last try, at {last.failed_at.isoformat()}, failed: {last.error}"
    return [judged("backups", "last-try", False, text, "do what it says; then: systemctl start dca-backup")]


def _drill(last: Last) -> Finding:
    remedy = "dca-daemon backup drill"
    if last.drilled_at is None:
        return judged(
            "backups",
            "drill",
            False,
            "nobody has tried yet whether a backup can be restored",
            remedy,
            or_else=Level.WARN,
        )
    recent = datetime.now(UTC) - last.drilled_at < _DRILL_EACH
    return judged(
        "backups",
        "drill",
        recent,
        f"the last drill was at {last.drilled_at.isoformat()}",
        remedy,
        or_else=Level.WARN,
    )
