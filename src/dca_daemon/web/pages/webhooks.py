"""The pages about webhooks, for admins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.services import webhooks
from dca_daemon.services.webhook_http import WebhookHttpConfig
from dca_daemon.web.api.webhooks import desk_of
from dca_daemon.web.live import Guard

PAGE = 50
_ID_MAX = 2**63 - 1
Id = Annotated[int, Path(ge=1, le=_ID_MAX)]
Text = Annotated[str, Form(max_length=4000)]
Show = Callable[..., Response]  # (request, template, status, **values)
SeeOther = Callable[..., Response]  # (request, path, what to say there)


def router(admin: Guard, show: Show, see_other: SeeOther) -> APIRouter:
    """`show` makes a page of a template, `see_other` leads to another page; `admin` lets admins in."""
    pages = APIRouter(prefix="/webhooks", dependencies=[Depends(admin)], include_in_schema=False)
    whoever: Any = Depends(admin)

    async def all_of_them(request: Request, status: int, typed: dict[str, str], wrong: dict[str, str]) -> Response:
        found = await webhooks.list_all(desk_of(request).db)
        return show(request, "webhooks.html", status, webhooks=found, typed=typed, wrong=wrong)

    async def one_of_them(
        request: Request, status: int, webhook_id: int, *, before: int | None = None, wrong: str | None = None
    ) -> Response:
        db = desk_of(request).db
        view = await webhooks.show(db, str(webhook_id))
        log = await webhooks.deliveries(db, webhook_id, before=before, limit=PAGE)
        older = log[-1].delivery_id if len(log) == PAGE else None
        return show(request, "webhook.html", status, webhook=view, deliveries=log, older=older, wrong=wrong)

    @pages.get("")
    async def list_webhooks(request: Request) -> Response:
        return await all_of_them(request, 200, {"name": "", "url": "", "kinds": ""}, {})

    @pages.post("")
    async def add_webhook(
        request: Request, name: Text = "", url: Text = "", kinds: Text = "", caller: Any = whoever
    ) -> Response:
        """Shows the secret in its answer, this once."""
        desk = desk_of(request)
        config = WebhookHttpConfig(allow_private=desk.settings.console.allow_private_webhooks)
        typed = {"name": name, "url": url, "kinds": kinds}
        wanted = kinds.replace(",", " ").split()
        wrong = await webhooks.problems(name=name, url=url, kinds=wanted, config=config)
        if wrong:
            return await all_of_them(request, 422, typed, wrong)
        try:
            view, secret = await webhooks.add(
                desk.db, desk.keys, name=name, url=url, kinds=wanted, config=config, actor=caller.actor
            )
        except ConflictError as error:
            return await all_of_them(request, 409, typed, {"name": str(error)})
        answer = show(request, "webhook-added.html", 200, webhook=view, secret=secret)
        answer.headers["Cache-Control"] = "no-store"
        return answer

    @pages.get("/{webhook_id}")
    async def show_webhook(
        request: Request, webhook_id: Id, before: Annotated[int | None, Query(ge=1, le=_ID_MAX)] = None
    ) -> Response:
        return await one_of_them(request, 200, webhook_id, before=before)

    @pages.post("/{webhook_id}/{deed}")
    async def act(
        request: Request,
        webhook_id: Id,
        deed: Literal["disable", "test"],
        reason: Text = "",
        caller: Any = whoever,
    ) -> Response:
        db = desk_of(request).db
        try:
            if deed == "disable":
                await webhooks.disable(db, str(webhook_id), reason=reason, actor=caller.actor)
                said = "It is disabled: nothing more is sent."
            else:
                await webhooks.send_test(db, str(webhook_id), actor=caller.actor)
                said = "A test is being sent."
        except ConflictError as error:
            return await one_of_them(request, 409, webhook_id, wrong=str(error))
        except InputError as error:
            if deed == "test":
                raise
            return await one_of_them(request, 422, webhook_id, wrong=error.message)
        return see_other(request, f"/webhooks/{webhook_id}", said)

    @pages.post("/deliveries/{delivery_id}/retry")
    async def retry(request: Request, delivery_id: Id, caller: Any = whoever) -> Response:
        view = await webhooks.retry(desk_of(request).db, delivery_id, actor=caller.actor)
        return see_other(request, f"/webhooks/{view.webhook_id}", f"Delivery {delivery_id} is being sent again.")

    return pages
