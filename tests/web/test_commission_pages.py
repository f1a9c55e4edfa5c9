"""Commission in the console: shares by lines, receivers, what is gathered."""

from __future__ import annotations

import re
from html import unescape

from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import rows
from dca_daemon.services import commission, commission_release
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success
from tests.web.conftest import Console, carry_out, confirm

KEY = "k" * 32


async def test_commission_by_the_pages(console: Console) -> None:
    ana = (await console.add_client("Ana")).name
    async with console.person(Role.ADMIN) as browser:
        empty = (await browser.get("/commission")).text
        assert "all commission stays with the house" in empty and "100 %" in empty
        for fields, why in (
            ({"name": "Office"}, "give one destination"),
            ({"name": "Office", "invoice_key": KEY, "lnurl": "LNURL1X"}, "give one destination"),
            ({"name": "Office", "invoice_key": "a b"}, "this is no invoice key"),
            ({"name": ana, "invoice_key": KEY}, "Ana"),
        ):
            refused = await browser.post("/commission/add-receiver", data=fields)
            assert refused.status_code == 422 and why in refused.text and KEY not in refused.text
        preview = await browser.post("/commission/add-receiver", data={"name": "Office", "invoice_key": KEY})
        assert KEY not in preview.text and "Wallet" in preview.text
        await carry_out(browser, "/commission/add-receiver", {"name": "Office", "invoice_key": KEY})

        wrong = "Ana: 20\nOffice 12.5\nOffice: many"
        refused = await browser.post("/commission/set", data={"shares": wrong})
        told = unescape(refused.text)
        assert refused.status_code == 422 and "line 2: 'Office 12.5' is no share" in told and wrong in told
        assert "line 3: 'many' is not a percentage" in told and "line 1" not in told
        for fields, why in (
            ({}, "what is to change?"),
            ({"shares": "Nobody: 3"}, "there is no client or receiver 'Nobody'"),
            ({"shares": "Ana: 3\nAna: 4"}, "given two shares"),
            ({"shares": "Ana: 60\nOffice: 40.01"}, "100.01 %: 100 % is all there is"),
            ({"shares": "Ana: 60", "none": "yes"}, "not both"),
            ({"shares": "Ana: 60", "times": "08:00"}, "need a zone"),
            ({"shares": "Ana: 60", "from_sats": "0"}, "the amount to pay from"),
        ):
            refused = await browser.post("/commission/set", data=fields)
            assert refused.status_code == 422 and why in unescape(refused.text), fields
        assert await commission.list_versions(console.db) == []

        given = {"shares": "Ana: 20\r\nOffice: 12.5", "from_sats": "1000000", "reason": "first"}
        await carry_out(browser, "/commission/set", given)
        assert (await browser.post("/commission/set", data={"shares": "Ana: 20\nOffice: 12.5"})).status_code == 422
        await client(console.db, "20000")
        await Intake(console.db, IntakeConfig()).process([success()])
        shown = (await browser.get("/commission", params={"by": "day"})).text
        assert "67.5 %" in shown and "5,636 sats" in shown and "3,523 sats" in shown
        form = await browser.get(unescape(re.findall(r'href="(/commission/set[^"]*)"', shown)[0]))
        assert "Ana: 20\nOffice: 12.5</textarea>" in form.text

        seen = str((await commission.list_versions(console.db))[0].version_id)
        assert f'value="{seen}"' in form.text
        shown_before = await browser.post("/commission/set", data={"shares": "Ana: 40"})
        await carry_out(browser, "/commission/set", {"shares": "Ana: 30\nOffice: 10 inactive", "version": seen})
        late = await confirm(browser, "/commission/set", shown_before)
        assert late.status_code == 409 and "something else" in late.text and "Ana: 40" in late.text
        stale = await browser.post("/commission/set", data={"none": "yes", "version": seen})
        assert stale.status_code == 422 and "changed meanwhile" in stale.text
        one = await carry_out(browser, "/commission/release", {"receiver": "Ana"})
        assert one.headers["location"] == "/commission"
        assert "nothing is gathered" in (await browser.post("/commission/release", data={})).text
        versions = (await browser.get("/commission/versions")).text
        assert "Office 10 % (inactive)" in versions and "first" in versions
        assert (await browser.get("/commission/versions", params={"after": 99})).status_code == 404
    async with console.db.transaction() as conn:
        found = await rows(conn, "SELECT action, actor FROM audit_log WHERE action LIKE 'commission%' ORDER BY id")
    assert [tuple(r) for r in found] == [
        (f"commission.{what}", "user:some-admin") for what in ("set", "set", "release")
    ]


async def test_commission_by_the_api(console: Console) -> None:
    await console.add_client("Ana")
    async with console.program() as program:
        body, key = {"name": "Office", "lightning_address": "Office@Example.com"}, {"Idempotency-Key": "office"}
        first, second = [
            await program.post("/api/v1/commission/receivers", json=body, headers=key) for _ in range(2)
        ]
        assert first.status_code == 201 and first.json() == second.json()
        assert first.json()["destination"] == "office@example.com"
        path = "/api/v1/commission/versions"
        half, none = (
            {"receiver": "Ana", "percent": "50"},
            {"receiver": "Office", "percent": "12.5", "active": False},
        )
        for shares, why in (
            ([half, {"receiver": "Office", "percent": "x"}], "Office: 'x' is not a percentage"),
            ([{"receiver": "Nobody", "percent": "1"}], "'Nobody'"),
            ([{"receiver": "Ana"}], "this is needed"),
            ([{**half, "more": 1}], "no such field"),
            ([half, half], "two shares"),
        ):
            bad = await program.post(path, json={"shares": shares})
            (wrong,) = bad.json()["errors"]
            assert wrong["field"].startswith("shares") and why in wrong["message"], bad.text
        assert (await program.post(path, json={})).status_code == 422
        made = await program.post(
            path, json={"shares": [half, none], "times": "00:00", "zone": "America/Guatemala"}
        )
        version = made.json()["version"]
        assert made.status_code == 201 and version["house_percent"] == "50"
        told = [(one["receiver"], one["percent"], one["active"]) for one in version["shares"]]
        assert told == [("Ana", "50", True), ("Office", "12.5", False)]
        gone = await program.post(f"{path}?dry_run=true", json={"shares": []})
        assert gone.json()["version"]["shares"] == [] and gone.json()["version"]["house_percent"] == "100"
        await client(console.db, "20000")
        await Intake(console.db, IntakeConfig()).process([success()])
        now = (await program.get("/api/v1/commission")).json()
        assert [one["gathered_sats"] for one in now["receivers"]] == [14_091, 0] and now["next_release_at"]
        history = (await program.get("/api/v1/commission/history")).json()
        assert [one["sats"] for one in history["amounts"]] == [14_091]
        assert len((await program.get("/api/v1/commission/gathered")).json()) == 1
        done = await program.post("/api/v1/commission/release", json={})
        assert done.json()["released_sats"] == 14_091
        assert await commission_release.is_gathered(console.db) == []
        versions = (await program.get("/api/v1/commission/versions", params={"limit": 1})).json()
        assert [one["id"] for one in versions["versions"]] == [1] and versions["next"] is None
