"""The API of webhooks: the way of one, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import httpx
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dca_daemon.domain.errors import ConflictError, DcaError, NotFoundError
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.runtime.settings import Settings, load_settings
from dca_daemon.web.api import webhooks

ROOT = Path(__file__).parents[2]


@dataclass
class TheDesk:
    db: Database
    keys: KeyRing
    settings: Settings


@dataclass
class Till:
    actor: str = "token:till"


async def admin(request: Request) -> Till:
    return Till()


async def refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NotFoundError) else 409 if isinstance(error, ConflictError) else 400
    return JSONResponse({"detail": str(error)}, status_code=status)


async def test_the_way_of_a_webhook(books: Database, keys: KeyRing) -> None:
    app = FastAPI()
    app.state.desk = TheDesk(books, keys, load_settings(ROOT / "config.example.toml"))
    app.include_router(webhooks.router(admin), prefix="/api/v1")
    app.add_exception_handler(DcaError, refused)
    new = {"name": "shop", "url": "https://93.184.216.34/hook?token=hush", "kinds": ["payout"]}
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://console/api/v1") as client:
        for field, wrong in (
            ("name", ""),
            ("url", "https://127.0.0.1/"),
            ("url", "http://93.184.216.34/"),
            ("kinds", []),
            ("kinds", ["Pay out"]),
            ("other", 1),
        ):
            answer = await client.post("/webhooks", json={**new, field: wrong})
            assert answer.status_code in (400, 422), (field, wrong)
        assert (await client.get("/webhooks")).json() == {"webhooks": []}

        answer = await client.post("/webhooks", json=new)
        assert answer.status_code == 201 and answer.json()["secret"].startswith("whsec_")
        webhook = answer.json()["webhook"]
        assert webhook["url"] == "https://93.184.216.34/hook?…" and webhook["created_by"] == "token:till"
        path = f"/webhooks/{webhook['id']}"
        assert (await client.get(path)).json() == webhook
        assert (await client.post("/webhooks", json=new)).status_code == 409
        for _ in range(3):
            assert (await client.post(f"{path}/test")).status_code == 202
        page = (await client.get(f"{path}/deliveries?limit=2")).json()
        rest = (await client.get(f"{path}/deliveries?limit=2&before={page['next_before']}")).json()
        assert [len(page["deliveries"]), len(rest["deliveries"]), rest["next_before"]] == [2, 1, None]
        assert page["deliveries"][0]["kind"] == "webhook.test" and "webhook.test" in page["deliveries"][0]["body"]
        assert (await client.get(f"{path}/deliveries?state=delivered")).json()["deliveries"] == []
        delivery = page["deliveries"][0]["id"]
        assert (await client.post(f"/webhooks/deliveries/{delivery}/retry")).json()["state"] == "pending"
        assert (await client.post(f"{path}/disable", json={})).status_code == 422
        ended = (await client.post(f"{path}/disable", json={"reason": "closed"})).json()
        assert ended["disabled_reason"] == "closed" and ended["given_up"] == 3
        assert (await client.post(f"{path}/test")).status_code == 409
        for missing in ("/webhooks/999", "/webhooks/999/deliveries"):
            assert (await client.get(missing)).status_code == 404
        assert (await client.post("/webhooks/deliveries/999/retry")).status_code == 404
        assert (await client.get("/webhooks/0")).status_code == 422
