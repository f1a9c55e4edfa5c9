"""Deposits by the pages and by the API: shown first, done once."""

from __future__ import annotations

import re

from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import rows
from dca_daemon.services import clients, deposits
from tests.web.conftest import Console, carry_out


async def test_a_deposit_by_the_pages(console: Console) -> None:
    ana = await console.add_client("Ana")
    async with console.person(Role.OPERATOR) as browser:
        form = await browser.get("/deposits/record", params={"client": "Ana"})
        assert form.status_code == 200 and 'value="Ana"' in form.text
        wrong = await browser.post("/deposits/record", data={"client": "Ana", "amount": "12.345", "note": "<b>"})
        assert wrong.status_code == 422 and 'value="12.345"' in wrong.text and "&lt;b&gt;" in wrong.text
        assert await deposits.list_all(console.db) == []

        done = await carry_out(browser, "/deposits/record", {"client": "Ana", "amount": "1000"})
        assert (await browser.get(done.headers["location"])).status_code == 200
        deposit = (await deposits.list_all(console.db))[0]
        path = f"/deposits/{deposit.deposit_id}/confirm"
        preview = await browser.post(path, data={})
        assert "Nothing is changed yet" in preview.text and "1,000.00 GTQ" in preview.text
        assert (await deposits.show(console.db, deposit.deposit_id)).state == "pending"
        more = await deposits.record(console.db, client="Ana", amount="1", currency=None, note=None, actor="os:x")
        await deposits.confirm(console.db, more.deposit_id, actor="os:x")  # the balance moves, the amount stays
        intent = re.findall(r'name="intent" value="([^"]+)"', preview.text)[0]
        first, second = [await browser.post(path, data={"intent": intent}) for _ in range(2)]
        assert first.headers["location"] == second.headers["location"] == f"/deposits/{deposit.deposit_id}"
        other = await browser.post(f"/deposits/{more.deposit_id}/confirm", data={"intent": intent})
        assert other.status_code == 422
    view = await clients.show(console.db, str(ana.client_id))
    assert view.balances[0].balance_minor == 100_100
    async with console.db.transaction() as conn:
        found = await rows(conn, "SELECT action, actor FROM audit_log WHERE action LIKE 'deposit%' ORDER BY id")
    assert [tuple(r) for r in found] == [
        ("deposit.record", "user:some-operator"),
        ("deposit.record", "os:x"),
        ("deposit.confirm", "os:x"),
        ("deposit.confirm", "user:some-operator"),
    ]


async def test_a_deposit_by_the_api(console: Console) -> None:
    await console.add_client("Ana")
    async with console.program() as program:
        body = {"client": "Ana", "amount": "500.50"}
        tried = await program.post("/api/v1/deposits?dry_run=true", json=body)
        assert tried.status_code == 201 and tried.headers["dry-run"] == "true"
        assert await deposits.list_all(console.db) == []
        key = {"Idempotency-Key": "one"}
        first, second = [await program.post("/api/v1/deposits", json=body, headers=key) for _ in range(2)]
        assert first.json() == second.json() and second.headers["idempotency-replayed"] == "true"
        assert first.json()["amount"] == "500.50"
        other = await program.post("/api/v1/deposits", json={**body, "amount": "1"}, headers=key)
        assert other.status_code == 409 and other.json()["code"] == "conflict"
        bad = await program.post("/api/v1/deposits", json={"client": "Ana", "amount": "", "more": 1})
        assert bad.status_code == 422 and bad.headers["content-type"] == "application/problem+json"
        assert {one["field"] for one in bad.json()["errors"]} == {"amount", "more"}
        number = first.json()["id"]
        done = await program.post(f"/api/v1/deposits/{number}/confirm", json={})
        assert done.json()["balance_after"] == "500.50"
        listed = (await program.get("/api/v1/deposits", params={"limit": 1})).json()
        assert [one["id"] for one in listed["deposits"]] == [number] and listed["next"] is None
        assert (await program.get("/api/v1/deposits/999")).status_code == 404


async def test_what_was_shown_is_what_is_done(console: Console) -> None:
    """Between the look and the confirmation somebody else has changed what it would come to."""
    await console.add_client("Ana")
    made = await deposits.record(console.db, client="Ana", amount="100", currency=None, note=None, actor="os:x")
    await deposits.confirm(console.db, made.deposit_id, actor="os:x")
    async with console.person(Role.OPERATOR) as browser:
        path = f"/deposits/{made.deposit_id}/void"
        preview = await browser.post(path, data={"reason": "mistake"})
        intent = re.findall(r'name="intent" value="([^"]+)"', preview.text)[0]
        await deposits.void(console.db, made.deposit_id, reason="mistake", actor="os:x")
        refused = await browser.post(path, data={"intent": intent})
        assert refused.status_code == 422 and "mistake" in refused.text
