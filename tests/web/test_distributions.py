"""A distribution, and taking it back: shown first, done once."""

from __future__ import annotations

from dca_daemon.domain.rights import Role
from dca_daemon.services import cash_outs, decisions
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import reserve
from tests.services.builders import client, success
from tests.web.conftest import Console, carry_out


async def test_a_distribution_is_taken_back(console: Console) -> None:
    books = console.db
    client_id = await client(books, "20000")
    row, intake = success(), Intake(books, IntakeConfig())
    await intake.process([row])
    number = (await cash_outs.show(books, row.external_id)).distribution_id
    path = f"/distributions/{number}"
    async with console.person(Role.ADMIN) as browser:
        whole = (await browser.get(path)).text
        assert "484,218 sats" in whole and f"/clients/{client_id}" in whole and f"{path}/reverse" in whole
        wrong = await browser.post(f"{path}/reverse", data={"reason": " "})
        assert wrong.status_code == 422 and 'id="reason-wrong"' in wrong.text
        await carry_out(browser, f"{path}/reverse", {"reason": "counted twice"})
        assert "Reversed" in (await browser.get(path)).text
        again = await browser.post(f"{path}/reverse", data={"reason": "once more"})
        assert (
            again.status_code == 422 and "reversed already" in again.text and ">once more</textarea>" in again.text
        )
    view = await cash_outs.show(books, row.external_id)
    assert view.summary.state == "review" and view.distribution_id is None

    await decisions.distribute(books, intake, row.external_id, reason="right", actor="test")
    payout_id = await reserve(books, client_id)
    assert payout_id is not None
    async with console.program() as program:
        listed = (await program.get("/api/v1/distributions", params={"limit": 1, "client": str(client_id)})).json()
        newest = listed["distributions"][0]
        assert newest["records"][0]["payout_id"] == payout_id and listed["next"] == str(newest["id"])
        refused = await program.post(f"/api/v1/distributions/{newest['id']}/reverse", json={"reason": "x"})
        assert refused.status_code == 409 and payout_id in refused.text
        old = (await program.get(f"/api/v1{path}")).json()
        assert old["reversed_at"] and old["records"][0]["state"] == "reversed"
        assert (await program.get("/api/v1/distributions/999")).status_code == 404
