"""The pages about webhooks: the way of one, and what is refused beside its field."""

from __future__ import annotations

from typing import Any

import httpx
from fastapi import FastAPI
from jinja2 import ChoiceLoader, DictLoader, Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import Database, execute
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services import webhooks as service
from dca_daemon.web.pages import webhooks
from tests.web.test_webhooks_api import ROOT, TheDesk, admin, refused

BASE = "<title>{% block title %}{% endblock %}</title>{% block content %}{% endblock %}"


def show(request: Request, template: str, status: int = 200, /, **values: Any) -> Response:
    """The templates in a plain frame: what is around them is not looked at here."""
    loader = ChoiceLoader([DictLoader({"base.html": BASE}), PackageLoader("dca_daemon.web")])
    env = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    env.filters.update(
        {name: lambda value: "–" if value is None else str(value) for name in ("when", "state", "or_dash")}
    )
    return HTMLResponse(env.get_template(template).render(**values), status_code=status)


def see_other(request: Request, path: str, say: str) -> Response:
    return RedirectResponse(path, status_code=303)


async def test_the_way_of_a_webhook(books: Database, keys: KeyRing) -> None:
    app = FastAPI()
    app.state.desk = TheDesk(books, keys, load_settings(ROOT / "config.example.toml"))
    app.include_router(webhooks.router(admin, show, see_other))
    app.add_exception_handler(DcaError, refused)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
        assert "There is no webhook" in (await client.get("/webhooks")).text
        odd = {"name": " ", "url": 'https://127.0.0.1/"><script>', "kinds": "Pay, *x"}
        answer = await client.post("/webhooks", data=odd)
        assert answer.status_code == 422 and answer.text.count('class="wrong"') == 3
        assert "private network" in answer.text and "no kind" in answer.text and "no name" in answer.text
        assert 'value="https://127.0.0.1/&#34;&gt;&lt;script&gt;"' in answer.text  # kept, and harmless
        assert (await client.post("/webhooks")).status_code == 422
        assert await service.list_all(books) == []

        new = {
            "name": "<b>shop",
            "url": "https://93.184.216.34/hook?token=hush",
            "kinds": "payout, deposit.confirm",
        }
        answer = await client.post("/webhooks", data=new)
        assert answer.status_code == 200 and "whsec_" in answer.text and "<b>shop" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        again = await client.post("/webhooks", data=new)  # a reload adds nothing
        assert again.status_code == 409 and "already" in again.text and "whsec_" not in again.text
        view = (await service.list_all(books))[0]
        assert view.kinds == ("payout", "deposit.confirm")
        path = f"/webhooks/{view.webhook_id}"
        listed = (await client.get("/webhooks")).text
        assert f'href="{path}"' in listed and "hush" not in listed

        assert (await client.post(f"{path}/test")).headers["location"] == path
        async with books.transaction() as conn:
            await execute(
                conn,
                """INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, ended_at)
                   SELECT :id, -n, 'k', '', 'delivered', now() FROM generate_series(1, 50) n""",
                id=view.webhook_id,
            )
        first = (await client.get(path)).text
        assert first.count('scope="row"') == 50 and "whsec_" not in first
        before = first.partition("?before=")[2].partition('"')[0]
        second = (await client.get(f"{path}?before={before}")).text
        assert second.count('scope="row"') == 1 and "webhook.test" in second and "Send again" in second
        delivery = (await service.deliveries(books, view.webhook_id, state="pending"))[0].delivery_id
        assert (await client.post(f"/webhooks/deliveries/{delivery}/retry")).headers["location"] == path

        answer = await client.post(f"{path}/disable", data={"reason": " "})
        assert answer.status_code == 422 and "this needs a reason" in answer.text
        assert (await client.post(f"{path}/disable", data={"reason": "closed"})).status_code == 303
        answer = await client.post(f"{path}/test")
        assert answer.status_code == 409 and "is disabled" in answer.text and "closed" in answer.text
        assert (await client.get("/webhooks/999")).status_code == 404
        assert (await client.post(f"{path}/other")).status_code == 422
