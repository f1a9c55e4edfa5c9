"""`/api/v1/webhooks`: for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Depends
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services import webhooks
from dca_daemon.services.webhooks import DeliveryView, WebhookView
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, cut
from dca_daemon.web.rights import scoped

State = Literal["pending", "delivered", "given-up"]


class WebhookOut(Out):
    """A webhook; the numbers are of deliveries of the last 30 days."""

    id: int
    name: str
    url: str = Field(
        description="Without its query, which may hold a secret.", examples=["https://x.example/hook?…"]
    )
    kinds: list[str] = Field(examples=[["payout"]])
    created_at: datetime
    created_by: str = Field(examples=["user:ana"])
    disabled_at: datetime | None
    disabled_reason: str | None
    pending: int
    delivered: int
    given_up: int
    last_delivered_at: datetime | None

    @classmethod
    def of(cls, view: WebhookView) -> WebhookOut:
        return cls.from_view(view, id=view.webhook_id, kinds=list(view.kinds))


class AddedWebhookOut(Out):
    """A webhook, and the secret that signs."""

    webhook: WebhookOut
    secret: str = Field(description="Shown this once; that of a dry run signs nothing.", examples=["whsec_…"])

    @classmethod
    def of(cls, added: tuple[WebhookView, str]) -> AddedWebhookOut:
        return cls(webhook=WebhookOut.of(added[0]), secret=added[1])


class WebhooksOut(Out):
    """All webhooks."""

    webhooks: list[WebhookOut]


class DeliveryOut(Out):
    """An event that is, or was, sent to a webhook."""

    id: int
    webhook_id: int
    event_id: int
    kind: str = Field(examples=["payout.settled"])
    state: State
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    body: str = Field(description="What is sent, as it is signed.")

    @classmethod
    def of(cls, view: DeliveryView) -> DeliveryOut:
        return cls.from_view(view, id=view.delivery_id)


class DeliveriesOut(Out):
    """A page of the delivery log, newest first."""

    deliveries: list[DeliveryOut]
    next: Next


router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[Depends(scoped(Scope.ADMIN))])


@router.get("", summary="List webhooks")
async def list_webhooks(request: Request) -> WebhooksOut:
    """Those in use first."""
    return WebhooksOut(webhooks=[WebhookOut.of(view) for view in await webhooks.list_all(desk_of(request).db)])


@router.get("/{webhook_id}", summary="Show a webhook")
async def show_webhook(request: Request, webhook_id: RowId) -> WebhookOut:
    """One webhook."""
    return WebhookOut.of(await webhooks.show(desk_of(request).db, str(webhook_id)))


@router.get("/{webhook_id}/deliveries", summary="List a webhook's deliveries")
async def list_deliveries(
    request: Request, webhook_id: RowId, state: State | None = None, limit: Limit = PAGE, after: After = None
) -> DeliveriesOut:
    """The newest first."""
    db = desk_of(request).db
    await webhooks.show(db, str(webhook_id))
    found = await webhooks.deliveries(db, webhook_id, before=after, state=state, limit=limit + 1)
    page = cut(found, limit, lambda one: one.delivery_id)
    return DeliveriesOut(deliveries=[DeliveryOut.of(one) for one in page.items], next=page.next)
