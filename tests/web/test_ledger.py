"""The books by the pages."""

from __future__ import annotations

import asyncio

import pytest

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import Check
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
        assert account not in (await browser.get("/ledger", params={"unit": "msat"})).text
        for asked, there in (("client=Ana", True), ("since=2999-01-01", False), ("until=2999-01-01", True)):
            shown = await browser.get(f"/ledger/entries?template=deposit-confirmed&{asked}")
            assert ('href="/ledger/entries/1"' in shown.text) is there
        assert (await browser.get("/ledger/entries", params={"since": "soon"})).status_code == 422
        proof = await browser.post("/ledger/verify")
        assert proof.status_code == 200 and "checks hold" in proof.text and "<strong>" not in proof.text
    async with console.program(Scope.READ) as program:
        found = (await program.get("/api/v1/ledger/accounts", params={"unit": "GTQ", "limit": 1})).json()
        further = (
            await program.get("/api/v1/ledger/accounts", params={"unit": "GTQ", "after": found["next"]})
        ).json()
        assert [one["balance"] for one in found["accounts"] + further["accounts"]] == ["10.00", "10.00"]
        told = (await program.get(f"/api/v1/ledger/accounts/{account}")).json()
        assert (told["account"], [one["amount"] for one in told["lines"]]) == (account, ["-10.00"])
        (entry,) = (await program.get("/api/v1/ledger/entries", params={"client": "Ana"})).json()["entries"]
        assert entry == (await program.get("/api/v1/ledger/entries/1")).json()
        assert sorted(one["amount"] for one in entry["postings"]) == ["-10.00", "10.00"]
        assert (await program.post("/api/v1/ledger/verify")).json()["holds"] is True


async def test_books_that_do_not_hold_are_told_by_one_proof_at_a_time(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def broken(db: Database) -> list[Check]:
        begun.set()
        await go_on.wait()
        return [Check("entries-balance", "every entry balances", ("entry <7> is off by 1 msat",))]

    monkeypatch.setattr("dca_daemon.web.proof.verify", broken)
    async with console.person(Role.VIEWER) as browser, console.program(Scope.READ) as program:
        first = asyncio.create_task(browser.post("/ledger/verify"))
        await begun.wait()
        assert (await program.post("/api/v1/ledger/verify")).status_code == 409
        go_on.set()
        told = (await first).text
        assert "1 of 1 checks do not hold" in told and "entry &lt;7&gt; is off by 1 msat" in told
        assert (await program.post("/api/v1/ledger/verify")).json()["holds"] is False
