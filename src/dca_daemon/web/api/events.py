"""`/api/v1/events`: the feed in pages, and as a stream."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from dca_daemon.services.events import KINDS_MAX, PAGE_MAX, Event, EventPage
from dca_daemon.web.live import Guard, events, live_of, still

_EXAMPLE: dict[str, Any] = {
    "id": 4711,
    "at": "2026-11-25T15:00:00.123456Z",
    "kind": "payout.settled",
    "subject": "payout:7b9f0c5e-6a51-4a55-9d0b-0f4f0c1f7a3e",
    "data": {"from": "submitted", "state": "settled", "client_id": 3, "amount_sats": 21000},
}
_LAST_ID = 2**63 - 1

After = Annotated[int, Query(ge=0, le=_LAST_ID, description="The event to go on after; 0: from the oldest.")]
Kinds = Annotated[
    list[str],
    Query(
        max_length=KINDS_MAX,
        description="Kinds, or their beginnings up to a dot; all without any.",
        examples=[["payout", "deposit.confirm"]],
    ),
]


class EventOut(BaseModel):
    """Something that happened."""

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    id: int = Field(description="Grows; has gaps.")
    at: datetime
    kind: str
    subject: str = Field(description="What it happened to.")
    data: dict[str, Any] = Field(description="Depends on the kind; may get more keys.")

    @classmethod
    def of(cls, event: Event) -> EventOut:
        return cls(id=event.event_id, at=event.at, kind=event.kind, subject=event.subject, data=dict(event.data))


class EventPageOut(BaseModel):
    """A page of the feed."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"events": [_EXAMPLE], "next_after": 4711, "newest_id": 4711, "oldest_id": 1}
        }
    )

    events: list[EventOut] = Field(description="Oldest first.")
    next_after: int = Field(description="What to ask for next as `after`, also when nothing came.")
    newest_id: int = Field(description="Where the feed ends at this moment.")
    oldest_id: int | None = Field(description="The oldest event that is still kept.")

    @classmethod
    def of(cls, page: EventPage) -> EventPageOut:
        return cls(
            events=[EventOut.of(event) for event in page.events],
            next_after=page.next_after,
            newest_id=page.newest_id,
            oldest_id=page.oldest_id,
        )


def router(reads: Guard) -> APIRouter:
    """Both ways to read, for who may read. `reads` raises an error of ours for anybody else."""
    api = APIRouter(prefix="/events", tags=["events"], dependencies=[Depends(reads)])

    @api.get("", summary="A page of events")
    async def list_events(
        request: Request,
        after: After = 0,
        limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 100,
        kinds: Kinds = [],  # noqa: B006 - FastAPI copies it
    ) -> EventPageOut:
        """What happened after the event `after`, oldest first. None is ever skipped."""
        return EventPageOut.of(await live_of(request).feed.page(after, limit=limit, kinds=kinds))

    @api.get(
        "/stream",
        summary="Events as they happen",
        response_class=StreamingResponse,
        responses={
            200: {
                "description": "Server-sent events: `id` is the event's, `data` the event as JSON.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            }
        },
    )
    async def stream_events(
        request: Request,
        after: Annotated[
            int | None, Query(ge=0, le=_LAST_ID, description="The event to go on after; else only what comes.")
        ] = None,
        kinds: Kinds = [],  # noqa: B006 - FastAPI copies it
        last_event_id: Annotated[
            int | None, Header(ge=0, le=_LAST_ID, description="As `after`, and goes before it.")
        ] = None,
    ) -> StreamingResponse:
        """First what came after the event, then what comes, until you go."""
        live = live_of(request)
        live.check_room()
        since = after if last_event_id is None else last_event_id
        await live.feed.page(since or 0, limit=1, kinds=kinds)  # what is wrong with it is said before the stream
        return live.response(events(live, since, kinds, still(request, reads)))

    return api
