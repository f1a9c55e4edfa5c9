"""A list, page after page: what its page links to, and what the API calls `next`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import Request

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_time
from dca_daemon.web.rendering import query
from dca_daemon.web.wishes import MAX_ID

T = TypeVar("T")

PAGE = 50
LIMIT_MAX = 200


def _parsed(value: object) -> datetime:
    """Pydantic itself would take a number for a time, and one without a zone."""
    try:
        return parse_time(str(value))
    except InputError as error:
        raise ValueError(str(error)) from None


Moment = Annotated[AwareDatetime, BeforeValidator(_parsed)]
Since = Annotated[Moment | None, Query(description="From then on.")]
Until = Annotated[Moment | None, Query(description="Before then.")]
RowId = Annotated[int, Path(ge=1, le=MAX_ID)]  # in an address
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most so many.")]
After = Annotated[
    int | None, Query(ge=1, le=MAX_ID, description="Go on after this one: `next` of the page before.")
]


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page: its items, and where it goes on."""

    items: tuple[T, ...]
    next: str | None
    next_path: str | None = None
    first_path: str | None = None


def cut(found: Sequence[T], limit: int, key: Callable[[T], object], *, further: object | None = None) -> Listed[T]:
    """A page of at most `limit` of what was asked for with `limit + 1`; if not full, it goes on at `further`."""
    items = tuple(found[:limit])
    after = key(items[-1]) if len(found) > limit else further
    return Listed(items, None if after is None else str(after))


def linked(
    request: Request,
    found: Sequence[T],
    key: Callable[[T], object],
    limit: int = PAGE,
    *,
    further: object | None = None,
) -> Listed[T]:
    """The same with links that keep the filters."""
    one = cut(found, limit, key, further=further)
    kept = {name: value for name, value in request.query_params.items() if name != "after"}
    further = query({**kept, "after": one.next}) if one.next else None
    first = f"{request.url.path}{query(kept)}" if "after" in request.query_params else None
    return Listed(one.items, one.next, f"{request.url.path}{further}" if further else None, first)
