"""Waiting for a PostgreSQL that may never answer: frozen, or gone without a word.

psycopg answers a cancellation by waiting for the server to confirm it, and a frozen server never does. Hanging
up (shutting the socket) ends every wait at once, as an error of the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Coroutine
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")

# A link that is gone without a word is noticed in about ten seconds, and at once when the other end is back: its
# kernel knows nothing of the connection, and answers the next probe with a reset. Used on every connection to a
# PostgreSQL; the second is for what was sent and never acknowledged.
KEEPALIVE_IDLE_SECONDS = 5
KEEPALIVE_INTERVAL_SECONDS = 2
KEEPALIVE_COUNT = 3
UNACKNOWLEDGED_SECONDS = 8
CLIENT_KEEPALIVES: dict[str, Any] = {
    "keepalives": 1,
    "keepalives_idle": KEEPALIVE_IDLE_SECONDS,
    "keepalives_interval": KEEPALIVE_INTERVAL_SECONDS,
    "keepalives_count": KEEPALIVE_COUNT,
    "tcp_user_timeout": UNACKNOWLEDGED_SECONDS * 1000,
}
# The same for the server's end, so that what a vanished daemon held (locks, above all the active one's) is free.
SERVER_KEEPALIVES = (
    f"-c tcp_keepalives_idle={KEEPALIVE_IDLE_SECONDS} -c tcp_keepalives_interval={KEEPALIVE_INTERVAL_SECONDS}"
    f" -c tcp_keepalives_count={KEEPALIVE_COUNT} -c tcp_user_timeout={UNACKNOWLEDGED_SECONDS * 1000}"
    " -c client_connection_check_interval=2s"
)


async def answered(conn: psycopg.AsyncConnection[Any], seconds: float | None, work: Coroutine[Any, Any, T]) -> T:
    """Awaits work on a connection for at most `seconds` (None: any time); then, or when cancelled, hangs up.

    Raises `psycopg.OperationalError` when there was no answer in time; the connection is of no use then.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
        late = not task.done()
        if late:
            hang_up(conn)
            await asyncio.wait({task})
    except asyncio.CancelledError:
        hang_up(conn)
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # it is ours alone: nobody else looks at it
        raise
    if late and task.exception() is not None:
        raise psycopg.OperationalError(f"no answer for {seconds:g} seconds") from task.exception()
    return task.result()


def hang_up(conn: psycopg.AsyncConnection[Any]) -> None:
    """Shuts the socket down under the connection, which sees the end of it and fails."""
    with contextlib.suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(conn.pgconn.socket)) as sock:
        sock.shutdown(socket.SHUT_RDWR)
