"""Logging in through the pages and by token: the way in, the way back, and who stays outside."""

from __future__ import annotations

import html
import re
import time
from urllib.parse import quote

import httpx
import pytest
from starlette.requests import Request

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import execute, scalar
from dca_daemon.services import api_tokens, deposits, login_limits, second_factor, sessions, users
from dca_daemon.web.login_page import local_path
from dca_daemon.web.rights import sees_still
from tests.web.conftest import ADDRESS, Console

GOOD = "correct horse battery"
ROOT = "os:root"
pytestmark = pytest.mark.usefixtures("cheap_passwords")


def browser(console: Console, **headers: str) -> httpx.AsyncClient:
    """One in which nobody is logged in."""
    transport = httpx.ASGITransport(app=console.app)
    return httpx.AsyncClient(
        transport=transport, base_url=ADDRESS, headers={"Sec-Fetch-Site": "same-origin", **headers}
    )


async def test_the_way_in_and_out(console: Console) -> None:
    await users.add(console.db, name="ana", role=Role.ADMIN, password=GOOD, actor=ROOT)
    await users.add(console.db, name="vic", role=Role.VIEWER, password=GOOD, actor=ROOT)
    async with browser(console) as ana:
        wanted = "/deposits?state=pending"
        sent = await ana.get(wanted)
        assert (sent.status_code, sent.headers["location"]) == (303, f"/login?next={quote(wanted, safe='')}")
        assert (await ana.get("/")).headers["location"] == "/login"
        form = (await ana.get(sent.headers["location"])).text
        assert f'name="next" value="{wanted}"' in form and "Log out" not in form

        empty = await ana.post("/login", data={"next": wanted})
        assert empty.status_code == 422 and empty.text.count("this is needed") == 2 and wanted in empty.text
        odd = '"><script>x</script>'
        refused = await ana.post("/login", data={"name": odd, "password": "hush hush hush", "next": wanted})
        assert refused.status_code == 401 and "too many tries" in refused.text and wanted in refused.text
        assert "<script>x" not in refused.text and "&lt;script&gt;x" in refused.text and "hush" not in refused.text
        assert "set-cookie" not in refused.headers

        ana.cookies.set("dca", "planted")
        done = await ana.post("/login", data={"name": "Ana", "password": GOOD, "next": wanted})
        assert (done.status_code, done.headers["location"]) == (303, wanted)
        cookie = done.headers["set-cookie"].lower()
        assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/")) and "secure" not in cookie
        token = done.cookies["dca"]
        assert token != "planted"
        ana.cookies.clear()
        ana.cookies.set("dca", token)
        page = await ana.get(wanted)
        assert page.status_code == 200 and "ana (admin)" in page.text and "Log out" in page.text
        assert (await ana.get(f"/login?next={quote(wanted)}")).headers["location"] == wanted  # is in already
        assert (await ana.get("/webhooks")).status_code == 200

        # Another login ends the session it was made in.
        again = await ana.post("/login", data={"name": "vic", "password": GOOD, "next": "//evil.example"})
        assert again.headers["location"] == "/"
        assert await sessions.find(console.db, token, idle=sessions.TOUCH) is None
        ana.cookies.clear()
        ana.cookies.set("dca", again.cookies["dca"])
        forbidden = await ana.get("/webhooks")
        assert forbidden.status_code == 403 and "takes the role admin" in forbidden.text
        assert (await ana.get("/deposits/record")).status_code == 403
        assert (await ana.post("/deposits/record", data={"amount": "1"})).status_code == 403

        out = await ana.post("/logout")
        assert out.headers["location"] == "/login" and 'dca=""' in out.headers["set-cookie"]
        back = {"Referer": f"{ADDRESS}/account?x=3"}
        over = await ana.post("/account/password", data={"old": "1"}, headers=back)  # nothing was done
        assert over.status_code == 401 and 'value="/account?x=3"' in over.text
        elsewhere = {"Referer": "https://evil.example/account"}
        assert 'value="/"' in (await ana.post("/account/password", headers=elsewhere)).text
        stream = await ana.get("/live", headers={"Accept": "text/event-stream"})
        assert stream.status_code == 401


async def test_what_was_entered_when_the_session_was_over_is_in_the_form_again(console: Console) -> None:
    await console.add_client("Ana")
    async with console.person(Role.ADMIN) as ana:
        session = dict(ana.cookies)

        async def after_the_login(path: str, entered: dict[str, str]) -> httpx.Response:
            """What one finds after having logged in again, on what was posted too late."""
            ana.cookies.clear()
            over = await ana.post(path, data=entered)
            assert over.status_code == 401 and "what you entered is kept" in over.text
            found = re.search(r'name="next" value="([^"]+)"', over.text)
            assert found
            ana.cookies.update(session)
            return await ana.get(html.unescape(found[1]))

        deposit = {"client": "Ana", "amount": "1000.50", "note": "slip <17> & more, \u00e1"}
        form = await after_the_login("/deposits/record", deposit)
        for text in deposit.values():
            assert html.escape(text, quote=True).replace("&#x27;", "&#39;") in form.text
        preview = await ana.post("/deposits/record", data=deposit)
        intent = re.search(r'name="intent" value="([^"]+)"', preview.text)
        assert intent
        form = await after_the_login("/deposits/record", {"intent": intent[1]})
        assert form.status_code == 200 and 'value="1000.50"' in form.text
        assert (await ana.get("/deposits/record?intent=none")).status_code == 422

        form = await after_the_login("/users/add", {"name": "bea", "role": "viewer", "password": GOOD})
        assert 'value="bea"' in form.text and GOOD not in form.text and GOOD not in str(form.url)
        form = await after_the_login("/deposits/record", {"amount": "7", "note": "n" * 5000, "intentx": "1"})
        assert form.status_code == 200 and 'value="7"' not in form.text  # too much for an address: the empty form
        assert await deposits.list_all(console.db) == []


async def test_a_link_lets_in_once(console: Console) -> None:
    await users.add(console.db, name="ana", role=Role.ADMIN, password=None, actor=ROOT)
    _, link = await sessions.make_link(console.db, "ana", actor=ROOT)
    async with browser(console) as ana:
        for _ in range(2):  # looking at it does not use it up
            look = await ana.get(f"/login/link/{link}")
            assert look.status_code == 200 and f'action="/login/link/{link}"' in look.text
        done = await ana.post(f"/login/link/{link}")
        assert done.status_code == 303 and done.headers["location"] == "/" and "dca" in done.cookies
        second = await ana.post(f"/login/link/{link}")
        assert second.status_code == 401 and "used already" in second.text and "set-cookie" not in second.headers
        assert (await ana.post("/login/link/none")).status_code == 401


async def test_a_look_of_a_stream_keeps_no_session_alive(console: Console) -> None:
    await users.add(console.db, name="ana", role=Role.VIEWER, password=GOOD, actor=ROOT)
    async with browser(console) as ana:
        token = (await ana.post("/login", data={"name": "ana", "password": GOOD})).cookies["dca"]
        seen = "SELECT last_seen_at FROM console_session"
        async with console.db.transaction() as conn:
            await execute(conn, "UPDATE console_session SET last_seen_at = now() - interval '50 minutes'")
            before = await scalar(conn, seen)
        headers = [(b"cookie", f"dca={token}".encode())]
        request = Request({"type": "http", "app": console.app, "headers": headers})
        assert (await sees_still(request)).actor == "user:ana"
        async with console.db.transaction() as conn:
            assert await scalar(conn, seen) == before
        assert (await ana.get("/deposits")).status_code == 200
        async with console.db.transaction() as conn:
            assert await scalar(conn, seen) > before
            await execute(conn, "UPDATE console_session SET last_seen_at = now() - interval '61 minutes'")
        assert (await ana.get("/deposits")).status_code == 303


async def test_ones_own_account(console: Console) -> None:
    await users.add(console.db, name="ana", role=Role.VIEWER, password=GOOD, actor=ROOT)
    async with browser(console) as ana, browser(console, **{"User-Agent": "<b>other"}) as other:
        for one in (ana, other):
            assert (await one.post("/login", data={"name": "ana", "password": GOOD})).status_code == 303
        page = (await ana.get("/account")).text
        assert page.count("this one)") == 1 and "&lt;b&gt;other" in page
        bad = [
            ("old", {"old": "no"}),
            ("password", {"password": "short", "again": "short"}),
            ("again", {"again": "x"}),
        ]
        for field, change in bad:
            fields = {"old": GOOD, "password": "another good one", "again": "another good one"} | change
            answer = await ana.post("/account/password", data=fields)
            assert answer.status_code == 422 and f'id="{field}-wrong"' in answer.text, field
            assert "another good" not in answer.text and GOOD not in answer.text
        assert (await other.get("/account")).status_code == 200
        for _ in range(login_limits.NAME_TRIES):  # who has found an open browser can't try all passwords
            await ana.post("/account/password", data=fields | {"old": "no", "again": "another good one"})
        right = {"old": GOOD, "password": "another good one", "again": "another good one"}
        assert (await ana.post("/account/password", data=right)).status_code == 422
        async with console.db.transaction() as conn:
            await execute(conn, "DELETE FROM login_failure")
        fields = {"old": GOOD, "password": "another good one", "again": "another good one"}
        assert (await ana.post("/account/password", data=fields)).status_code == 303
        assert "is changed" in (await ana.get("/account")).text
        assert (await other.get("/account")).status_code == 303
        await other.post("/login", data={"name": "ana", "password": "another good one"})
        assert (await ana.post("/account/end-others")).status_code == 303
        assert "were ended: 1" in (await ana.get("/account")).text
        assert (await other.get("/account")).status_code == 303


async def test_a_second_factor(console: Console) -> None:
    assert second_factor.code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 1) == "287082"  # RFC 6238, appendix B
    await users.add(console.db, name="ana", role=Role.VIEWER, password=GOOD, actor=ROOT)
    login = {"name": "ana", "password": GOOD}

    def code(secret: str, away: int = 0) -> str:
        return second_factor.code_at(secret, int(time.time()) // 30 + away)

    async with browser(console) as ana, browser(console) as other:
        await ana.post("/login", data=login)
        shown = (await ana.get("/account")).text
        secret = shown.partition("<p><code>")[2].partition("<")[0]
        sealed = shown.partition('name="sealed" value="')[2].partition('"')[0]
        for typed in ({"code": "12"}, {"code": code(secret, 9)}, {"code": code(secret), "sealed": "x"}):
            answer = await ana.post("/account/second-factor", data={"sealed": sealed} | typed)
            assert answer.status_code == 422 and 'id="code-wrong"' in answer.text
        foreign = console.keys.encrypt(f"bea {secret}").decode()
        wrong = await ana.post("/account/second-factor", data={"sealed": foreign, "code": code(secret)})
        assert wrong.status_code == 422 and foreign not in wrong.text
        used = code(secret)
        spaced = {"sealed": sealed, "code": f"{used[:3]} {used[3:]}"}
        assert (await ana.post("/account/second-factor", data=spaced)).status_code == 303
        assert (await ana.post("/account/second-factor", data=spaced)).status_code == 422
        assert secret not in (await ana.get("/account")).text
        async with console.db.transaction() as conn:
            assert secret not in await scalar(conn, "SELECT string_agg(u::text, '') FROM console_user u")

        said = set()
        for typed in ({}, {"code": used}, {"code": "abc"}, {"code": "²" * 6}, {"password": "x" * 12}):
            refused = await other.post("/login", data=login | typed)
            said.add((refused.status_code, refused.text))
            async with console.db.transaction() as conn:
                await execute(conn, "DELETE FROM login_failure")
        assert len(said) == 1 and "set-cookie" not in refused.headers
        assert (await other.post("/login", data=login | {"code": code(secret, 1)})).status_code == 303
        assert (await ana.post("/account/second-factor/off", data={"code": "1"})).status_code == 422
        await second_factor.turn_off(console.db, "ana", actor=ROOT)
        assert (await other.post("/login", data=login)).status_code == 303


async def test_programs_show_a_token(console: Console) -> None:
    _, reads = await api_tokens.add(console.db, name="reads", scopes=[Scope.READ], actor=ROOT)
    _, writes = await api_tokens.add(console.db, name="writes", scopes=[Scope.PAYOUTS], actor=ROOT)
    await users.add(console.db, name="ana", role=Role.ADMIN, password=GOOD, actor=ROOT)
    path = "/api/v1/deposits"
    async with browser(console) as program:
        await program.post("/login", data={"name": "ana", "password": GOOD})
        for given in (
            None,
            "Bearer",
            "Bearer dca_none",
            f"Basic {reads}",
            f"Bearer {reads}x",
            "Bearer " + "x" * 999,
        ):
            answer = await program.get(path, headers={} if given is None else {"Authorization": given})
            assert answer.status_code == 401 and answer.headers["www-authenticate"].startswith("Bearer"), given
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "unauthenticated"  # the cookie counts for nothing here
        for token in (reads, writes):
            assert (await program.get(path, headers={"Authorization": f"bearer {token}"})).status_code == 200
        answer = await program.get("/api/v1/webhooks", headers={"Authorization": f"Bearer {reads}"})
        assert answer.status_code == 403 and "admin:write" in answer.json()["detail"]
        twice = [("Authorization", f"Bearer {reads}"), ("Authorization", "Bearer x")]
        assert (await program.get(path, headers=twice)).status_code == 401
        program.cookies.clear()
        assert (await program.get("/deposits", headers={"Authorization": f"Bearer {reads}"})).status_code == 303


@pytest.mark.parametrize(
    "text",
    ["", "x", "//evil.example", "///evil", "/\\evil.example", "https://evil.example/", "javascript:alert(1)",
     "/login", "/login?next=/login", "/login/link/x", "/logout", "/api/v1/deposits", "/a\r\nSet-Cookie: x",
     "/\t/evil", "/é", "/" + "x" * 5000],
)  # fmt: skip
def test_a_login_leads_nowhere_else(text: str) -> None:
    assert local_path(text) == "/"


def test_a_login_leads_back() -> None:
    for text in ("/", "/deposits", "/cash-outs?state=review&after=3#x", "/clients/3?next=//x"):
        assert local_path(text) == text
