"""`/api/v1/clients/{client_id}/adjustments`."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import adjustments
from dca_daemon.services.adjustments import Adjustment
from dca_daemon.web.api.values import Next, Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, cut
from dca_daemon.web.rights import scoped


class AdjustmentOut(Out):
    """A correction: of fiat in a pool, or of sats."""

    id: int
    client_id: int
    client: str
    pool_id: int | None
    pool: str | None
    currency: str | None
    fiat: str | None = Field(description="Signed, in the currency; null: sats are adjusted.")
    sats: int | None
    reason: str
    corrects: str | None
    at: datetime
    actor: str

    @classmethod
    def of(cls, done: Adjustment) -> AdjustmentOut:
        pool = done.pool
        return cls.from_view(
            done,
            id=done.adjustment_id,
            pool_id=None if pool is None else pool.pool_id,
            pool=None if pool is None else pool.name,
            currency=None if pool is None else pool.currency,
            fiat=None if pool is None or done.amount_minor is None else fiat(done.amount_minor, pool.currency),
            sats=done.amount_sats,
        )


class AdjustedOut(Out):
    """An adjustment, and what stood before and after it: fiat as decimal strings, or sats."""

    adjustment: AdjustmentOut
    before: str | int
    after: str | int

    @classmethod
    def of(cls, done: Adjustment) -> AdjustedOut:
        assert done.before is not None and done.after is not None
        before, after = (
            amount if done.pool is None else fiat(amount, done.pool.currency)
            for amount in (done.before, done.after)
        )
        return cls(adjustment=AdjustmentOut.of(done), before=before, after=after)


class AdjustmentsOut(Out):
    """A page of a client's adjustments, the newest first."""

    adjustments: list[AdjustmentOut]
    next: Next


router = APIRouter(
    prefix="/clients/{client_id}/adjustments",
    tags=["clients"],
    dependencies=[Depends(scoped(Scope.READ))],
)


@router.get("", summary="List a client's adjustments")
async def list_adjustments(
    request: Request, client_id: RowId, limit: Limit = PAGE, after: After = None
) -> AdjustmentsOut:
    """The newest first."""
    found = await adjustments.list_all(desk_of(request).db, str(client_id), limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.adjustment_id)
    return AdjustmentsOut(adjustments=[AdjustmentOut.of(one) for one in page.items], next=page.next)
