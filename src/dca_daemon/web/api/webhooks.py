"""`/api/v1/webhooks`: for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.settings import Settings
from dca_daemon.services import webhooks
from dca_daemon.services.webhook_http import WebhookHttpConfig
from dca_daemon.services.webhooks import DeliveryView, WebhookView
from dca_daemon.web.live import Guard

_ID_MAX = 2**63 - 1
WebhookId = Annotated[int, Path(ge=1, le=_ID_MAX)]


class Desk(Protocol):
    """What the application works with, as far as it is needed here."""

    @property
    def db(self) -> Database: ...
    @property
    def keys(self) -> KeyRing: ...
    @property
    def settings(self) -> Settings: ...


class NewWebhook(BaseModel):
    """A webhook to be added."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "example": {
                "name": "shop",
                "url": "https://shop.example.com/hooks/dca",
                "kinds": ["payout", "deposit"],
            }
        },
    )

    name: str = Field(min_length=1, max_length=200)
    url: str = Field(min_length=1, max_length=2000, description="https, and not within our own network.")
    kinds: list[str] = Field(min_length=1, max_length=50, description="Or beginnings of them; `*` for all.")


class Reason(BaseModel):
    """Why something is done."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"reason": "the shop has closed"}})

    reason: str = Field(min_length=1, max_length=1000)


class WebhookOut(BaseModel):
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
        return cls(
            id=view.webhook_id,
            name=view.name,
            url=view.url,
            kinds=list(view.kinds),
            created_at=view.created_at,
            created_by=view.created_by,
            disabled_at=view.disabled_at,
            disabled_reason=view.disabled_reason,
            pending=view.pending,
            delivered=view.delivered,
            given_up=view.given_up,
            last_delivered_at=view.last_delivered_at,
        )


class AddedWebhook(BaseModel):
    """A webhook, and the secret that signs: shown this once."""

    webhook: WebhookOut
    secret: str = Field(examples=["whsec_…"])


class WebhooksOut(BaseModel):
    """All webhooks."""

    webhooks: list[WebhookOut]


class DeliveryOut(BaseModel):
    """An event that is, or was, sent to a webhook."""

    id: int
    webhook_id: int
    event_id: int
    kind: str = Field(examples=["payout.settled"])
    state: Literal["pending", "delivered", "given-up"]
    attempts: int
    next_attempt_at: datetime | None
    last_status: int | None
    last_error: str | None
    created_at: datetime
    ended_at: datetime | None
    body: str = Field(description="What is sent, as it is signed.")

    @classmethod
    def of(cls, view: DeliveryView) -> DeliveryOut:
        fields = {name: getattr(view, name) for name in cls.model_fields if name != "id"}
        return cls(id=view.delivery_id, **fields)


class DeliveriesOut(BaseModel):
    """A page of the delivery log, newest first."""

    deliveries: list[DeliveryOut]
    next_before: int | None = Field(description="What to ask for next as `before`; null on the last page.")


def router(admin: Guard) -> APIRouter:
    """All that concerns webhooks. `admin` gives who asks, with its `actor`, or raises an error of ours."""
    api = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[Depends(admin)])
    whoever: Any = Depends(admin)

    @api.get("", summary="All webhooks")
    async def list_webhooks(request: Request) -> WebhooksOut:
        return WebhooksOut(webhooks=[WebhookOut.of(view) for view in await webhooks.list_all(desk_of(request).db)])

    @api.post("", status_code=201, summary="Add a webhook")
    async def add_webhook(request: Request, new: NewWebhook, caller: Any = whoever) -> AddedWebhook:
        """It is sent what happens from now on. The secret is shown this once."""
        desk = desk_of(request)
        view, secret = await webhooks.add(
            desk.db,
            desk.keys,
            name=new.name,
            url=new.url,
            kinds=new.kinds,
            config=WebhookHttpConfig(allow_private=desk.settings.console.allow_private_webhooks),
            actor=caller.actor,
        )
        return AddedWebhook(webhook=WebhookOut.of(view), secret=secret)

    @api.get("/{webhook_id}", summary="One webhook")
    async def show_webhook(request: Request, webhook_id: WebhookId) -> WebhookOut:
        return WebhookOut.of(await webhooks.show(desk_of(request).db, str(webhook_id)))

    @api.get("/{webhook_id}/deliveries", summary="Its delivery log")
    async def list_deliveries(
        request: Request,
        webhook_id: WebhookId,
        before: Annotated[int | None, Query(ge=1, le=_ID_MAX)] = None,
        state: Literal["pending", "delivered", "given-up"] | None = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> DeliveriesOut:
        db = desk_of(request).db
        await webhooks.show(db, str(webhook_id))
        found = await webhooks.deliveries(db, webhook_id, before=before, state=state, limit=limit)
        return DeliveriesOut(
            deliveries=[DeliveryOut.of(view) for view in found],
            next_before=found[-1].delivery_id if len(found) == limit else None,
        )

    @api.post("/{webhook_id}/disable", summary="Disable it for good")
    async def disable_webhook(
        request: Request, webhook_id: WebhookId, why: Reason, caller: Any = whoever
    ) -> WebhookOut:
        db = desk_of(request).db
        return WebhookOut.of(await webhooks.disable(db, str(webhook_id), reason=why.reason, actor=caller.actor))

    @api.post("/{webhook_id}/test", status_code=202, summary="Have a test sent")
    async def test_webhook(request: Request, webhook_id: WebhookId, caller: Any = whoever) -> DeliveryOut:
        """An event of the kind `webhook.test`, whatever its kinds are."""
        return DeliveryOut.of(await webhooks.send_test(desk_of(request).db, str(webhook_id), actor=caller.actor))

    @api.post("/deliveries/{delivery_id}/retry", status_code=202, summary="Have a delivery sent again")
    async def retry_delivery(
        request: Request, delivery_id: Annotated[int, Path(ge=1, le=_ID_MAX)], caller: Any = whoever
    ) -> DeliveryOut:
        return DeliveryOut.of(await webhooks.retry(desk_of(request).db, delivery_id, actor=caller.actor))

    return api


def desk_of(request: Request) -> Desk:
    """What the application that was asked works with."""
    desk: Desk = request.app.state.desk
    return desk
