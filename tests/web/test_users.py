"""The pages and endpoints about users and tokens: their ways, and what is refused beside its field."""

from __future__ import annotations

import re

import pytest

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, sessions, users
from tests.web.conftest import Console, carry_out

GOOD = "correct horse battery"
pytestmark = pytest.mark.usefixtures("cheap_passwords")


async def test_the_way_of_a_user(console: Console) -> None:
    async with console.person(Role.ADMIN) as browser:
        odd = '"><script>'
        answer = await browser.post("/users/add", data={"name": odd, "role": "viewer", "password": GOOD})
        assert answer.status_code == 422 and "can&#39;t be a user" in answer.text and GOOD not in answer.text
        assert "<script>&" not in answer.text and f'value="{odd}' not in answer.text
        short = {"name": "vic", "role": "viewer", "password": "short-one"}
        answer = await browser.post("/users/add", data=short)
        assert (
            answer.status_code == 422 and 'id="password-wrong"' in answer.text and "short-one" not in answer.text
        )
        preview = await browser.post("/users/add", data={"name": "Vic", "role": "viewer", "password": GOOD})
        assert preview.status_code == 200 and GOOD not in preview.text
        assert "vic" not in {one.name for one in await users.list_all(console.db)}
        found = re.search(r'name="intent" value="([^"]+)"', preview.text)
        assert found and (await browser.post("/users/add", data={"intent": found[1]})).status_code == 303
        visitor, limits = sessions.Visitor("127.0.0.1"), sessions.Limits(sessions.TOUCH, sessions.TOUCH)
        token = await sessions.log_in(console.db, console.keys, "vic", GOOD, visitor=visitor, limits=limits)

        listed = (await browser.get("/users")).text
        assert 'href="/users/vic/role?role=viewer"' in listed and "argon2" not in listed
        await carry_out(browser, "/users/vic/role", {"role": "operator"})
        assert (await users.show(console.db, "vic")).role is Role.OPERATOR
        assert await sessions.find(console.db, token, idle=sessions.TOUCH) is None
        again = await browser.post("/users/vic/role", data={"role": "operator"})
        assert again.status_code == 422 and "operator already" in again.text
        done = await browser.post("/users/vic/password", data={"password": "another good one"})
        assert done.status_code == 303
        await carry_out(browser, "/users/vic/disable", {})
        assert 'href="/users/vic/enable"' in (await browser.get("/users")).text
        await carry_out(browser, "/users/vic/enable", {})
        assert (await browser.post("/users/nobody/disable")).status_code == 422


async def test_the_way_of_a_token(console: Console) -> None:
    async with console.person(Role.ADMIN) as browser:
        assert "There is no token" in (await browser.get("/tokens")).text
        for change, field in (({"name": " "}, "name"), ({"scopes": "none"}, "scopes"), ({"days": "x"}, "days")):
            fields = {"name": "till", "scopes": "deposits:write", "days": "9"} | change
            answer = await browser.post("/tokens", data=fields)
            assert answer.status_code == 422 and f'id="{field}-wrong"' in answer.text, field
        assert await api_tokens.list_all(console.db, revoked=True) == []
        new = {"name": "till", "scopes": ["deposits:write", "payouts:write"], "days": "9"}
        made = await browser.post("/tokens", data=new)
        found = re.search(r"dca_[\w-]{43}", made.text)
        assert found and made.headers["cache-control"] == "no-store"
        view = await api_tokens.find(console.db, found[0])
        assert view and view.scopes == (Scope.DEPOSITS, Scope.PAYOUTS) and view.expires_at
        again = await browser.post("/tokens", data=new)  # a reload makes no other
        assert again.status_code == 409 and "already" in again.text and 'value="till"' in again.text
        assert found[0] not in (await browser.get("/tokens")).text
        assert (await browser.post(f"/tokens/{view.token_id}/revoke")).status_code == 303
        assert await api_tokens.find(console.db, found[0]) is None
        assert "There is no token" in (await browser.get("/tokens")).text
        assert "till" in (await browser.get("/tokens?revoked=yes")).text
    async with console.program(Scope.ADMIN) as program:
        body = {"name": "prog", "role": "viewer", "password": GOOD}
        added = await program.post("/api/v1/users", json=body)
        assert added.status_code == 201 and added.json()["name"] == "prog" and GOOD not in added.text
        assert "prog" in {one["name"] for one in (await program.get("/api/v1/users")).json()["users"]}
        refused = await program.post("/api/v1/users", json=body | {"name": "x", "password": "short-one"})
        assert refused.status_code == 422 and refused.json()["errors"][0]["field"] == "password"
        assert "short-one" not in refused.text
        tokens = (await program.get("/api/v1/tokens?revoked=true")).json()["tokens"]
        assert [one["name"] for one in tokens if one["revoked_at"]] == ["till"]
