"""A list, page after page: what its page links to, and what the API calls `next`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

from fastapi import Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.requests import Request

from dca_daemon.web.rendering import query

T = TypeVar("T")

PAGE = 50
LIMIT_MAX = 200

_ISO = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d.*")


def _iso(value: object) -> object:
    if isinstance(value, str) and not _ISO.fullmatch(value.strip()):
        raise ValueError("must be a time with its zone, like 2026-01-31T00:00:00-06:00")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_iso)]  # pydantic itself would take a number for one
Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most so many.")]
After = Annotated[
    int | None, Query(ge=1, le=2**63 - 1, description="Go on after this one: `next` of the page before.")
]


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page: its items, and where it goes on."""

    items: tuple[T, ...]
    next: str | None
    next_path: str | None = None
    first_path: str | None = None


def cut(found: Sequence[T], limit: int, key: Callable[[T], object]) -> Listed[T]:
    """A page of at most `limit` of what was asked for with `limit + 1`."""
    items = tuple(found[:limit])
    return Listed(items, str(key(items[-1])) if len(found) > limit else None)


def linked(request: Request, found: Sequence[T], key: Callable[[T], object], limit: int = PAGE) -> Listed[T]:
    """The same with links that keep the filters."""
    one = cut(found, limit, key)
    kept = {name: value for name, value in request.query_params.items() if name != "after"}
    further = query({**kept, "after": one.next}) if one.next else None
    first = f"{request.url.path}{query(kept)}" if "after" in request.query_params else None
    return Listed(one.items, one.next, f"{request.url.path}{further}" if further else None, first)
