"""Machines, pools, their cash and filters, by the pages and by the API."""

from __future__ import annotations

from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import Database, rows
from dca_daemon.services import baseline, cash_report, filters, machines, pools
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import client, success
from tests.services.test_baseline import FakeSource
from tests.web.conftest import Console, carry_out

FLORES = "f/ñ" + "f" * 61  # an id is not always fit for an address


async def _two_new_machines(books: Database) -> None:
    """Each with a cash-out that waits until somebody has decided on the machine's pool."""
    await client(books, "20000")
    await baseline.ensure(books, FakeSource(success()), actor="test", new_machines_wait=True)
    flores = success(device_id=FLORES, machine_name="<b>Flores")
    await Intake(books, IntakeConfig(new_machines_wait=True)).process([flores, success()])


async def test_machines_by_the_pages(console: Console) -> None:
    books = console.db
    await _two_new_machines(books)
    async with console.person(Role.ADMIN) as browser:
        bad = await browser.post("/pools/add", data={"name": "Playa", "currency": "XXQ"})
        assert bad.status_code == 422 and 'value="Playa"' in bad.text
        await carry_out(browser, "/pools/add", {"name": "Playa", "currency": "GTQ"})

        shown = (await browser.get("/machines?awaiting=yes")).text
        assert "&lt;b&gt;Flores" in shown and shown.count("to be decided</span>") == 2
        (at,) = {part.split('"')[0] for part in shown.split('href="') if "%2F" in part and "/move" in part}
        assert (await browser.get(at)).status_code == 200
        nowhere = await browser.post(at, data={"pool": "Luna", "reason": "there"})
        assert nowhere.status_code == 422 and "there is no pool" in nowhere.text
        await carry_out(browser, at, {"pool": "Playa", "reason": "it stands there"})
        antigua = next(m for m in await machines.list_all(books) if m.device_id != FLORES)
        accept = f"/machines/{antigua.device_id}/accept"
        preview = await browser.post(accept, data={"reason": "right"})
        assert "512,400 sats" in preview.text and (await machines.show(books, antigua.device_id)).awaiting_pool
        await carry_out(browser, accept, {"reason": "right"})
        again = await browser.post(accept, data={"reason": "right"})
        assert again.status_code == 422 and "already" in again.text
        named = await browser.post(at.replace("/move", "/name"), data={"name": "Las  Flores"})
        assert named.status_code == 303 and "Las Flores" in (await browser.get("/machines")).text

        too_much = await browser.post("/cash/remove", data={"amount": "1", "pool": "Playa", "reason": "x"})
        assert too_much.status_code == 422 and "cash refill" in too_much.text
        await carry_out(browser, "/cash/refill", {"amount": "5000", "pool": "Playa", "reason": "more notes"})
        await carry_out(browser, "/cash/remove", {"amount": "120.50", "pool": "Playa", "reason": "counted"})
        assert (await cash_report.report(books, "Playa"))[0].house_minor == 87_950
        for path in ("/cash", "/cash?pool=Playa", "/pools"):
            assert "879.50 GTQ" in (await browser.get(path)).text
        assert (await browser.get("/cash?pool=Luna")).status_code == 404

        await carry_out(browser, "/filters/add", {"kind": "machine", "value": "Las Flores", "reason": "a test"})
        twice = await browser.post("/filters/add", data={"kind": "machine", "value": "Las Flores", "reason": "x"})
        assert twice.status_code == 422 and "left out already" in twice.text
        (one,) = await filters.list_all(books)
        assert "machine Las Flores" in (await browser.get("/filters")).text
        await carry_out(browser, f"/filters/{one.filter_id}/remove", {"reason": "over"})
        assert "Nothing is left out" in (await browser.get("/filters")).text
        assert "user:some-admin" in (await browser.get("/filters?removed=yes")).text
    async with books.transaction() as conn:
        done = await rows(
            conn,
            """SELECT action FROM audit_log
                WHERE actor = 'user:some-admin' AND action !~ '^(user|session|login)' ORDER BY id""",
        )
    # Accepting is a move to where it is.
    moves = ["machine.move", "machine.move", "machine.name", "cash.refill", "cash.removal"]
    assert [r.action for r in done] == ["pool.add", *moves, "filter.add", "filter.remove"]


async def test_machines_by_the_api(console: Console) -> None:
    await _two_new_machines(console.db)
    async with console.program() as program:
        added = await program.post("/api/v1/pools", json={"name": "Playa", "currency": "gtq"})
        assert added.status_code == 201 and added.json()["currency"] == "GTQ"
        page = (await program.get("/api/v1/machines", params={"limit": 1, "awaiting_only": True})).json()
        more = {"limit": 1, "after": page["next"]}
        further = (await program.get("/api/v1/machines", params=more)).json()
        seen = [one["device_id"] for one in (*page["machines"], *further["machines"])]
        assert len(seen) == 2 and FLORES in seen and further["next"] is None
        other = next(one for one in seen if one != FLORES)
        at = f"/api/v1/machines/{other}"
        assert (await program.get(at)).json()["waiting"] == 1
        tried = (await program.post(f"{at}/accept?dry_run=true", json={"reason": "right"})).json()
        assert tried["distributed_sats"] == 512_400
        assert (await program.get(at)).json()["waiting"] == 1
        moved = (await program.post(f"{at}/move", json={"pool": "Playa", "reason": "r"})).json()
        assert (moved["machine"]["pool"], moved["distributed"]) == ("Playa", 1)
        assert (await program.post(f"{at}/name", json={"name": "Mercado"})).json()["name"] == "Mercado"
        assert (await program.get("/api/v1/machines/nothing-like-it")).status_code == 404

        body = {"amount": "500", "machine": "Mercado", "reason": "more notes"}
        key = {"Idempotency-Key": "refill"}
        first, second = [await program.post("/api/v1/cash/refill", json=body, headers=key) for _ in range(2)]
        assert first.json() == second.json() and first.json()["amount"] == "500.00"
        assert (await program.post("/api/v1/cash/remove", json={**body, "amount": "1e9"})).status_code == 422
        (cash,) = (await program.get("/api/v1/cash", params={"pool": "Playa"})).json()["pools"]
        assert (cash["house"], cash["clients"], cash["machines"][0]["refills"]) == ("-3500.00", "0.00", "500.00")
        assert [p["pool"]["name"] for p in (await program.get("/api/v1/pools")).json()["pools"]][-1] == "Playa"

        made = await program.post("/api/v1/filters", json={"kind": "coin", "value": "ln", "reason": "a test"})
        assert made.status_code == 201 and made.json()["value"] == "LN"
        gone = await program.post(f"/api/v1/filters/{made.json()['id']}/remove", json={"reason": "over"})
        assert gone.json()["removed_by"].startswith("token:test")
        assert (await program.get("/api/v1/filters")).json() == {"filters": [], "next": None}
        assert len((await program.get("/api/v1/filters", params={"removed": True})).json()["filters"]) == 1
    async with console.db.transaction() as conn:
        assert (await pools.find(conn, "Playa")).currency == "GTQ"
