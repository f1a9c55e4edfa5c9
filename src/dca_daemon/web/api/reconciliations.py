"""`/api/v1/reconciliations`."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Difference, Note
from dca_daemon.services.reconciliation.runs import Run, RunLine
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, cut
from dca_daemon.web.rights import scoped


class ReconciliationOut(Out):
    """A comparison of the books with LNbits and Lamassu. `since` null: everything was compared."""

    id: int
    began_at: datetime
    ended_at: datetime
    actor: str
    since: datetime | None
    complete: bool
    agrees: bool
    counts: dict[str, int] = Field(description="Kind of difference, and how many.")

    @classmethod
    def of(cls, line: RunLine) -> ReconciliationOut:
        return cls.from_view(line, id=line.run_id, ended_at=line.at)


class DifferenceOut(Out):
    """One thing that differs, and what to do about it."""

    kind: str
    text: str
    remedy: str
    payout_id: str | None
    payment_hash: str | None
    client_id: int | None
    external_id: str | None

    @classmethod
    def of(cls, one: Difference) -> DifferenceOut:
        return cls.from_view(one)


class NoteOut(Out):
    """Something that is no difference, but worth knowing."""

    kind: str
    text: str
    count: int
    examples: list[str]

    @classmethod
    def of(cls, note: Note) -> NoteOut:
        return cls.from_view(note)


class WholeReconciliationOut(Out):
    """A comparison with all that it found, in detail at most 100 of each kind."""

    reconciliation: ReconciliationOut
    compared: dict[str, int]
    not_compared: dict[str, str] = Field(description="Part, and why it was not compared.")
    differences: list[DifferenceOut]
    notes: list[NoteOut]

    @classmethod
    def of(cls, run: Run) -> WholeReconciliationOut:
        return cls(
            reconciliation=ReconciliationOut.of(run.line),
            compared=dict(run.compared),
            not_compared=dict(run.not_compared),
            differences=[DifferenceOut.of(one) for one in run.differences],
            notes=[NoteOut.of(one) for one in run.notes],
        )


class ReconciliationsOut(Out):
    """A page of comparisons, the newest first."""

    reconciliations: list[ReconciliationOut]
    next: Next


router = APIRouter(
    prefix="/reconciliations",
    tags=["reconciliation"],
    dependencies=[Depends(scoped(Scope.READ))],
)


@router.get("", summary="List reconciliations")
async def list_reconciliations(request: Request, limit: Limit = PAGE, after: After = None) -> ReconciliationsOut:
    """The newest first."""
    found = await runs.list_all(desk_of(request).db, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.run_id)
    return ReconciliationsOut(reconciliations=[ReconciliationOut.of(one) for one in page.items], next=page.next)


@router.get("/{run_id}", summary="Show a reconciliation")
async def show_reconciliation(request: Request, run_id: RowId) -> WholeReconciliationOut:
    """One comparison."""
    return WholeReconciliationOut.of(await runs.show(desk_of(request).db, run_id))
