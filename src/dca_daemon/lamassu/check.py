"""Looks at Lamassu's database the way an operator would want it looked at before trusting money to it.

Every finding says what was looked at, whether it is well (True), wrong (False) or worth a look (None), and what
to do. Operational faults become findings, never exceptions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import AsyncConnection

from dca_daemon.domain.errors import SourceError
from dca_daemon.domain.moments import apart_seconds
from dca_daemon.lamassu.check_rights import excess_rights
from dca_daemon.lamassu.check_way import transport
from dca_daemon.lamassu.columns import CASH_OUT_TXS
from dca_daemon.lamassu.connection import SourceConfig, connect, notify, patience_seconds, source_error
from dca_daemon.lamassu.finding import GRANTS, Finding
from dca_daemon.lamassu.identifiers import quote_identifier
from dca_daemon.lamassu.shape import Shape, read_shape
from dca_daemon.lamassu.trigger import PROBE_PREFIX, inspect
from dca_daemon.ledger.patience import answered

_OLDEST_SERVER = 90500
_CLOCK_SECONDS = 5.0
__all__ = ["Finding", "check_source"]
_QUEUE_FRACTION = 0.1
_PROBE_SECONDS = 3.0
_INSTALL = "run `dca-daemon lamassu install-trigger`; until then the scan finds cash-outs every few seconds"


async def check_source(config: SourceConfig) -> list[Finding]:
    """All findings, the fundamental ones first. Where the database can't be reached there is only one."""
    try:
        conn = await connect(config)
    except SourceError as exc:
        return [Finding("reachable", False, exc.message, exc.remedy or "")]
    async with conn:
        findings = [Finding("reachable", True, f"connected to {config.place}")]
        for name, look in (
            ("server", _server),
            ("columns", _columns),
            ("transport", transport),
            ("excess-rights", excess_rights),
            ("clock", _clock),
            ("trigger", _trigger),
            ("queue", _queue),
            ("latest", _latest),
        ):
            findings += await _safely(config, name, conn, look)
    return findings + await _listen(config)


Look = Callable[[AsyncConnection, SourceConfig], Awaitable[list[Finding]]]


async def _safely(config: SourceConfig, name: str, conn: AsyncConnection, look: Look) -> list[Finding]:
    async def work() -> list[Finding]:
        return await look(conn, config)

    try:
        return await answered(conn, patience_seconds(config), work())
    except (psycopg.Error, OSError, SourceError) as exc:
        error = source_error(exc, config)
        return [Finding(name, False, error.message, error.remedy or "")]


async def _one(conn: AsyncConnection, query: str, parameters: tuple[Any, ...] = ()) -> tuple[Any, ...]:
    row = await (await conn.execute(query, parameters)).fetchone()
    assert row is not None
    return row


async def _server(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    number, text, standby = await _one(
        conn,
        "SELECT pg_catalog.current_setting('server_version_num')::integer,"
        " pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery()",
    )
    recent = number >= _OLDEST_SERVER
    return [
        Finding("server", recent, f"PostgreSQL {text}", "" if recent else "9.5 is the oldest that is supported"),
        Finding(
            "standby", None, "it is a standby: LISTEN can't work there, and rows arrive late", "use the primary"
        )
        if standby
        else Finding("standby", True, "it is the primary"),
    ]


async def _columns(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    shape = await read_shape(conn)
    try:
        shape.require()
    except SourceError as exc:
        return [Finding("columns", False, exc.message, exc.remedy or "")]
    return [Finding("columns", True, "every needed column is there and can be read"), *_optional(shape)]


def _optional(shape: Shape) -> list[Finding]:
    fee = shape.has(CASH_OUT_TXS, "fixed_fee")
    return [
        Finding("actions", True, "the time of each dispense can be read")
        if shape.has_actions
        else Finding(
            "actions", None, "cash_out_actions can't be read: times are when a cash-out was seen", GRANTS
        ),
        Finding("devices", True, "the machines' names can be read")
        if shape.has_devices
        else Finding("devices", None, "devices can't be read: machines are shown by their ids", GRANTS),
        Finding(
            "fixed-fee", True, f"this release of Lamassu has {'a' if fee else 'no'} fixed fee that we can read"
        ),
    ]


async def _clock(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    before = datetime.now(UTC)
    (theirs,) = await _one(conn, "SELECT pg_catalog.clock_timestamp()")
    after = datetime.now(UTC)
    away_seconds = apart_seconds(before, theirs, after)
    if away_seconds > _CLOCK_SECONDS:
        text = f"its clock and ours are {away_seconds:.0f} s apart"
        return [Finding("clock", None, text, "set up time synchronisation on both machines")]
    return [Finding("clock", True, "its clock and ours agree")]


async def _trigger(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    status = await inspect(conn, config.channel)
    if status.trouble is not None:
        return [Finding("trigger", None, status.trouble, _INSTALL)]
    return [Finding("trigger", True, f"the trigger is installed and notifies on {config.channel}")]


async def _queue(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    """A full queue would make the COMMIT of a notifying transaction fail: the ATM's."""
    if conn.info.server_version < 90600:
        return []
    (usage,) = await _one(conn, "SELECT pg_catalog.pg_notification_queue_usage()::numeric")
    if usage > _QUEUE_FRACTION:
        text = f"the queue of notifications is {usage:.0%} full"
        return [
            Finding("queue", False, text, "find the session that LISTENs inside a long transaction, and end it")
        ]
    return [Finding("queue", True, "the queue of notifications is empty" if not usage else "the queue is short")]


async def _latest(conn: AsyncConnection, config: SourceConfig) -> list[Finding]:
    (newest,) = await _one(
        conn, "SELECT pg_catalog.max(created) FROM public.cash_out_txs WHERE pg_catalog.isfinite(created)"
    )
    if newest is None:
        return [Finding("latest", None, "there is no cash-out yet", "is this the right database?")]
    return [Finding("latest", True, f"the newest cash-out is of {newest:%Y-%m-%d %H:%M} UTC")]


async def _listen(config: SourceConfig) -> list[Finding]:
    deaf = "set lamassu.listen_dsn to a direct connection to the primary; until then the scan does the work"
    try:
        conn = await connect(config, listening=True)
    except SourceError as exc:
        return [Finding("listen", False, exc.message, exc.remedy or "")]
    async with conn:
        try:
            heard = await answered(conn, _PROBE_SECONDS * 2, _hears_itself(conn, config))
        except (psycopg.Error, OSError, SourceError) as exc:
            return [Finding("listen", None, f"LISTEN fails: {source_error(exc, config).message}", deaf)]
    if not heard:
        return [Finding("listen", None, "LISTEN is deaf: our own notification did not come back", deaf)]
    return [Finding("listen", True, "notifications get through")]


async def _hears_itself(conn: AsyncConnection, config: SourceConfig) -> bool:
    token = f"{PROBE_PREFIX}check-{id(conn):x}"
    await conn.execute(f"LISTEN {quote_identifier(config.channel)}")
    await notify(config, token)
    end = asyncio.get_running_loop().time() + _PROBE_SECONDS
    while (left := end - asyncio.get_running_loop().time()) > 0:
        async for heard in conn.notifies(timeout=left, stop_after=1):
            if heard.payload == token:
                return True
    return False
