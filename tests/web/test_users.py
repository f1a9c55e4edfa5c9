"""The pages and endpoints about users and tokens: their ways, and what is refused beside its field."""

from __future__ import annotations

import re
from typing import get_args

import pyotp
import pytest

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, audit, second_factor, sessions, users
from dca_daemon.web.deeds.tokens import ProgramScope
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
            answer = await browser.post("/tokens/add", data=fields)
            assert answer.status_code == 422 and f'id="{field}-wrong"' in answer.text, field
        assert await api_tokens.list_all(console.db, revoked=True) == []
        new = {"name": "till", "scopes": ["deposits:write", "payouts:write"], "days": "9"}
        made = await browser.post("/tokens/add", data=new)
        found = re.search(r"dca_[\w-]{43}", made.text)
        assert found and made.headers["cache-control"] == "no-store"
        view = await api_tokens.find(console.db, found[0])
        assert view and view.scopes == (Scope.DEPOSITS, Scope.PAYOUTS) and view.expires_at
        again = await browser.post("/tokens/add", data=new)  # a reload makes no other
        assert again.text.count("checked") == 2
        assert again.status_code == 422 and "already" in again.text and 'value="till"' in again.text
        assert found[0] not in (await browser.get("/tokens")).text
        await carry_out(browser, f"/tokens/{view.token_id}/revoke", {})
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
        key = {"Idempotency-Key": "one"}
        wanted = {"name": "shop", "scopes": ["read"], "days": 30}
        made = await program.post("/api/v1/tokens", json=wanted, headers=key)
        assert (
            made.status_code == 201
            and made.text == (await program.post("/api/v1/tokens", json=wanted, headers=key)).text
        )
        assert await api_tokens.find(console.db, made.json()["secret"]) is not None
        mistakes: list[dict[str, object]] = [
            {"scopes": ["client"]},
            {"scopes": []},
            {"days": 0},
            {"days": 9999},
            {"name": "till"},
        ]
        for wrong in mistakes:
            answer = await program.post("/api/v1/tokens", json=wanted | {"name": "other"} | wrong)
            assert [one["field"] for one in answer.json()["errors"]] == [next(iter(wrong))]
        revoked = await program.post(f"/api/v1/tokens/{made.json()['token']['id']}/revoke")
        assert revoked.json()["revoked_at"] and made.json()["secret"] not in revoked.text
        tokens = (await program.get("/api/v1/tokens?revoked=true")).json()["tokens"]
        assert [one["name"] for one in tokens if one["revoked_at"]] == ["shop", "till"]


def test_programs_may_be_given_every_scope_but_a_clients_own() -> None:
    assert set(get_args(ProgramScope)) == set(Scope) - {Scope.CLIENT}


async def test_a_second_factor_whose_app_is_lost_is_taken_off(console: Console) -> None:
    async with console.person(Role.VIEWER) as theirs, console.person(Role.ADMIN) as browser:
        secret = second_factor.new_secret()
        await second_factor.turn_on(
            console.db, console.keys, "some-viewer", secret=secret, code=pyotp.TOTP(secret).now(), actor="os:x"
        )
        assert 'href="/users/some-viewer/second-factor"' in (await browser.get("/users")).text
        await carry_out(browser, "/users/some-viewer/second-factor", {"reason": "the phone is lost"})
        assert (await users.show(console.db, "some-viewer")).has_second_factor is False
        assert (await theirs.get("/")).status_code == 303  # whoever has the phone has to log in
        again = await browser.post("/users/some-viewer/second-factor", data={"reason": "again"})
        assert again.status_code == 422 and "has no second factor" in again.text
        (entry,) = await audit.list_all(console.db, action="user.second-factor-off")
        assert (entry.actor, entry.reason) == ("user:some-admin", "the phone is lost")
