"""The books by the pages."""

from __future__ import annotations

from dca_daemon.domain.rights import Role
from dca_daemon.services import deposits
from tests.web.conftest import Console


async def test_the_books(console: Console) -> None:
    ana = await console.add_client("Ana")
    made = await deposits.record(console.db, client="Ana", amount="10", currency=None, note=None, actor="os:x")
    await deposits.confirm(console.db, made.deposit_id, actor="os:x")
    account = f"client:{ana.client_id}:fiat:1"
    async with console.person(Role.VIEWER) as browser:
        accounts = await browser.get("/ledger", params={"text": "client:"})
        assert account in accounts.text and "10.00 GTQ" in accounts.text
        statement = await browser.get(f"/ledger/accounts/{account}")
        assert "-10.00 GTQ" in statement.text and 'href="/ledger/entries/1"' in statement.text
        entries = await browser.get("/ledger/entries", params={"account": account})
        assert 'href="/ledger/entries/1"' in entries.text and f'value="{account}"' in entries.text
        assert account in (await browser.get("/ledger/entries/1")).text
        for nowhere in ("/ledger/entries/999", "/ledger/accounts/none", "/ledger?after=none"):
            assert (await browser.get(nowhere)).status_code == 404
