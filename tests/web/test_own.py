"""A client's own page and API: all that is its own, nothing of anybody else's, and changes only where it may."""

from __future__ import annotations

import asyncio
import csv
import io
import re

import httpx
import pytest
from structlog.testing import capture_logs

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import client_access, client_account, clients, deposits, pools
from dca_daemon.services.audit import list_all as audit_list
from dca_daemon.services.clients import Mode
from tests.services.fixed_bench import PRICE, Feed
from tests.web.conftest import Console, carry_out
from tests.web.own_world import a_client_with_a_past

NOTHING_OPENS = ("x", "A" * 43, "A" * 5000, "'; DROP TABLE client_link", "%F0%9F")


async def confirm(browser: httpx.AsyncClient, link: str, deed: str, preview: httpx.Response) -> httpx.Response:
    """Confirms what a preview has shown."""
    found = re.search(r'name="intent" value="([^"]+)"', preview.text)
    assert found, preview.text
    return await browser.post(link, data={"deed": deed, "intent": found[1]})


async def test_the_page_shows_all_that_is_its_own_and_nothing_else(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, link = await a_client_with_a_past(console, cash_outs=60)
    _, other = await client_access.make_link(console.db, "Bea", actor="os:test")
    async with console.stranger() as browser:
        page = await browser.get(link)
        assert "no rate is known at present" in page.text
        monkeypatch.setattr(console.desk.prices, "fiat_per_btc", Feed(PRICE).fiat_per_btc)
        console.desk.held_rates.clear()
        page = await browser.get(link)
        assert page.status_code == 200
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["cache-control"] == "no-store"
        assert "noindex" in page.headers["x-robots-tag"]
        assert "set-cookie" not in page.headers and "<script" not in page.text
        for word in (
            "Sats stacked",
            "Pending deposits",
            "1,500.00 GTQ",
            "Average price paid",
            "Gain",
            "Corrected",
        ):
            assert word in page.text, word
        for secret in ("Bea", "slip 17", "os:test", "dispenser", "commission", "cash-outs/"):
            assert secret not in page.text.replace("commission that will be sent at a set time", ""), secret
        assert "Ana" not in (await browser.get(f"/my/{other}")).text

        seen, where = 0, f"{link}/purchases"
        while where:
            listed = await browser.get(where)
            seen += listed.text.count('<th role="rowheader"')
            found = re.search(r'rel="next" href="([^"]+)"|href="([^"]+)"[^>]*rel="next"', listed.text)
            where = (
                httpx.URL(listed.url).join((found[1] or found[2]).replace("&amp;", "&")).raw_path.decode()
                if found
                else ""
            )
        assert seen == 61
        lines = list(csv.DictReader(io.StringIO((await browser.get(f"{link}/statement.csv")).text)))
        assert len(lines) == 61 and set(lines[0]).isdisjoint({"record_id", "cash_out_id"})
        stacked = sum(int(line["sats"]) for line in lines)
        assert f"{stacked:,} sats" in page.text
        assert (await browser.get(f"{link}/deposits")).text.count('<th role="rowheader"') == 2
    assert (await client_access.show(console.db, str(ana))).link.last_used_at is not None  # type: ignore[union-attr]


async def test_what_opens_nothing_is_answered_alike_and_no_log_has_a_link(console: Console) -> None:
    _, link = await a_client_with_a_past(console, cash_outs=1)
    with capture_logs() as logged:
        async with console.stranger() as browser:
            _, newer = await client_access.make_link(console.db, "Ana", actor="os:test")
            wrong = [link, *(f"/my/{text}" for text in NOTHING_OPENS)]
            answers = [await browser.get(path) for path in wrong]
            assert {(answer.status_code, answer.text) for answer in answers} == {(404, answers[0].text)}
            for path in (f"{link}/purchases", f"{link}/deposits", f"{link}/statement.csv"):
                assert (await browser.get(path)).status_code == 404
            assert (await browser.post(link, data={"deed": "mode", "mode": "fixed"})).status_code == 404
            assert (await browser.get(f"/my/{newer}")).status_code == 200
            await client_access.revoke_link(console.db, "Ana", actor="os:test", reason="lost")
            assert (await browser.get(f"/my/{newer}")).text == answers[0].text
    assert link.removeprefix("/my/") not in repr(logged) and newer not in repr(logged)
    kept = repr(await audit_list(console.db, limit=200))
    assert link.removeprefix("/my/") not in kept and newer not in kept


async def test_what_fails_here_is_told_to_nobody(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    ana, link = await a_client_with_a_past(console, cash_outs=0)
    transport = httpx.ASGITransport(app=console.app, raise_app_exceptions=False)
    for error, status in ((DatabaseError("no connection to db.internal"), 503), (RuntimeError("a bug"), 500)):

        async def fails(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(client_account, "of", fails)
        with capture_logs() as logged:
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8018") as browser:
                answer = await browser.get(link)
            async with console.program(Scope.CLIENT, client_id=ana) as program:
                problem = await program.get("/api/v1/me")
        assert answer.status_code == problem.status_code == status
        for text in (answer.text, problem.text):
            assert "db.internal" not in text and "a bug" not in text
        assert logged and link.removeprefix("/my/") not in repr(logged)


async def test_a_client_of_two_pools_chooses_among_its_own(console: Console) -> None:
    ana, link = await a_client_with_a_past(console, cash_outs=1)
    for name, code in (("Tokyo", "JPY"), ("Lima", "PEN")):
        await pools.add(console.db, name=name, currency=code, actor="os:test")
    yen = await deposits.record(
        console.db, client="Ana", amount="90000", currency=None, note=None, actor="os:test", pool="Tokyo"
    )
    await deposits.confirm(console.db, yen.deposit_id, actor="os:test")
    async with console.stranger() as browser, console.program(Scope.CLIENT, client_id=ana) as program:
        page = (await browser.get(link)).text
        for words in ("In GTQ", "In JPY", "90,000 JPY", "Cash left", "(Tokyo)"):
            assert words in page, words
        assert "Lima" not in page
        preview = await browser.post(link, data={"deed": "amount", "pool": "Tokyo", "per_day": "500"})
        assert "500 JPY" in preview.text
        assert (await confirm(browser, link, "amount", preview)).status_code == 303
        finer = await browser.post(link, data={"deed": "amount", "pool": "Tokyo", "per_day": "1.5"})
        assert (
            finer.status_code == 422
            and 'id="amount-2-wrong"' in finer.text
            and 'id="amount-1-wrong"' not in finer.text
        )
        said = []
        for pool in ("Lima", "Nowhere", None):
            answer = await program.post("/api/v1/me/amount", json={"per_day": "1", "pool": pool})
            said.append(answer.json()["errors"])
        assert said[0] == said[1] != said[2] and {one[0]["field"] for one in said} == {"pool"}
        fixed = (await program.get("/api/v1/me")).json()["fixed"]
        assert [(one["currency"], one["per_day"]) for one in fixed] == [("GTQ", "250.00"), ("JPY", "500")]


async def test_it_changes_its_mode_and_amount_where_it_may(console: Console) -> None:
    ana, link = await a_client_with_a_past(console, cash_outs=1)
    async with console.stranger() as browser:
        over = await browser.post(link, data={"deed": "amount", "per_day": "99999"})
        assert over.status_code == 422 and 'value="99999"' in over.text and "more than the maximum" in over.text
        assert "--max" not in over.text
        preview = await browser.post(link, data={"deed": "amount", "per_day": "120.50"})
        assert "120.50 GTQ" in preview.text
        assert (await client_account.of(console.db, ana)).fixed[0].daily_minor == 25_000  # not yet
        for expected in ("You buy for 120.50 GTQ a day", "done already"):  # a double click
            done = await confirm(browser, link, "amount", preview)
            assert done.status_code == 303 and done.headers["location"].startswith(link)
            assert expected in (await browser.get(done.headers["location"])).text
        preview = await browser.post(link, data={"deed": "mode", "mode": "fixed"})
        assert (await confirm(browser, link, "mode", preview)).status_code == 303
        assert (await clients.show(console.db, str(ana))).mode is Mode.FIXED

        foreign = {"sec-fetch-site": "cross-site", "origin": "https://elsewhere.example"}
        assert (
            await browser.post(link, data={"deed": "mode", "mode": "flow"}, headers=foreign)
        ).status_code == 403
        for nonsense in ({"deed": "delete"}, {"deed": "mode", "mode": "commission"}, {"deed": "mode"}, {}):
            assert (await browser.post(link, data=nonsense)).status_code == 422

        preview = await browser.post(link, data={"deed": "mode", "mode": "flow"})
        await client_access.allow(console.db, "Ana", switch_mode=False, change_amount=False, actor="os:test")
        assert "<form" not in (await browser.get(link)).text
        for answer in (
            await confirm(browser, link, "mode", preview),
            await browser.post(link, data={"deed": "mode", "mode": "flow"}),
            await browser.post(link, data={"deed": "amount", "per_day": "1"}),
        ):
            assert answer.status_code == 403 and "by yourself" in answer.text
    assert (await clients.show(console.db, str(ana))).mode is Mode.FIXED
    own = [one.action for one in await audit_list(console.db, actor=f"client:{ana}")]
    assert own == ["client.set-mode", "fixed.set-amount"]


async def test_an_intent_of_one_client_does_nothing_for_another(console: Console) -> None:
    _, link = await a_client_with_a_past(console, cash_outs=1)
    await client_access.allow(console.db, "Bea", switch_mode=True, actor="os:test")
    _, other = await client_access.make_link(console.db, "Bea", actor="os:test")
    async with console.stranger() as browser:
        preview = await browser.post(link, data={"deed": "mode", "mode": "fixed"})
        found = re.search(r'name="intent" value="([^"]+)"', preview.text)
        assert found
        stolen = await browser.post(f"/my/{other}", data={"deed": "mode", "intent": found[1]})
        assert stolen.status_code in (409, 422)
    assert {one.mode for one in await clients.list_all(console.db)} == {Mode.FLOW}


async def test_the_api_of_a_client(console: Console) -> None:
    ana, _ = await a_client_with_a_past(console, cash_outs=5)
    (bea,) = [one.client_id for one in await clients.list_all(console.db) if one.name == "Bea"]
    own = Scope.CLIENT
    async with console.program(own, client_id=ana) as hers, console.program(own, client_id=bea) as others:
        mine = (await hers.get("/api/v1/me")).json()
        assert (mine["name"], mine["mode"], mine["corrected_sats"]) == ("Ana", "flow", 1500)
        assert mine["currencies"][0]["worth"] is None and mine["balances"][0]["pending"] == "1500.00"
        first = (await hers.get("/api/v1/me/purchases", params={"limit": 2})).json()
        more = {"limit": 200, "after": first["next"]}
        rest = (await hers.get("/api/v1/me/purchases", params=more)).json()
        whole = first["purchases"] + rest["purchases"]
        assert sum(one["sats"] for one in whole) == mine["stacked_sats"] and rest["next"] is None
        # Another's place in the list tells nothing, nor does a place of ours in another list.
        assert (await others.get("/api/v1/me/purchases", params=more)).status_code == 422
        assert (await hers.get("/api/v1/me/deposits", params=more)).status_code == 422
        theirs = (await others.get("/api/v1/me/purchases")).json()["purchases"]
        assert {one["payout_id"] for one in theirs} == {None} and len(theirs) == 5
        assert len((await hers.get("/api/v1/me/deposits")).json()["deposits"]) == 2
        series = (await hers.get("/api/v1/me/series")).json()
        assert series["stacked"][-1]["sats"] == mine["stacked_sats"]
        assert len((await hers.get("/api/v1/me/statement.csv")).text.splitlines()) == 1 + len(whole)

        refused = (await others.post("/api/v1/me/mode", json={"mode": "fixed"})).json()
        assert (refused["status"], refused["code"]) == (403, "forbidden")
        key = {"Idempotency-Key": "one"}
        changed = await hers.post("/api/v1/me/amount", json={"per_day": "300"}, headers=key)
        assert changed.json()["per_day"] == "300.00"
        assert (await hers.post("/api/v1/me/amount", json={"per_day": "300"}, headers=key)).text == changed.text
        wrong = (await hers.post("/api/v1/me/amount", json={"per_day": "1,5"})).json()
        assert [one["field"] for one in wrong["errors"]] == ["per_day"]
        assert (await hers.post("/api/v1/me/mode", json={"mode": "fixed"})).json()["mode"] == "fixed"
    assert (await clients.show(console.db, str(bea))).mode is Mode.FLOW


async def test_an_admin_makes_links_and_tokens_and_says_what_may_be_changed(console: Console) -> None:
    view = await console.add_client("Ana")
    at = f"/clients/{view.client_id}"
    async with console.person(Role.ADMIN) as browser, console.stranger() as client:
        made = await browser.post(f"{at}/link")
        (path,) = re.findall(r"<code>http://127\.0\.0\.1:8018(/my/[\w-]{43})</code>", made.text)
        assert (await client.get(path)).status_code == 200
        await carry_out(browser, f"{at}/permissions", {"switch_mode": "yes"})
        given = (await client_access.show(console.db, "Ana")).permissions
        assert (given.may_switch_mode, given.may_change_amount) == (True, False)
        await carry_out(browser, f"{at}/permissions", {"change_amount": "yes"})
        given = (await client_access.show(console.db, "Ana")).permissions
        assert (given.may_switch_mode, given.may_change_amount) == (False, True)
        shown = await browser.get(at)
        assert "Make another link" in shown.text and path not in shown.text
        added = await browser.post(f"{at}/token", data={"name": "ana-wallet"})
        (token,) = re.findall(r"<code>(dca_[\w-]+)</code>", added.text)
        client.headers["Authorization"] = f"Bearer {token}"
        assert (await client.get("/api/v1/me")).json()["name"] == "Ana"
        await carry_out(browser, f"{at}/link/revoke", {"reason": "lost"})
        assert (await client.get(path)).status_code == 404
        assert (await browser.post(f"{at}/link/revoke", data={"reason": "again"})).status_code in (409, 422)
    async with console.program(Scope.ADMIN) as program:
        key = {"Idempotency-Key": "link"}
        one = await program.post(f"/api/v1{at}/link", json={}, headers=key)
        again = await program.post(f"/api/v1{at}/link", json={}, headers=key)
        assert one.status_code == 201 and one.json()["url"] == again.json()["url"]
        assert (await program.get(f"/api/v1{at}/access")).json()["link"]["created_by"] == "token:test"


async def test_two_new_links_at_once_leave_one(console: Console) -> None:
    await console.add_client("Ana")
    made = await asyncio.gather(*(client_access.make_link(console.db, "Ana", actor="os:test") for _ in range(4)))
    opened = [await client_access.open_link(console.db, token) for _, token in made]
    assert len([one for one in opened if one is not None]) == 1
