"""What can be done with webhooks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import webhooks
from dca_daemon.services.webhook_http import URL_MAX, WebhookHttpConfig
from dca_daemon.services.webhooks import DeliveryView, WebhookView
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.webhooks import AddedWebhookOut, DeliveryOut, WebhookOut
from dca_daemon.web.wishes import Id, Reason, Text, Wish

WebhookId = Annotated[Id, Field(title="Webhook", description="The webhook's number.")]


class AddWebhook(Wish):
    """A program elsewhere that is to be told what happens here."""

    name: Annotated[
        Text, Field(title="Name", description="One of its own among the webhooks in use.", examples=["shop"])
    ]
    url: Annotated[
        str,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=URL_MAX),
        Field(
            title="URL",
            description="Where events are sent: https, and not within our own network.",
            examples=["https://shop.example.com/hooks/dca"],
        ),
    ]
    kinds: Annotated[
        list[Text],
        Field(
            min_length=1,
            max_length=50,
            title="Kinds of events",
            description="Or beginnings of them, such as payout or deposit.confirm; * for all.",
            examples=[["payout", "deposit"]],
        ),
    ]


class OneWebhook(Wish):
    """Which one."""

    webhook_id: WebhookId


class DisableWebhook(OneWebhook):
    """It is sent nothing any more."""

    reason: Reason


class RetryDelivery(Wish):
    """It is sent again."""

    delivery_id: Annotated[Id, Field(title="Delivery", description="The delivery's number.")]


async def _check(call: Call, wish: AddWebhook) -> str:
    config = WebhookHttpConfig(allow_private=call.desk.settings.console.allow_private_webhooks)
    return await webhooks.check_new(name=wish.name, url=wish.url, kinds=wish.kinds, config=config)


async def _add(call: Call, wish: AddWebhook) -> tuple[WebhookView, str]:
    return await webhooks.add_checked(
        call.db, call.desk.keys, name=wish.name, url=call.prepared, kinds=wish.kinds, actor=call.actor
    )


async def _disable(call: Call, wish: DisableWebhook) -> WebhookView:
    return await webhooks.disable(call.db, str(wish.webhook_id), reason=wish.reason, actor=call.actor)


async def _test(call: Call, wish: OneWebhook) -> DeliveryView:
    return await webhooks.send_test(call.db, str(wish.webhook_id), actor=call.actor)


async def _retry(call: Call, wish: RetryDelivery) -> DeliveryView:
    return await webhooks.retry(call.db, wish.delivery_id, actor=call.actor)


def _webhook_facts(webhook: WebhookView) -> Facts:
    return [("Webhook", webhook.name), ("URL", webhook.url), ("Kinds", ", ".join(webhook.kinds))]


def _delivery_facts(delivery: DeliveryView) -> Facts:
    return [("Delivery", str(delivery.delivery_id)), ("Event", f"{delivery.event_id}, {delivery.kind}")]


def _page(of: WebhookView | DeliveryView) -> str:
    return f"/webhooks/{of.webhook_id}"


ACTIONS = (
    Action(
        name="webhook.add",
        title="Add a webhook",
        path="/webhooks/add",
        api_path="/webhooks",
        api_status=201,
        wish=AddWebhook,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="A program elsewhere is told what happens from now on. The secret that signs is shown once.",
        prepare=_check,
        work=_add,
        facts=lambda added: _webhook_facts(added[0]),
        leads_to=lambda added: _page(added[0]),
        one_step=True,
        shows_once="webhook-added.html",
        answer=AddedWebhookOut.of,
        answer_model=AddedWebhookOut,
    ),
    Action(
        name="webhook.disable",
        title="Disable a webhook",
        path="/webhooks/{webhook_id}/disable",
        wish=DisableWebhook,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="For good: nothing more is sent, and what waits to be sent is given up.",
        work=_disable,
        facts=_webhook_facts,
        leads_to=_page,
        said=lambda webhook: f"{webhook.name} is disabled: nothing more is sent.",
        answer=WebhookOut.of,
        answer_model=WebhookOut,
    ),
    Action(
        name="webhook.test",
        title="Send a test",
        path="/webhooks/{webhook_id}/test",
        api_status=202,
        wish=OneWebhook,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="An event of the kind webhook.test is sent, whatever the webhook's kinds are.",
        work=_test,
        facts=_delivery_facts,
        leads_to=_page,
        one_step=True,
        said=lambda delivery: "A test is being sent.",
        answer=DeliveryOut.of,
        answer_model=DeliveryOut,
    ),
    Action(
        name="webhook.retry",
        title="Send a delivery again",
        path="/webhooks/deliveries/{delivery_id}/retry",
        api_status=202,
        wish=RetryDelivery,
        role=Role.ADMIN,
        scope=Scope.ADMIN,
        explanation="What was given up, or at once what waits.",
        work=_retry,
        facts=_delivery_facts,
        leads_to=_page,
        one_step=True,
        said=lambda delivery: f"Delivery {delivery.delivery_id} is being sent again.",
        answer=DeliveryOut.of,
        answer_model=DeliveryOut,
    ),
)
