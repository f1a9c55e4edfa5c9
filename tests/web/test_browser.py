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

from dca_daemon.domain.rights import Role
from dca_daemon.services import deposits, users
from dca_daemon.web.navigation import MENU
from tests.services.fixed_bench import PRICE, Feed
from tests.web.conftest import Console
from tests.web.own_world import a_client_with_a_past
from tests.web.serving import served

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
                java_script_enabled=True,
                viewport={"width": width, "height": 844},
                color_scheme=scheme,  # type: ignore[arg-type]
            )
            page = await context.new_page()
            await page.goto(address + link)
            await check(page, f"own-{scheme}-{width}")
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
