"""Small waits that end early when the daemon stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def until_stopped(stop: asyncio.Event, work: Awaitable[object]) -> bool:
    """Does `work`, unless `stop` is set first: then it is cancelled. Whether the work was done."""
    task = asyncio.ensure_future(work)
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
            return True
        return False
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Waits, at most until `stop` is set."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass


async def follow(leader: asyncio.Event, follower: asyncio.Event) -> None:
    """Sets `follower` once `leader` is set."""
    await leader.wait()
    follower.set()
