"""Webhooks: the way of one through the pages and through the API, and what is refused beside its field."""

from __future__ import annotations

import re

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import execute
from dca_daemon.services import webhooks
from tests.web.conftest import Console, carry_out

URL = "https://93.184.216.34/hook?token=hush"


async def test_the_way_of_a_webhook(console: Console) -> None:
    async with console.person(Role.ADMIN) as browser:
        assert "There is no webhook" in (await browser.get("/webhooks")).text
        good = {"name": "<b>shop", "url": URL, "kinds": "payout, deposit.confirm"}
        odd = {"name": " ", "url": 'https://127.0.0.1/"><script>', "kinds": "Pay, *x"}
        for field, words in (
            ("name", "this is needed"),
            ("url", "private network"),
            ("kinds", "no kind of event"),
        ):
            answer = await browser.post("/webhooks/add", data=good | {field: odd[field]})
            assert answer.status_code == 422 and f'id="{field}-wrong"' in answer.text and words in answer.text
            assert 'value="payout, deposit.confirm"' in answer.text or field == "kinds"  # kept
            assert "<script>&" not in answer.text and '"><script>' not in answer.text
        assert (await browser.post("/webhooks/add")).text.count('class="wrong"') == 3
        assert await webhooks.list_all(console.db) == []

        answer = await browser.post("/webhooks/add", data=good)
        assert answer.status_code == 200 and "<b>shop" not in answer.text
        assert answer.headers["cache-control"] == "no-store"
        secret = re.search(r"whsec_[\w+/=]+", answer.text)
        again = await browser.post("/webhooks/add", data=good)  # a reload adds nothing
        assert again.status_code == 422 and 'id="name-wrong"' in again.text and "whsec_" not in again.text
        view = (await webhooks.list_all(console.db))[0]
        assert view.kinds == ("payout", "deposit.confirm") and view.created_by == "user:some-admin"
        path = f"/webhooks/{view.webhook_id}"
        listed = (await browser.get("/webhooks")).text
        assert f'href="{path}"' in listed and "hush" not in listed

        assert (await browser.post(f"{path}/test")).headers["location"] == path
        async with console.db.transaction() as conn:
            await execute(
                conn,
                """INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, ended_at)
                   SELECT :id, -n, 'k', '', 'delivered', now() FROM generate_series(1, 50) n""",
                id=view.webhook_id,
            )
        first = (await browser.get(path)).text
        assert first.count('scope="row"') == 50 and secret and secret[0] not in first
        after = first.partition("?after=")[2].partition('"')[0]
        second = (await browser.get(f"{path}?after={after}")).text
        assert second.count('scope="row"') == 1 and "webhook.test" in second and "Send again" in second
        delivery = (await webhooks.deliveries(console.db, view.webhook_id, state="pending"))[0].delivery_id
        retried = await browser.post(f"/webhooks/deliveries/{delivery}/retry")
        assert retried.headers["location"] == path

        answer = await browser.post(f"{path}/disable", data={"reason": " "})
        assert answer.status_code == 422 and 'id="reason-wrong"' in answer.text
        await carry_out(browser, f"{path}/disable", {"reason": "closed"})
        assert "closed" in (await browser.get(path)).text
        answer = await browser.post(f"{path}/test")
        assert answer.status_code == 422 and "is disabled" in answer.text
        assert (await browser.get("/webhooks/999")).status_code == 404
        assert (await browser.post(f"{path}/other")).status_code == 404


async def test_the_api_of_webhooks(console: Console) -> None:
    base = "/api/v1/webhooks"
    new = {"name": "shop", "url": URL, "kinds": ["payout"]}
    async with console.program(Scope.ADMIN) as program:
        for field, wrong in (
            ("name", ""),
            ("url", "https://127.0.0.1/"),
            ("url", "http://93.184.216.34/"),
            ("kinds", []),
            ("kinds", "payout"),
            ("kinds", ["Pay out"]),
            ("other", 1),
        ):
            answer = await program.post(base, json={**new, field: wrong})
            assert answer.status_code == 422 and answer.json()["errors"][0]["field"] == field, (field, wrong)
        assert (await program.post(f"{base}?dry_run=true", json=new)).status_code == 201
        assert (await program.get(base)).json() == {"webhooks": []}

        once = {"Idempotency-Key": "shop"}
        answer = await program.post(base, json=new, headers=once)
        assert answer.status_code == 201 and answer.json()["secret"].startswith("whsec_")
        assert (await program.post(base, json=new, headers=once)).json() == answer.json()
        webhook = answer.json()["webhook"]
        assert webhook["url"] == "https://93.184.216.34/hook?…" and webhook["created_by"] == "token:test"
        path = f"{base}/{webhook['id']}"
        assert (await program.get(path)).json() == webhook
        assert (await program.post(base, json=new)).status_code == 409
        for _ in range(3):
            assert (await program.post(f"{path}/test")).status_code == 202
        page = (await program.get(f"{path}/deliveries?limit=2")).json()
        rest = (await program.get(f"{path}/deliveries?limit=2&after={page['next']}")).json()
        assert [len(page["deliveries"]), len(rest["deliveries"]), rest["next"]] == [2, 1, None]
        assert page["deliveries"][0]["kind"] == "webhook.test" and "webhook.test" in page["deliveries"][0]["body"]
        assert (await program.get(f"{path}/deliveries?state=delivered")).json()["deliveries"] == []
        delivery = page["deliveries"][0]["id"]
        retried = await program.post(f"{base}/deliveries/{delivery}/retry")
        assert retried.status_code == 202 and retried.json()["state"] == "pending"
        assert (await program.post(f"{path}/disable", json={})).status_code == 422
        ended = (await program.post(f"{path}/disable", json={"reason": "closed"})).json()
        assert ended["disabled_reason"] == "closed" and ended["given_up"] == 3
        assert (await program.post(f"{path}/test")).status_code == 409
        for missing in (f"{base}/999", f"{base}/999/deliveries"):
            assert (await program.get(missing)).status_code == 404
        assert (await program.post(f"{base}/deliveries/999/retry")).status_code == 404
        assert (await program.get(f"{base}/0")).status_code == 422
