"""A client's data handed out, and erased, through the console and the API: by admins only, in two steps."""

from __future__ import annotations

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import client_access, deposits
from tests.services.builders import value
from tests.web.conftest import Console, carry_out


async def test_a_clients_data_are_handed_out_and_erased(console: Console) -> None:
    ana, otto = await console.add_client("Anastasia"), await console.add_client("Otto")
    await client_access.make_link(console.db, str(ana.client_id), actor="os:test")
    recorded = await deposits.record(
        console.db, client="Anastasia", amount="5", currency=None, note="call 555-1234", actor="os:test"
    )
    at, api = f"/clients/{ana.client_id}", f"/api/v1/clients/{ana.client_id}"
    async with console.person(Role.OPERATOR) as browser:
        assert "data.json" not in (await browser.get(at)).text
        assert (await browser.get(f"{at}/data.json")).status_code == 403
        assert (await browser.post(f"{at}/erase", data={"reason": "x"})).status_code == 403
    async with console.person(Role.ADMIN) as browser, console.program(Scope.ADMIN) as program:
        page = (await browser.get(at)).text
        assert f'href="{at}/data.json"' in page and f'href="{at}/erase"' in page
        handed = (await browser.get(f"{at}/data.json")).json()
        told = (await program.get(f"{api}/export")).json()
        assert {**handed, "exported_at": ""} == {**told, "exported_at": ""}
        assert told["deposits"][0]["note"] == "call 555-1234" and len(told["personal_links"]) == 1

        fields = {"reason": "asked for", "words": "555-1234\nother word"}
        refused = await browser.post(f"{at}/erase", data=fields)
        assert f"deposits are pending ({recorded.deposit_id})" in refused.text and "555-1234" in refused.text
        assert (await program.post(f"{api}/erase", json={"reason": "asked for"})).status_code == 409
        await deposits.void(console.db, recorded.deposit_id, reason="not brought", actor="os:test")
        wrong = await browser.post(f"{at}/erase", data={"reason": "Anastasia asked"})
        assert "names the client" in wrong.text
        short = await program.post(f"{api}/erase", json={"reason": "asked for", "words": "ab"})
        assert short.status_code == 422 and short.json()["errors"][0]["field"] == "words"
        tried = await program.post(f"{api}/erase?dry_run=true", json={"reason": "asked for"})
        assert tried.json()["name"] == "Anastasia" and tried.json()["personal_links"] == 1
        assert await value(console.db, "SELECT count(*) FROM erasure") == 0

        done = await carry_out(browser, f"{at}/erase", fields)
        assert done.headers["location"].startswith(at)
        page = (await browser.get(at)).text
        assert f"client-{ana.client_id} (erased)" in page and "nastasia" not in page
        assert "was erased" in (await browser.post(f"{at}/activate", data={"reason": "x"})).text
        for path in ("/audit", "/deposits", "/clients"):
            text = (await browser.get(path)).text
            assert "nastasia" not in text and "555-1234" not in text, path
        assert "Otto" in (await browser.get(f"/clients/{otto.client_id}")).text
        done = await program.post(f"/api/v1/clients/{otto.client_id}/erase", json={"reason": "asked for"})
        assert done.json()["name_after"] == f"client-{otto.client_id} (erased)"
