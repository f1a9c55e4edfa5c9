"""Payouts by the pages and by the API: what is held, and how a person steps in."""

from __future__ import annotations

from dca_daemon.domain.rights import Role
from dca_daemon.services import payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import invoice, reserve, submit
from tests.services.builders import client, success, value
from tests.web.conftest import Console, carry_out


async def test_payouts_by_the_pages_and_the_api(console: Console) -> None:
    books = console.db
    client_id = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success()])
    payout_id = await reserve(books, client_id)
    assert payout_id is not None
    path = f"/payouts/{payout_id}"
    async with console.person(Role.ADMIN) as browser:
        listed = (await browser.get("/payouts", params={"state": "in flight", "client": str(client_id)})).text
        assert f'href="{path}"' in listed and "484,218 sats" in listed
        assert "no such payouts" in (await browser.get("/payouts", params={"state": "held"})).text
        nobody = await browser.get("/payouts", params={"client": "<nobody>"})
        assert nobody.status_code == 422 and "&lt;nobody&gt;" in nobody.text
        tried = await browser.post(f"{path}/retry", data={})
        assert tried.status_code == 303 and tried.headers["location"] == path
        await invoice(books, payout_id)
        await submit(books, payout_id)

        empty = await browser.post(f"{path}/hold", data={"reason": ""})
        assert empty.status_code == 422 and 'id="reason-wrong"' in empty.text
        await carry_out(browser, f"{path}/hold", {"reason": "torn"})
        held = (await browser.get(path)).text
        assert "torn" in held and "It may have been paid" in held and f"{path}/resolve" in held
        form = (await browser.get(f"{path}/resolve")).text
        assert "nothing can any more" in form and "paid a second time" in form and ">written-off<" in form
        odd = await browser.post(f"{path}/resolve", data={"outcome": "lost", "reason": "I looked"})
        assert odd.status_code == 422 and ">I looked</textarea>" in odd.text
        await carry_out(browser, f"{path}/release", {"reason": "look again"})
        assert (await payouts.show(books, payout_id))[0].state == "unknown"
        assert "only a held one" in (await browser.post(f"{path}/release", data={"reason": "again"})).text
        assert (await browser.get("/payouts/0000-none")).status_code == 404

    async with console.program() as program:
        where = f"/api/v1{path}"
        await program.post(f"{where}/hold", json={"reason": "torn"})
        looked = await program.post(
            f"{where}/resolve?dry_run=true", json={"outcome": "settled", "reason": "her wallet"}
        )
        assert looked.json()["state"] == "settled"
        whole = (await program.get(where)).json()
        assert whole["payout"]["state"] == "held" and whole["records"][0]["sats"] == 484_218 and whole["log"]
        done = await program.post(f"{where}/resolve", json={"outcome": "written-off", "reason": "the node"})
        assert done.json()["state"] == "void"
        found = (await program.get("/api/v1/payouts", params={"state": "void", "limit": 1})).json()
        assert [one["id"] for one in found["payouts"]] == [payout_id] and found["next"] is None
        assert (await program.post(f"{where}/retry", json={})).status_code == 409
    said = (
        "SELECT string_agg(action || ' ' || actor, ', ' ORDER BY id) FROM audit_log WHERE action LIKE 'payout.%'"
    )
    assert await value(books, said) == (
        "payout.retry user:some-admin, payout.hold user:some-admin, payout.release user:some-admin, "
        "payout.hold token:test, payout.resolve token:test"
    )
