"""Lamassu's past cash-outs in the order in which they happened, read so that its database hardly feels it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from psycopg.conninfo import make_conninfo

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import InputError
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.scanner import ScanConfig
from dca_daemon.lamassu.source import RowDigest
from dca_daemon.services.baseline import LATE_AT_MOST
from dca_daemon.services.intake import in_time

# Each page may look through all of `cash_out_actions`, which need not have an index for it: few, and large.
_PAGE = 2_000
_LEAST_POLL_SECONDS, _LEAST_SCAN_SECONDS, _LEAST_SWEEP_SECONDS = 15.0, 120.0, 21_600.0


class History(Protocol):
    """What this needs of Lamassu's database: `LamassuSource`."""

    async def now(self) -> datetime:
        """Its own clock."""

    def digests(self, since: timedelta) -> AsyncIterator[list[RowDigest]]:
        """Pages of what was created or confirmed within that time."""

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        """These rows, with the time of the dispense where it may be read."""


def as_second_reader(config: SourceConfig, name: str) -> SourceConfig:
    """The same database, with sessions that can be told from those of a daemon that is at work."""
    return replace(
        config,
        dsn=make_conninfo(config.dsn, application_name=name),
        listen_dsn=make_conninfo(config.listen_dsn or config.dsn, application_name=name),
    )


def patient(config: ScanConfig) -> ScanConfig:
    """No haste: nobody waits for what is only shown."""
    return replace(
        config,
        poll_interval_seconds=max(config.poll_interval_seconds, _LEAST_POLL_SECONDS),
        scan_interval_seconds=max(config.scan_interval_seconds, _LEAST_SCAN_SECONDS),
        sweep_interval_seconds=max(config.sweep_interval_seconds, _LEAST_SWEEP_SECONDS),
    )


async def successes_in_time(
    source: History, since: datetime, until: datetime | None
) -> AsyncIterator[list[SourceRow]]:
    """All that was paid out from `since` to before `until` (None: now), page by page.

    After each page it rests as long as the page took, so that at most half of one of their cores works for it.
    Raises `InputError` for a time in the future, and `SourceError`.
    """
    now = await source.now()
    if since >= now:
        raise InputError(f"{since.isoformat()} lies in the future", field="since")
    # Paid out since then is what was created since then, or up to a month before.
    found = sorted([(d.created, d.external_id) async for d in _successes(source, now - since + LATE_AT_MOST)])
    waiting: list[SourceRow] = []
    for start in range(0, len(found), _PAGE):
        began = time.monotonic()
        waiting += await source.fetch([external_id for _, external_id in found[start : start + _PAGE]])
        took_seconds = time.monotonic() - began
        waiting.sort(key=in_time)
        last = start + _PAGE >= len(found)
        # What is still to be read was created later, so that it happened later than all before this.
        ready = waiting if last else [row for row in waiting if in_time(row)[0] < found[start + _PAGE][0]]
        waiting = waiting[len(ready) :]
        page = [row for row in ready if since <= in_time(row)[0] and (until is None or in_time(row)[0] < until)]
        if page:
            yield page
        if not last:
            await asyncio.sleep(took_seconds)


async def _successes(source: History, window: timedelta) -> AsyncIterator[RowDigest]:
    async for page in source.digests(window):
        for digest in page:
            if digest.success:
                yield digest
