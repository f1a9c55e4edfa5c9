"""How often somebody may try to log in: waits that grow, for a name and for where the tries come from."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.text import storable
from dca_daemon.ledger.db import Database, execute, one, scalar

WINDOW = timedelta(minutes=15)
NAME_TRIES = 5
ADDRESS_TRIES = 20
FIRST_WAIT = timedelta(seconds=30)  # after the last free try; doubled with each further one, up to the window
_NAME_CHARS = 40


async def begin(db: Database, *, name: str, address: str) -> int | None:
    """Counts a try as failed, before it is known; its number. None: it is too early for another one.

    So a burst of tries at once is counted as well as one after another.
    """
    name, address = typed_name(name), place(address)

    async def work(conn: AsyncConnection) -> int | None:
        for key in sorted({_lock_key(f"name {name}"), _lock_key(f"address {address}")}):
            await execute(conn, "SELECT pg_advisory_xact_lock(:key)", key=key)
        for column, value, free in (("name", name, NAME_TRIES), ("address", address, ADDRESS_TRIES)):
            seen = await one(
                conn,
                f"""SELECT count(*) AS tries, clock_timestamp() - max(at) AS since FROM login_failure
                     WHERE {column} = :value AND at > clock_timestamp() - CAST(:window AS interval)""",  # noqa: S608
                value=value,
                window=WINDOW,
            )
            if seen.tries >= free and seen.since < _wait(seen.tries - free):
                return None
        return int(
            await scalar(
                conn,
                "INSERT INTO login_failure (name, address) VALUES (:name, :address) RETURNING id",
                name=name,
                address=address,
            )
        )

    return await db.run(work)


async def succeeded(conn: AsyncConnection, *, name: str, address: str) -> None:
    """Forgets the tries for this name from there. Those from elsewhere are somebody else's, perhaps."""
    await execute(
        conn,
        "DELETE FROM login_failure WHERE name = :name AND address = :address",
        name=typed_name(name),
        address=place(address),
    )


def typed_name(text: str) -> str:
    """The name as it is looked for."""
    return storable(text.strip().lower()[:_NAME_CHARS])


def place(address: str) -> str:
    """Where somebody is: with IPv6, the network, as one subscriber has all of its addresses."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return storable(address[:100])
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _wait(beyond: int) -> timedelta:
    return min(FIRST_WAIT * (1 << min(beyond, 10)), WINDOW)


def _lock_key(text: str) -> int:
    """Our own among advisory locks of one number, by chance at most."""
    return int.from_bytes(hashlib.sha256(f"dca-login {text}".encode()).digest()[:8], "big", signed=True)
