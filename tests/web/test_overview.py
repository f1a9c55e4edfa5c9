"""The overview and the system's page: everything in one look, and each number leads to what it counts."""

from __future__ import annotations

import re

from dca_daemon.domain.rights import Role, Scope
from tests.web.conftest import Console
from tests.web.shop import open_shop


async def test_each_number_leads_to_what_it_counts(console: Console) -> None:
    await open_shop(console)
    async with console.person(Role.VIEWER) as browser:
        overview = (await browser.get("/")).text
        links = set(
            re.findall(r'href="(/(?:cash-outs|payouts|machines|deposits|reconciliation|clients)[^"]*)"', overview)
        )
        wanted = {
            "/payouts?state=held",
            "/payouts?state=in+flight",
            "/payouts?state=settled",
            "/cash-outs?state=distributed",
            "/machines?awaiting=yes",
            "/deposits?state=pending",
            "/reconciliation",
        }
        assert wanted <= links
        for link in links:
            assert (await browser.get(link)).status_code == 200, link


async def test_versions_are_told(console: Console) -> None:
    async with console.person(Role.VIEWER) as browser, console.program(Scope.READ) as program:
        shown = (await browser.get("/system")).text
        told = (await program.get("/api/v1/system")).json()["versions"]
    assert {"dca-daemon", "Python", "PostgreSQL of the books", "Schema of the books"} <= set(told)
    for name, text in told.items():
        assert f"<dt>{name}</dt><dd>{text}</dd>" in shown
