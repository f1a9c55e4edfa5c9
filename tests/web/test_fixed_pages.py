"""Fixed Mode in the console: schedule, amounts, a run by hand at a rate that is asked, or missing."""

from __future__ import annotations

import re

import pytest

from dca_daemon.domain.rights import Role
from dca_daemon.services import fixed_schedules, fixed_status
from tests.services.builders import client
from tests.services.fixed_bench import Feed
from tests.web.conftest import Console, carry_out

TWICE = {"zone": "America/Guatemala", "times": "00:00, 23:59"}


async def test_fixed_mode_by_the_pages(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = await client(console.db, "1000", mode="fixed")
    async with console.person(Role.OPERATOR) as browser:
        empty = (await browser.get("/fixed")).text
        assert "no schedule yet" in empty and "without an amount" in empty
        assert (await browser.get("/fixed", params={"pool": "nowhere"})).status_code == 404
        for wrong in ({}, {**TWICE, "times": "25:00"}, {**TWICE, "zone": "Mars"}, {**TWICE, "missed": "never"}):
            refused = await browser.post("/fixed/set", data=wrong)
            assert refused.status_code == 422 and 'class="wrong"' in refused.text, wrong
        assert (await fixed_schedules.show(console.db))[1] is None
        done = await carry_out(browser, "/fixed/set", {**TWICE, "max_per_day": "400"})
        assert done.headers["location"] == "/fixed?pool=1"

        nothing = await browser.post("/fixed/amount", data={"client": str(ana)})
        assert "say what to change" in nothing.text
        over = await browser.post("/fixed/amount", data={"client": str(ana), "per_day": "401"})
        assert over.status_code == 422 and "400.00 GTQ" in over.text and 'value="401"' in over.text
        await carry_out(browser, "/fixed/amount", {"client": str(ana), "per_day": "400", "reason": "asked"})

        without_rate = await browser.get("/fixed")
        assert without_rate.status_code == 200 and "there is no fresh rate for GTQ" in without_rate.text
        assert (await browser.post("/fixed/run", data={})).status_code == 422
        feed = Feed()
        monkeypatch.setattr(console.desk.prices, "fiat_per_btc", feed.fiat_per_btc)
        shown = (await browser.get("/fixed")).text
        assert "800,000.00 GTQ/BTC" in shown and "25,000 sats" in shown
        link = re.search(r'href="(/fixed/run[^"]+)"', shown)
        assert link and "00%3A00" in link[1]
        await carry_out(browser, "/fixed/run", {"reason": "before lunch"})
        assert feed.asked == 1, "what was shown is what is run"
        other = await browser.post("/fixed/run", data={"time": "2020-01-01 08:00"})
        assert other.status_code == 422 and "the turn is that of" in other.text
        await carry_out(browser, "/fixed/run", {})
        assert "have been dealt with" in (await browser.post("/fixed/run", data={})).text
        past = (await browser.get("/fixed")).text
        assert "user:some-operator" in past and "200.00 GTQ" in past
        await carry_out(browser, "/fixed/stop", {})
        assert (await browser.post("/fixed/stop", data={})).status_code == 422
        assert "stopped" in (await browser.get("/fixed")).text
    runs = await fixed_status.history(console.db)
    assert [(run.local_time, run.clients, run.sats) for run in runs] == [
        ("23:59", 1, 25_000),
        ("00:00", 1, 25_000),
    ]


async def test_fixed_mode_by_the_api(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = await client(console.db, "1000", mode="fixed")
    async with console.program() as program:
        assert (await program.get("/api/v1/fixed")).json()["without_amount"] != []
        assert (await program.get("/api/v1/fixed/preview")).status_code == 409
        made = (await program.post("/api/v1/fixed/schedule", json={**TWICE, "times": "00:00"})).json()
        assert made["active"] and made["max_per_day"] == "2000.00" and len(made["upcoming"]) == 5
        amount = {"client": str(ana), "per_day": "400"}
        assert (await program.post("/api/v1/fixed/amounts", json=amount)).json()["per_day"] == "400.00"
        preview = (await program.get("/api/v1/fixed/preview")).json()
        assert preview["rate"] is None and preview["purchases"][0]["sats"] is None
        assert "no fresh rate" in preview["no_rate"]
        no_rate = await program.post("/api/v1/fixed/runs", json={})
        assert (no_rate.status_code, no_rate.json()["code"]) == (503, "no-rate")
        monkeypatch.setattr(console.desk.prices, "fiat_per_btc", Feed().fiat_per_btc)
        key = {"Idempotency-Key": "run-1"}
        first, second = [await program.post("/api/v1/fixed/runs", json={}, headers=key) for _ in range(2)]
        assert first.status_code == second.status_code == 201 and first.json() == second.json()
        assert first.json()["sats"] == 50_000 and first.json()["rate"]["fiat_per_btc"] == "800000"
        assert (await program.post("/api/v1/fixed/runs", json={})).status_code == 409
        listed = (await program.get("/api/v1/fixed/runs", params={"limit": 1})).json()
        assert [run["amount"] for run in listed["runs"]] == ["400.00"] and listed["next"] is None
        assert (await program.post("/api/v1/fixed/stop", json={})).json()["active"] is False
