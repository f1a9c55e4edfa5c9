"""`/api/v1/clients`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request
from starlette.responses import StreamingResponse

from dca_daemon.domain.rights import Scope
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.wallet import DestinationInfo
from dca_daemon.services import client_series, clients
from dca_daemon.services.audit import AuditEntry
from dca_daemon.services.client_lists import ClientOrder
from dca_daemon.services.client_series import ClientSeries
from dca_daemon.services.clients import ClientView, Mode, Status
from dca_daemon.services.reports import statement
from dca_daemon.web.api.values import Amount, Next, Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, Since, Until, cut
from dca_daemon.web.rights import scoped

if TYPE_CHECKING:
    from dca_daemon.web.deeds.clients import Added, Redirected


class BalanceOut(Out):
    """What a client has in one pool. Not yet confirmed deposits are `pending`."""

    pool_id: int
    pool: str
    currency: str
    balance: Amount
    pending: Amount
    deposited: Amount


class ClientOut(Out):
    """A client. Its invoice key is never shown."""

    id: int
    name: str
    mode: Mode
    status: Status
    destination_kind: str
    destination: str
    created_at: datetime
    balances: list[BalanceOut]
    owed_sats: int
    in_payout_sats: int
    settled_sats: int
    credit_sats: int = Field(description="Paid ahead: used up by what it is owed next.")
    records: int
    erased_at: datetime | None = Field(description="Since when it is history, without its personal data.")

    @classmethod
    def of(cls, view: ClientView) -> ClientOut:
        balances = [
            BalanceOut.from_view(
                one,
                balance=fiat(one.balance_minor, one.currency),
                pending=fiat(one.pending_minor, one.currency),
                deposited=fiat(one.deposited_minor, one.currency),
            )
            for one in view.balances
        ]
        return cls.from_view(view, id=view.client_id, balances=balances)


class DestinationInfoOut(Out):
    """What a destination answered when it was asked."""

    name: str
    min_sats: int
    max_sats: int | None

    @classmethod
    def of(cls, info: DestinationInfo) -> DestinationInfoOut:
        return cls.from_view(info)


class AddedClientOut(Out):
    """A new client, and what its destination answered."""

    client: ClientOut
    destination_info: DestinationInfoOut

    @classmethod
    def of(cls, done: Added) -> AddedClientOut:
        return cls(client=ClientOut.of(done.client), destination_info=DestinationInfoOut.of(done.info))


class RedirectedOut(Out):
    """A client that is paid elsewhere. `under_way_sats` still go to the destination of before."""

    client: ClientOut
    destination_info: DestinationInfoOut
    destination_before: str
    under_way_sats: int

    @classmethod
    def of(cls, done: Redirected) -> RedirectedOut:
        return cls(
            client=ClientOut.of(done.client),
            destination_info=DestinationInfoOut.of(done.info),
            destination_before=done.before.destination,
            under_way_sats=done.under_way_sats,
        )


class ClientsOut(Out):
    """A page of clients."""

    clients: list[ClientOut]
    next: Next


class RecordOut(Out):
    """One distribution record of a client: its price is the exact pair of `sats` and `fiat`."""

    id: int
    type: str
    sats: int
    fiat: Amount
    currency: str
    state: str
    happened_at: datetime
    booked_at: datetime
    cash_out_id: int | None
    payout_id: str | None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> RecordOut:
        amount = fiat(record["fiat_minor"], record["currency"])
        return cls.model_validate({**record, "id": record["record_id"], "fiat": amount})


class RecordsOut(Out):
    """A page of a client's records, the newest first."""

    records: list[RecordOut]
    next: Next


class StackedOut(Out):
    """How many sats the client had got in all by then."""

    at: datetime
    sats: int


class PriceOut(Out):
    """Purchases that follow one another: their price is the exact pair of both sums."""

    at: datetime
    purchases: int
    sats: int
    fiat: Amount
    currency: str


class SeriesOut(Out):
    """A client's purchases over time, thinned out."""

    stacked: list[StackedOut]
    prices: list[PriceOut]

    @classmethod
    def of(cls, found: ClientSeries) -> SeriesOut:
        return cls(
            stacked=[StackedOut(at=one.at, sats=one.sats) for one in found.stacked],
            prices=[
                PriceOut(
                    at=one.at,
                    purchases=one.purchases,
                    sats=one.sats,
                    fiat=fiat(one.fiat_minor, one.currency),
                    currency=one.currency,
                )
                for one in found.prices
            ],
        )


class ClientChangeOut(Out):
    """What was changed of a client, by whom and why."""

    id: int
    at: datetime
    actor: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    reason: str | None

    @classmethod
    def of(cls, entry: AuditEntry) -> ClientChangeOut:
        return cls.from_view(entry, id=entry.audit_id)


class ClientChangesOut(Out):
    """A page of changes, the newest first."""

    changes: list[ClientChangeOut]
    next: Next


router = APIRouter(prefix="/clients", tags=["clients"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="List clients")
async def list_clients(
    request: Request,
    text: Annotated[str | None, Query(max_length=200, description="A part of the name.")] = None,
    mode: Literal["flow", "fixed"] | None = None,
    status: Status | None = None,
    order: ClientOrder = ClientOrder.ID,
    limit: Limit = PAGE,
    after: After = None,
) -> ClientsOut:
    """Without the wallets that only receive commission."""
    found = await clients.list_all(
        desk_of(request).db,
        text=text,
        mode=None if mode is None else Mode(mode),
        status=status,
        order=order,
        limit=limit + 1,
        after=after,
    )
    page = cut(found, limit, lambda one: one.client_id)
    return ClientsOut(clients=[ClientOut.of(one) for one in page.items], next=page.next)


@router.get("/{client_id}", summary="Show a client")
async def show_client(request: Request, client_id: RowId) -> ClientOut:
    """One client."""
    return ClientOut.of(await clients.show(desk_of(request).db, str(client_id)))


@router.get("/{client_id}/records", summary="List a client's distribution records")
async def list_records(request: Request, client_id: RowId, limit: Limit = PAGE, after: After = None) -> RecordsOut:
    """The newest first, with the payout that paid each."""
    found = await clients.history(desk_of(request).db, str(client_id), limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one["record_id"])
    return RecordsOut(records=[RecordOut.of(one) for one in page.items], next=page.next)


@router.get("/{client_id}/series", summary="Show a client's purchases over time")
async def show_series(
    request: Request,
    client_id: RowId,
    points: Annotated[int, Query(ge=1, le=1000, description="About so many at most.")] = client_series.POINTS_MAX,
) -> SeriesOut:
    """Sats stacked, and the price paid."""
    return SeriesOut.of(await client_series.series(desk_of(request).db, str(client_id), points=points))


@router.get("/{client_id}/changes", summary="List what was changed of a client")
async def list_changes(
    request: Request, client_id: RowId, limit: Limit = PAGE, after: After = None
) -> ClientChangesOut:
    """The newest first."""
    found = await clients.changes(desk_of(request).db, str(client_id), limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.audit_id)
    return ClientChangesOut(changes=[ClientChangeOut.of(one) for one in page.items], next=page.next)


@router.get(
    "/{client_id}/statement.csv", summary="Download a client's statement", response_class=StreamingResponse
)
async def download_statement(
    request: Request, client_id: RowId, since: Since = None, until: Until = None
) -> StreamingResponse:
    """Every distribution record as a line of CSV, the newest first."""
    return await statement_csv(desk_of(request).db, client_id, since, until)


async def statement_csv(
    db: Database, client_id: int, since: datetime | None = None, until: datetime | None = None
) -> StreamingResponse:
    """The statement as a download, written as it is read. Raises `NotFoundError` before it begins."""
    await clients.show(db, str(client_id))
    return StreamingResponse(
        statement.csv_lines(db, str(client_id), since=since, until=until),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="client-{client_id}-statement.csv"'},
    )
