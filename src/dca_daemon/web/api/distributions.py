"""`/api/v1/distributions`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import distribution_views
from dca_daemon.services.distribution_data import distribution_dict
from dca_daemon.services.distribution_views import DistributionView
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, Since, Until, cut
from dca_daemon.web.rights import scoped


class DistributionRecordOut(Out):
    """What one client is owed of it, and the payout that it is in."""

    id: int
    client_id: int
    client: str
    type: str
    sats: int
    fiat: str
    state: str
    payout_id: str | None
    payout_state: str | None


class DistributionOut(Out):
    """What was shared, record by record."""

    id: int
    kind: str
    cash_out_id: int | None
    external_id: str | None
    pool_id: int
    currency: str
    total_sats: int
    house_sats: int
    fiat: str
    charge_fiat: str
    happened_at: datetime
    booked_at: datetime
    entry_id: int
    reason: str | None
    reversed_at: datetime | None
    reversal_entry_id: int | None
    records: list[DistributionRecordOut]

    @classmethod
    def of(cls, view: DistributionView) -> DistributionOut:
        return cls.model_validate(distribution_dict(view))


class DistributionsOut(Out):
    """A page of distributions, the newest first."""

    distributions: list[DistributionOut]
    next: Next


router = APIRouter(prefix="/distributions", tags=["distributions"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List distributions")
async def list_distributions(
    request: Request,
    kind: Literal["cash-out", "fixed", "adjustment"] | None = None,
    reversed_only: Annotated[bool, Query(alias="reversed", description="Only those taken back.")] = False,
    client: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: After = None,
) -> DistributionsOut:
    """The newest first."""
    found = await distribution_views.list_all(
        desk_of(request).db,
        kind=kind,
        reversed_only=reversed_only,
        client=client,
        since=since,
        until=until,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.distribution_id)
    return DistributionsOut(distributions=[DistributionOut.of(one) for one in page.items], next=page.next)


@router.get("/{distribution_id}", summary="Show a distribution")
async def show_distribution(request: Request, distribution_id: RowId) -> DistributionOut:
    """One, with its records."""
    return DistributionOut.of(await distribution_views.show(desk_of(request).db, distribution_id))
