"""Server-sent events: for pages, that something of theirs has changed; for programs, the events themselves.

Both end by themselves: when the process stops, when who reads may read no longer, and when the reader is gone (the
server then closes the generator). Browsers and programs come back by themselves.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from dataclasses import dataclass

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import StreamingResponse

from dca_daemon.domain.errors import DatabaseError, DcaError, InputError
from dca_daemon.services.events import Feed, check_kinds
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.services.webhook_deliveries import body_of

STREAMS_MAX = 100
_PAGE = 200
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}  # the latter: nginx must not gather it


class TooManyStreamsError(DcaError):
    """As many read along as may: to be answered with 503."""

    code = "too-many-streams"


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """All in seconds. `ping`: the longest silence; `gap`: the shortest time between two changes that are told to a
    page; `recheck`: how often it is looked whether who reads may still."""

    ping_seconds: float = 15
    gap_seconds: float = 1
    recheck_seconds: float = 60
    return_seconds: float = 3


Allowed = Callable[[], Awaitable[bool]]
Guard = Callable[[Request], Awaitable[object]]  # raises an error of ours for who may not


@dataclass(frozen=True, slots=True)
class Live:
    """What streams are made of; one for the process."""

    feed: Feed
    subscriptions: Subscriptions
    times: StreamTimes = StreamTimes()

    def response(self, stream: AsyncIterator[bytes]) -> StreamingResponse:
        """The stream as an answer."""
        return StreamingResponse(stream, media_type="text/event-stream", headers=_HEADERS)

    def check_room(self) -> None:
        """Raises `TooManyStreamsError` when nobody more may read along."""
        if len(self.subscriptions) >= STREAMS_MAX:
            raise TooManyStreamsError(
                f"{STREAMS_MAX} pages and programs read along already", remedy="close some, or try again later"
            )


def live_of(request: Request) -> Live:
    """The streams of the application that was asked."""
    live = request.app.state.live
    assert isinstance(live, Live)
    return live


def still(request: Request, guard: Guard) -> Allowed:
    """Whether who asked would still be let in: a session may end, a token be revoked."""

    async def allowed() -> bool:
        try:
            await guard(request)
        except DatabaseError:
            return True  # it can't be told: the next look tells
        except DcaError:
            return False
        return True

    return allowed


def router(sees: Guard, sees_still: Guard | None = None) -> APIRouter:
    """`/live`, which pages listen to.

    `sees` lets a viewer in; `sees_still` looks again each minute. It must not count as a use of the session, which
    a page that is left open would keep alive.
    """
    pages = APIRouter()

    @pages.get("/live", dependencies=[Depends(sees)], include_in_schema=False)
    async def listen(request: Request, topics: str = "") -> StreamingResponse:
        """Tells a page that something of these topics has changed."""
        live = live_of(request)
        live.check_room()
        return live.response(changes(live, topics_of(topics), still(request, sees_still or sees)))

    return pages


def topics_of(text: str) -> list[str]:
    """`payout,client` as topics; none: all. Raises `InputError` for what can be none."""
    found = [word.strip() for word in text.split(",") if word.strip()]
    for word in check_kinds(found):
        if "." in word:
            raise InputError(f"{word!r} is no topic", remedy="a topic is a kind's first word, like payout")
    return found


async def changes(live: Live, topics: Collection[str], allowed: Allowed) -> AsyncIterator[bytes]:
    """For a page: `changed` with the topics that did, as a JSON array; `["*"]` when it may be any of them.

    At most one a `gap`. Ends with `over` when the session has.
    """
    times = live.times
    with live.subscriptions.subscribed(topics) as reader:
        yield _retry(times)
        checked_at = time.monotonic()
        while True:
            woken = await reader.wait(times.ping_seconds)
            if reader.closed:
                return
            if time.monotonic() - checked_at >= times.recheck_seconds:
                if not await allowed():
                    yield b"event: over\ndata: []\n\n"
                    return
                checked_at = time.monotonic()
            if not woken:
                yield b": still here\n\n"
                continue
            yield f"event: changed\ndata: {json.dumps(reader.take())}\n\n".encode()
            await reader.ended(times.gap_seconds)


async def events(live: Live, after: int | None, kinds: Collection[str], allowed: Allowed) -> AsyncIterator[bytes]:
    """For a program: each event with its id, first what came after the event `after`, then what comes. None: only
    what comes from now on."""
    times = live.times
    with live.subscriptions.subscribed() as reader:
        yield _retry(times)
        checked_at = time.monotonic()
        if after is None:
            after = await live.feed.newest()
        while not reader.closed:
            reader.take()
            page = await live.feed.page(after, limit=_PAGE, kinds=kinds)
            for event in page.events:
                yield f"id: {event.event_id}\ndata: {body_of(event)}\n\n".encode()
            after = page.next_after
            if time.monotonic() - checked_at >= times.recheck_seconds:
                if not await allowed():
                    return
                checked_at = time.monotonic()
            if page.is_last and not await reader.wait(times.ping_seconds):
                yield f": still here\nid: {after}\n\n".encode()  # whoever resumes need not look at those again


def _retry(times: StreamTimes) -> bytes:
    return f"retry: {int(times.return_seconds * 1000)}\n\n".encode()
