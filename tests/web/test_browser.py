"""The console in a real browser: every page looked at, checked for accessibility, and worked with as people do.

The pictures are kept in build/screenshots, to be looked at.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, async_playwright
from playwright.async_api import Error as PlaywrightError

from dca_daemon.domain.rights import Role
from dca_daemon.services import audit, cash_outs, clients, deposits, users
from dca_daemon.web.navigation import MENU
from tests.services.fixed_bench import PRICE, Feed
from tests.web.conftest import Console
from tests.web.own_world import a_client_with_a_past
from tests.web.serving import served
from tests.web.shop import MACHINE, actions, open_shop

CHROMIUM = os.environ.get("DCA_TEST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
SHOTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
PASSWORD = "correct horse battery"
PAGE_BYTES_MAX = 150_000
_A_DEPOSIT = re.compile(r"/deposits/\d+$")
_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here (apt-get install chromium)")


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


async def log_in(page: Page, address: str, name: str) -> None:
    await page.goto(f"{address}/deposits?state=pending")
    await page.fill("input[name=name]", name)
    await page.fill("input[name=password]", PASSWORD)
    await page.click("main button[type=submit]")
    await page.wait_for_url("**/deposits?state=pending")


async def check(page: Page, name: str) -> None:
    """A picture, no fault of accessibility, and light enough."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=SHOTS / f"{name}.png", full_page=True)
    found = await Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    loaded = await page.evaluate(
        "performance.getEntries().reduce((sum, one) => sum + (one.encodedBodySize || 0), 0)"
    )
    assert 0 < loaded < PAGE_BYTES_MAX, (name, loaded)


async def test_an_operator_at_work(console: Console) -> None:
    await console.add_client("Ana")
    await users.add(console.db, name="olga", role=Role.OPERATOR, password=PASSWORD, actor="os:test")
    said: list[str] = []
    async with served(console) as address, chromium() as browser:
        context = await browser.new_context(viewport={"width": 1200, "height": 900})
        page = await context.new_page()
        page.on("console", lambda one: said.append(one.text) if one.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        await page.goto(f"{address}/login")
        await check(page, "login")
        await log_in(page, address, "olga")
        seen = [place.path for place in MENU if Role.OPERATOR.includes(place.role)]
        for path in [*seen, "/account", "/clients/1", "/cash-outs/enter"]:
            answer = await page.goto(address + path)
            assert answer is not None and answer.ok, path
            await check(page, path.strip("/").replace("/", "-") or "overview")

        await page.goto(f"{address}/deposits/record?client=Ana")
        await page.fill("#f-amount", "12.345")
        await page.click("main button")
        assert "12.345" in await page.inner_text(".wrong")
        await check(page, "form-refused")
        await page.fill("#f-amount", "1000")
        await page.click("main button")
        await check(page, "preview")
        await page.dblclick("main form button >> nth=0")
        await page.wait_for_url(_A_DEPOSIT)
        assert len(await deposits.list_all(console.db)) == 1  # a double click records it once

        # Somebody else does something: this page shows it by itself.
        await page.goto(f"{address}/deposits")
        await deposits.record(console.db, client="Ana", amount="77", currency=None, note=None, actor="os:other")
        await page.wait_for_selector("text=77.00 GTQ", timeout=15_000)

        phone = await browser.new_context(
            viewport={"width": 390, "height": 844},
            color_scheme="dark",
            storage_state=await context.storage_state(),
        )
        small = await phone.new_page()
        await small.goto(address)
        await check(small, "overview-dark-phone")
        wide = await small.evaluate("document.documentElement.scrollWidth")
        assert wide <= 390  # nothing but tables is moved sideways
    assert [text for text in said if "Failed to load resource" not in text] == []


async def test_everything_works_without_javascript(console: Console) -> None:
    await console.add_client("Ana")
    await users.add(console.db, name="olga", role=Role.OPERATOR, password=PASSWORD, actor="os:test")
    async with served(console) as address, chromium() as browser:
        context = await browser.new_context(java_script_enabled=False)
        page = await context.new_page()
        await log_in(page, address, "olga")
        await page.goto(f"{address}/deposits/record?client=Ana")
        await page.fill("#f-amount", "500")
        await page.click("main button")
        await page.click("main form button >> nth=0")
        await page.wait_for_url(_A_DEPOSIT)
        await page.click("a:text-is('Confirm')")
        await page.click("main button")
        await page.click("main form button >> nth=0")
        await page.wait_for_selector("text=confirmed")
    assert [one.state for one in await deposits.list_all(console.db)] == ["confirmed"]


async def test_a_client_and_its_own_page(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    _, link = await a_client_with_a_past(console)
    monkeypatch.setattr(console.desk.prices, "fiat_per_btc", Feed(PRICE).fiat_per_btc)
    async with served(console) as address, chromium() as browser:
        for scheme, width in (("light", 1200), ("dark", 390), ("light", 390)):
            context = await browser.new_context(
                viewport={"width": width, "height": 844},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page = await context.new_page()
            await page.goto(address + link)
            await check(page, f"own-{scheme}-{width}")
            for part in (
                "document.documentElement",
                *(f"document.querySelectorAll('.wide')[{n}]" for n in (0, 1)),
            ):
                assert await page.evaluate(f"{part}.scrollWidth - {part}.clientWidth") <= 0, (part, width)
        await page.fill("input[name=per_day]", "99999")
        await page.click("text=Change it")
        assert "more than the maximum" in await page.inner_text(".wrong")
        assert await page.input_value("input[name=per_day]") == "99999"
        await check(page, "own-refused")
        await page.fill("input[name=per_day]", "120.50")
        await page.click("text=Change it")
        await check(page, "own-preview")

        plain = await (await browser.new_context(java_script_enabled=False)).new_page()
        await plain.goto(address + link)
        await plain.click("text=Switch to fixed mode")
        await plain.click("text=Do it")
        await plain.wait_for_selector("text=You are in fixed mode.")
        await plain.click("text=All purchases")
        await plain.wait_for_selector("h1:text-is('Purchases')")
    assert (await clients.show(console.db, "Ana")).mode is clients.Mode.FIXED


def refused_to(role: Role) -> list[re.Pattern[str]]:
    """The paths of what this role may not do."""
    paths = [action.path for action in actions() if action.role is not None and not role.includes(action.role)]
    return [re.compile(re.sub(r"{\w+(:\w+)?}", "[^?]+", path) + r"(\?.*)?$") for path in paths]


async def test_a_viewer_is_offered_nothing_to_do(console: Console) -> None:
    shop = await open_shop(console)
    await users.add(console.db, name="vera", role=Role.VIEWER, password=PASSWORD, actor="os:test")
    refused = refused_to(Role.VIEWER)
    async with served(console) as address, chromium() as browser:
        page = await browser.new_page()
        await log_in(page, address, "vera")
        places = [place.path for place in MENU if Role.VIEWER.includes(place.role)]
        whole = (
            "/clients/{client_id}",
            "/deposits/{deposit_id}",
            "/cash-outs/{cash_out_id}",
            "/payouts/{payout_id}",
        )
        for path in [*places, *map(shop.filled, whole)]:
            answer = await page.goto(address + path)
            assert answer is not None and answer.ok, path
            offered = await page.eval_on_selector_all(
                "main a", "all => all.map(one => one.getAttribute('href'))"
            ) + await page.eval_on_selector_all(
                "main form[method=post]", "all => all.map(one => one.getAttribute('action') || location.pathname)"
            )
            assert [one for one in offered if one and any(way.match(one) for way in refused)] == [], path
        assert await page.locator("nav >> text=Users").count() == 0
        await check(page, "viewer-payout")
        answer = await page.goto(f"{address}/deposits/record")
        assert answer is not None and answer.status == 403
        await check(page, "viewer-refused")


async def test_an_operator_decides_once(console: Console) -> None:
    shop = await open_shop(console)
    await users.add(console.db, name="olga", role=Role.OPERATOR, password=PASSWORD, actor="os:test")
    async with served(console) as address, chromium() as browser:
        context = await browser.new_context()
        page = await context.new_page()
        await log_in(page, address, "olga")
        await page.goto(address + shop.filled("/payouts/{payout_id}"))
        await page.click("main a:text-is('Release')")
        await page.fill("#f-reason", "the wallet is back")
        await page.click("main button")
        await check(page, "release-preview")
        # Both clicks on this page: the second of a slower one would meet what stands there on the next.
        await page.eval_on_selector("main form button", "one => { one.click(); one.click(); }")
        await page.wait_for_url("**" + shop.filled("/payouts/{payout_id}"))
        await page.reload()
        with pytest.raises(PlaywrightError, match="ERR_CACHE_MISS"):
            await page.go_back()  # the preview is not kept: Chromium asks before it posts anything again
        page = await context.new_page()
        assert len(await audit.list_all(console.db, action="payout.release")) == 1

        await page.goto(f"{address}/cash-outs/enter")
        for name, text in (("reference", "ticket-17"), ("fiat", "1000"), ("sats", "128100"), ("machine", MACHINE)):
            await page.fill(f"#f-{name}", text)
        await page.fill("#f-at", "2026-11-20T14:05")
        await page.fill("#f-commission_percent", "5.5")
        await page.fill("#f-reason", "paid by hand")
        await page.click("main button")
        await check(page, "entry-preview")
        await page.click("main form button >> nth=0")
        await page.wait_for_url(re.compile(r"/cash-outs/\d+$"))
        await check(page, "entry-done")
    assert [one.external_id for one in await cash_outs.list_all(console.db, text="ticket-17")] == ["ticket-17"]


async def test_an_admin_lets_others_in(console: Console) -> None:
    await open_shop(console)
    await users.add(console.db, name="ada", role=Role.ADMIN, password=PASSWORD, actor="os:test")
    async with served(console) as address, chromium() as browser:
        page = await browser.new_page()
        await log_in(page, address, "ada")
        await page.goto(f"{address}/users")
        await page.click("main a:text-is('Add a user')")
        await page.fill("#f-name", "bea")
        await page.select_option("#f-role", "operator")
        await page.fill("#f-password", PASSWORD)
        await page.click("main button")
        assert PASSWORD not in await page.content()
        await page.click("main form button >> nth=0")
        await page.wait_for_selector("text=bea may use the console")
        await check(page, "users")

        await page.goto(f"{address}/tokens/add")
        await page.fill("#f-name", "till")
        await page.check("input[value='deposits:write']")
        await check(page, "token-form")
        await page.click("main button")
        await page.wait_for_selector("code:has-text('dca_')")
        await check(page, "token-made")

        await page.goto(f"{address}/commission/set")
        await page.fill("#f-shares", "Ana: 12.5")
        await page.click("main button")
        await check(page, "commission-preview")
        await page.click("main form button >> nth=0")
        await page.wait_for_selector("text=12.5")
    assert {one.name for one in await users.list_all(console.db)} == {"ada", "bea", "vic", "gone"}
