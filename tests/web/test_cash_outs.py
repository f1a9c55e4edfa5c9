"""Cash-outs by the pages and by the API: seen whole, decided once."""

from __future__ import annotations

import uuid
from decimal import Decimal

import pytest

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import cash_outs, filters
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success, value
from tests.web.conftest import Console, carry_out


async def test_cash_outs_by_the_pages(console: Console) -> None:
    books = console.db
    await client(books, "20000")
    shared = success()
    failed = success(dispense_confirmed=False, error="<b>", tx_version=4)
    bad = success(fiat=Decimal("NaN"), crypto_atoms=Decimal("1.5"), tx_version=6)
    await Intake(books, IntakeConfig()).process([shared, failed, bad])
    numbers = {row: (await cash_outs.show(books, row.external_id)).summary for row in (shared, failed, bad)}
    async with console.person(Role.OPERATOR) as browser:
        everything = await browser.get("/cash-outs")
        assert everything.status_code == 200 and "NaN GTQ" in everything.text and "1.5 sats" in everything.text
        assert "512,400 sats" in everything.text
        only = (await browser.get("/cash-outs", params={"state": "failed", "machine": "antigua"})).text
        assert f'href="/cash-outs/{numbers[failed].cash_out_id}"' in only and "NaN" not in only
        none = await browser.get("/cash-outs", params={"since": "2026-11-02", "coin": "btc", "text": "x"})
        assert "There are no such cash-outs" in none.text and 'value="2026-11-02"' in none.text
        wrong = await browser.get("/cash-outs", params={"until": "soon"})
        assert wrong.status_code == 422 and "is not a time" in wrong.text and 'value="soon"' in wrong.text

        whole = (await browser.get(f"/cash-outs/{numbers[shared].cash_out_id}")).text
        assert "484,218 sats" in whole and "5.5 % of 512,400 sats = 28,182 sats" in whole
        assert "/distributions/" in whole and "Distribute</a>" not in whole
        for row in (failed, bad):
            shown = await browser.get(f"/cash-outs/{numbers[row].cash_out_id}")
            assert shown.status_code == 200 and "<b>" not in shown.text

        bad_path = f"/cash-outs/{numbers[bad].cash_out_id}"
        refused = await browser.post(f"{bad_path}/process", data={"reason": "really"})
        assert refused.status_code == 422 and ">really</textarea>" in refused.text
        assert (await browser.post(f"{bad_path}/ignore", data={"reason": " "})).status_code == 422
        await carry_out(browser, f"{bad_path}/ignore", {"reason": "junk"})
        assert (await cash_outs.show(books, bad.external_id)).summary.state == "ignored"

        entry = {"fiat": "2000", "sats": "256000", "reference": "ticket-17", "reason": "paid at the counter"}
        for field, text, said in (
            ("at", "soon", "is not a time"), ("sats", "1.5", "whole number"), ("sats", "0", "greater than"),
            ("reference", "17", "of digits"), ("commission_percent", "101", "between 0 and 100"),
        ):  # fmt: skip
            answer = await browser.post(
                "/cash-outs/enter", data={**entry, "settles": failed.external_id, field: text}
            )
            assert answer.status_code == 422 and said in answer.text, field
            assert f'id="{field}-wrong"' in answer.text and f'value="{text}"' in answer.text
        away = await browser.post("/cash-outs/enter", data={**entry, "settles": str(uuid.uuid4())})
        assert away.status_code == 422 and "Lamassu can&#39;t be asked" in away.text
        assert await value(books, "SELECT count(*) FROM cash_out") == 3
        done = await carry_out(browser, "/cash-outs/enter", {**entry, "settles": failed.external_id})
        entered = (await browser.get(done.headers["location"])).text
        assert "ticket-17" in entered and "paid at the counter" in entered and "user:some-operator" in entered
    assert (await cash_outs.show(books, failed.external_id)).summary.state == "settled-by-hand"


async def test_cash_outs_by_the_api(console: Console) -> None:
    books = console.db
    await client(books, "20000")
    left = success(crypto_atoms=Decimal(512400))
    odd = success(fiat=Decimal("NaN"), raw_ticker_price=Decimal("NaN"), commission_percentage=Decimal("NaN"))
    await Intake(books, IntakeConfig()).process([left, odd])
    async with console.program() as program:
        listed = (await program.get("/api/v1/cash-outs", params={"limit": 1})).json()
        rest = (await program.get("/api/v1/cash-outs", params={"after": listed["next"]})).json()
        found = [*listed["cash_outs"], *rest["cash_outs"]]
        assert {one["fiat"] for one in found} == {"4000.00", "NaN"} and rest["next"] is None
        by_id = {one["external_id"]: one["id"] for one in found}
        whole = (await program.get(f"/api/v1/cash-outs/{by_id[left.external_id]}")).json()
        assert whole["split"]["clients_sats"] == sum(one["sats"] for one in whole["shares"]) == 484_218
        assert whole["explanation"] and whole["log"]
        junk = f"/api/v1/cash-outs/{by_id[odd.external_id]}"
        assert (await program.get(junk)).json()["source_row"]["raw_ticker_price"] == "NaN"
        bad = await program.post(f"{junk}/process", json={"reason": "x"})
        assert bad.status_code in (409, 422), bad.text
        tried = await program.post(f"{junk}/ignore?dry_run=true", json={"reason": "x"})
        assert tried.json()["cash_out"]["state"] == "ignored"
        assert (await program.get(junk)).json()["cash_out"]["state"] == "review"
        body = {"reference": "t-1", "fiat": "100", "sats": 12800, "commission_percent": "5.5",
                "machine": "Antigua", "at": "2026-11-02T14:05:00-06:00", "reason": "counter"}  # fmt: skip
        made = await program.post("/api/v1/cash-outs", json=body)
        assert made.status_code == 201 and made.json()["cash_out"]["entered_by"] == "token:test"
        again = await program.post("/api/v1/cash-outs", json=body)
        assert again.status_code == 409 and "t-1" in again.json()["detail"]
        assert (await program.get("/api/v1/cash-outs/999")).status_code == 404


async def test_what_filters_left_out_is_distributed_at_once(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client(console.db, "20000")
    await filters.add(console.db, filters.FilterKind.COIN, "LN", reason="a test", actor="os:test")
    left_out = [success(crypto_code="LN") for _ in range(3)]
    await Intake(console.db, IntakeConfig()).process(left_out)
    path, given = "/cash-outs/process-filtered", {"reason": "they count after all"}
    async with console.person(Role.OPERATOR) as browser, console.program(Scope.CASH_OUTS) as program:
        assert f'href="{path}"' in (await browser.get("/filters")).text
        with monkeypatch.context() as few:
            few.setattr("dca_daemon.web.deeds.cash_outs.AT_ONCE", 2)
            refused = await browser.post(path, data=given)
            assert refused.status_code == 422 and 'id="since-wrong"' in refused.text
        preview = await browser.post(path, data=given)
        assert "3 cash-outs" in preview.text
        dry = await program.post(f"/api/v1{path}?dry_run=true", json=given)
        assert dry.json() == {"distributed": 3, "refused": []}
        assert len(await cash_outs.left_out(console.db)) == 3
        await carry_out(browser, path, given)
        assert await cash_outs.left_out(console.db) == []
        again = await program.post(f"/api/v1{path}", json=given)
        assert again.status_code == 409
    assert await value(console.db, "SELECT count(*) FROM distribution") == 3
