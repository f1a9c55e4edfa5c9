"""Clients by the pages and by the API: asked first, shown first, done once; the key is never shown."""

from __future__ import annotations

import re

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import rows, scalar
from dca_daemon.payouts.wallet import DestinationKind
from dca_daemon.services import adjustments, clients, deposits
from tests.web.conftest import Console, carry_out, confirm

KEY = "0123456789abcdef0123456789abcdef"


async def test_a_client_by_the_pages(console: Console) -> None:
    async with console.person(Role.ADMIN) as browser:
        add = "/clients/add"
        assert (await browser.get(add)).status_code == 200
        none = await browser.post(add, data={"name": "Ana", "mode": "flow"})
        assert none.status_code == 422 and "give one destination" in none.text and 'value="Ana"' in none.text
        bad = await browser.post(add, data={"name": "Ana", "mode": "flow", "invoice_key": "two words here"})
        assert bad.status_code == 422 and "two words" not in bad.text and 'id="invoice_key-wrong"' in bad.text
        assert console.wallet.checked == []

        preview = await browser.post(add, data={"name": "<i>Ana", "mode": "flow", "invoice_key": KEY})
        assert "It answered" in preview.text and "1,000 sats" in preview.text and "&lt;i&gt;Ana" in preview.text
        assert KEY not in preview.text and await clients.list_all(console.db) == []
        intent = re.findall(r'name="intent" value="([^"]+)"', preview.text)[0]
        back = await browser.post(add, data={"intent": intent, "again": "yes"})
        assert back.status_code == 200 and KEY not in back.text
        done = await browser.post(add, data={"intent": intent})
        path = done.headers["location"]
        assert done.status_code == 303
        (ana,) = await clients.list_all(console.db)
        assert path == f"/clients/{ana.client_id}" and ana.destination_kind is DestinationKind.LNBITS
        taken = await browser.post(add, data={"name": "<i>ana", "mode": "flow", "invoice_key": KEY})
        assert taken.status_code == 422 and 'id="name-wrong"' in taken.text

        shown = await browser.get(path)
        assert shown.status_code == 200 and KEY not in shown.text and "client.add" in shown.text
        renamed = await browser.post(f"{path}/rename", data={"name": "Ana"})
        assert renamed.status_code == 303
        await carry_out(browser, f"{path}/mode", {"mode": "fixed", "reason": "she asked"})
        await carry_out(browser, f"{path}/deactivate", {"reason": "on a journey"})
        moved = await browser.post(f"{path}/destination", data={"lightning_address": "Ana@example.com"})
        assert "ana@example.com" in moved.text and "It answered" in moved.text and "LNbits wallet" in moved.text
        assert (await clients.show(console.db, "Ana")).destination_kind is DestinationKind.LNBITS
        console.wallet.names["ana@example.com"] = "Somebody else"
        other = await confirm(browser, f"{path}/destination", moved)
        assert other.status_code == 409 and "something else" in other.text
        assert 'value="Ana@example.com"' in other.text
        assert (await clients.show(console.db, "Ana")).destination_kind is DestinationKind.LNBITS
        await carry_out(browser, f"{path}/destination", {"lightning_address": "ana@example.com"})
        after = await clients.show(console.db, "Ana")
        assert (after.mode, after.status, after.destination) == ("fixed", "inactive", "ana@example.com")

        made = await deposits.record(
            console.db, client="Ana", amount="100", currency=None, note=None, actor="os:x"
        )
        await deposits.confirm(console.db, made.deposit_id, actor="os:x")
        both = await browser.post(f"{path}/adjust", data={"fiat": "+1", "sats": "+1", "reason": "counted"})
        below = await browser.post(f"{path}/adjust", data={"fiat": "-100.01", "reason": "counted"})
        assert both.status_code == below.status_code == 422 and "below zero" in below.text
        adjusted = await carry_out(browser, f"{path}/adjust", {"fiat": "-10", "reason": "counted again"})
        assert "counted again" in (await browser.get(adjusted.headers["location"])).text
        await carry_out(browser, f"{path}/adjust", {"sats": "+1500", "reason": "=cmd()"})

        page, history = [await browser.get(f"{path}{part}") for part in ("", "/history")]
        assert "90.00 GTQ" in page.text and "1,500 sats" in page.text and "user:some-" in page.text
        assert history.text.count('<th scope="row">') == 1
        statement = await browser.get(f"{path}/statement.csv")
        assert statement.headers["content-disposition"].startswith("attachment")
        head, line = statement.text.splitlines()
        assert head.startswith("record_id,") and ",1500,0.00,GTQ," in line and "manual" in line
        assert (await browser.get("/clients/999/statement.csv")).status_code == 404

        await console.add_client("Bea")
        every = (await browser.get("/clients")).text
        assert "Ana" in every and "Bea" in every
        for query, found in (("text=be", "Bea"), ("mode=fixed", "Ana"), ("status=active&order=name", "Bea")):
            text = (await browser.get(f"/clients?{query}")).text
            assert found in text and ({"Ana", "Bea"} - {found}).pop() not in text
    async with console.db.transaction() as conn:
        done_to_her = await rows(
            conn, "SELECT action FROM audit_log WHERE subject = :s ORDER BY id", s=f"client:{ana.client_id}"
        )
        kept = await scalar(conn, "SELECT string_agg(before::text || after::text, '') FROM audit_log")
    changed = ["rename", "set-mode", "set-inactive", "set-destination", "adjust", "adjust"]
    assert [r.action for r in done_to_her] == [f"client.{what}" for what in ("add", *changed)]
    assert KEY not in str(kept)


async def test_clients_by_the_api(console: Console) -> None:
    base = "/api/v1/clients"
    async with console.program() as program:
        body = {"name": "Ana", "lightning_address": "ana@example.com"}
        tried = await program.post(f"{base}?dry_run=true", json=body)
        assert tried.status_code == 201 and await clients.list_all(console.db) == []
        first, second = [await program.post(base, json=body, headers={"Idempotency-Key": "k"}) for _ in range(2)]
        assert first.json() == second.json() and first.json()["destination_info"]["name"] == "Wallet"
        number = first.json()["client"]["id"]
        one = f"{base}/{number}"
        added = await program.post(base, json={"name": "Bea", "invoice_key": KEY, "mode": "fixed"})
        assert added.status_code == 201 and KEY not in added.text

        wrong = await program.post(f"{one}/destination", json={"lnurl": "x", "invoice_key": KEY})
        assert wrong.status_code == 422 and KEY not in wrong.text
        moved = (await program.post(f"{one}/destination", json={"invoice_key": KEY})).json()
        assert moved["destination_before"] == "ana@example.com" and moved["under_way_sats"] == 0
        assert (await program.post(f"{one}/mode", json={"mode": "commission"})).status_code == 422
        assert (await program.post(f"{one}/mode", json={"mode": "fixed"})).json()["mode"] == "fixed"
        assert (await program.post(f"{one}/deactivate", json={})).json()["status"] == "inactive"
        assert (await program.post(f"{one}/activate", json={})).json()["status"] == "active"
        assert (await program.post(f"{one}/rename", json={"name": "7"})).json()["errors"][0]["field"] == "name"
        assert (await program.post(f"{one}/rename", json={"name": "Anna"})).json()["name"] == "Anna"

        adjust = {"sats": "+20", "reason": "a gift"}
        assert (await program.post(f"{one}/adjustments", json=adjust)).json()["after"] == 20
        listed = (await program.get(f"{one}/adjustments")).json()["adjustments"]
        assert [(a["sats"], a["fiat"], a["reason"]) for a in listed] == [(20, None, "a gift")]
        records = (await program.get(f"{one}/records", params={"limit": 1})).json()
        assert records["records"][0]["sats"] == 20 and records["next"] is None
        series = (await program.get(f"{one}/series")).json()
        assert [point["sats"] for point in series["stacked"]] == [20] and series["prices"] == []
        changes = (await program.get(f"{one}/changes", params={"limit": 2})).json()
        assert changes["changes"][0]["action"] == "client.adjust" and changes["next"]
        assert (await program.get(f"{one}/statement.csv")).text.count("\n") == 2
        page = (await program.get(base, params={"limit": 1, "order": "name"})).json()
        further = (await program.get(base, params={"limit": 1, "order": "name", "after": page["next"]})).json()
        assert [c["name"] for c in (*page["clients"], *further["clients"])] == ["Anna", "Bea"]
        assert (await program.get(f"{base}/999")).status_code == 404
    assert len(await adjustments.list_all(console.db, str(number))) == 1


async def test_a_destination_that_does_not_answer_changes_nothing(console: Console) -> None:
    ana = await console.add_client("Ana")

    async def silent(destination: object) -> None:
        raise InputError("nobody answers there")

    console.wallet.check_destination = silent  # type: ignore[assignment,method-assign]
    async with console.person(Role.ADMIN) as browser:
        path = f"/clients/{ana.client_id}/destination"
        refused = await browser.post(path, data={"lightning_address": "x@example.com"})
        assert refused.status_code == 422 and 'id="lightning_address-wrong"' in refused.text
        assert 'value="x@example.com"' in refused.text
    assert (await clients.show(console.db, "Ana")).destination == ana.destination
