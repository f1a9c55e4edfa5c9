"""The audit log by the pages and by the API."""

from __future__ import annotations

from dca_daemon.domain.rights import Role
from dca_daemon.services import deposits
from tests.web.conftest import Console


async def test_who_changed_what(console: Console) -> None:
    ana = await console.add_client("Ana")
    for note in ("<b>first", None, None):
        await deposits.record(console.db, client="Ana", amount="10", currency=None, note=note, actor="os:x")
    async with console.person(Role.VIEWER) as browser:
        everything = await browser.get("/audit")
        assert everything.status_code == 200 and "<b>first" not in everything.text
        assert f'<a href="/clients/{ana.client_id}">client:{ana.client_id}</a>' in everything.text
        some = await browser.get("/audit", params={"actor": "os:x", "action": "deposit"})
        assert "deposit.record" in some.text and "client.add" not in some.text
        past = await browser.get("/audit", params={"until": "2001-01-01", "subject": "deposit:1"})
        assert "There are no such changes" in past.text and 'value="deposit:1"' in past.text
        for wrong in ("yesterday", "9999-12-31"):
            refused = await browser.get("/audit", params={"since": wrong})
            assert refused.status_code == 422 and "YYYY-MM-DD" in refused.text
        assert (await browser.get("/audit", params={"since": "0001-01-01"})).status_code == 200
    async with console.program() as program:
        asked = {"action": "deposit.record", "limit": "2"}
        first = (await program.get("/api/v1/audit", params=asked)).json()
        rest = (await program.get("/api/v1/audit", params={**asked, "after": first["next"]})).json()
        assert len(first["changes"]) == 2 and len(rest["changes"]) == 1 and rest["next"] is None
        assert rest["changes"][0]["actor"] == "os:x"
