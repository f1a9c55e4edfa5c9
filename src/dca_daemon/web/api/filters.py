"""`/api/v1/filters`."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import filters
from dca_daemon.services.filters import FilterKind, FilterView
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, cut
from dca_daemon.web.rights import scoped


class FilterOut(Out):
    """A filter. `value` is a coin's code, a device id, or a pool's id; `name` says it in people's words."""

    id: int
    kind: FilterKind
    value: str
    name: str
    reason: str | None
    created_at: datetime
    created_by: str
    removed_at: datetime | None
    removed_by: str | None
    left_out: int

    @classmethod
    def of(cls, view: FilterView) -> FilterOut:
        return cls.from_view(view, id=view.filter_id)


class FiltersOut(Out):
    """A page of filters."""

    filters: list[FilterOut]
    next: Next


router = APIRouter(prefix="/filters", tags=["machines"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List filters")
async def list_filters(
    request: Request, removed: bool = False, limit: Limit = PAGE, after: After = None
) -> FiltersOut:
    """Those in force; with `removed` the former ones too."""
    found = await filters.list_all(desk_of(request).db, removed=removed, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.filter_id)
    return FiltersOut(filters=[FilterOut.of(one) for one in page.items], next=page.next)
