"""What every request and every answer passes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from dca_daemon.domain.rights import Role
from dca_daemon.services import users
from dca_daemon.web import guard
from dca_daemon.web.app import create_app
from dca_daemon.web.desk import Desk
from tests.services.builders import value
from tests.web.conftest import ADDRESS, Console
from tests.web.serving import served

pytestmark = pytest.mark.usefixtures("cheap_passwords")
GOOD = "correct horse battery"
SECURE = "https://dca.example.com"


def asking(app: FastAPI, address: str = ADDRESS, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=address, headers=headers)


def through_tls(console: Console) -> FastAPI:
    desk: Desk = replace(console.desk, base_url=SECURE)
    return create_app(desk, console.app.state.live)


async def test_another_site_can_do_nothing(console: Console) -> None:
    refused: list[dict[str, str]] = [
        {},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": ADDRESS},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://evil.example"},
        {"Origin": ADDRESS.replace("http:", "https:")},
        {"Origin": f"{ADDRESS}.evil.example"},
        {"Referer": f"{ADDRESS}/login"},
    ]
    async with asking(console.app) as browser:
        for headers in refused:
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                answer = await browser.request(method, "/login", data={"name": "x"}, headers=headers)
                assert answer.status_code == 403 and "nothing was done" in answer.text, (method, headers)
        two = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
        assert (await browser.post("/login", headers=two)).status_code == 403
        for headers in ({"Sec-Fetch-Site": "same-origin"}, {"Origin": ADDRESS}, {"Origin": ADDRESS.upper()}):
            assert (await browser.post("/login", data={"name": "x"}, headers=headers)).status_code == 422
        assert (await browser.get("/login", headers={"Sec-Fetch-Site": "cross-site"})).status_code == 200
        # The API knows no cookies: there a token decides, wherever one asks from.
        assert (await browser.post("/api/v1/deposits", json={})).status_code == 401
    async with asking(through_tls(console), SECURE) as browser:
        assert (await browser.post("/login", headers={"Origin": SECURE})).status_code == 422
        assert (await browser.post("/login", headers={"Origin": "http://dca.example.com"})).status_code == 403


async def test_every_answer_tells_browsers_what_they_may(console: Console) -> None:
    async with asking(console.app) as browser:
        answers = [
            await browser.get(path) for path in ("/login", "/none", "/api/v1/none", "/", "/api/v1/deposits")
        ]
        answers += [await browser.post("/login"), await browser.get("/login", headers={"Host": "evil.example"})]
        for answer in answers:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "same-origin"
            assert answer.headers["cache-control"] == "no-store"
            assert "strict-transport-security" not in answer.headers and "server" not in answer.headers
        page = answers[0].text
        assert "<style" not in page and "style=" not in page and " on" + "click" not in page
        style = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert "immutable" in (await browser.get(style)).headers["cache-control"]


async def test_only_our_names_are_answered(console: Console) -> None:
    async with asking(console.app) as browser:
        for host, status in (("evil.example", 400), ("localhost:8018", 200), ("127.0.0.1", 200), ("", 400)):
            answer = await browser.get("/login", headers={"Host": host})
            assert answer.status_code == status, host
        assert "console.allowed_hosts" in (await browser.get("/login", headers={"Host": "x.example"})).text
    async with asking(through_tls(console), SECURE) as browser:
        answer = await browser.get("/login")
        assert answer.status_code == 200 and answer.headers["strict-transport-security"].startswith("max-age")


async def test_through_tls_the_cookie_is_bound_to_it(console: Console) -> None:
    await users.add(console.db, name="ana", role=Role.ADMIN, password=GOOD, actor="os:root")
    async with asking(through_tls(console), SECURE, **{"Sec-Fetch-Site": "same-origin"}) as browser:
        done = await browser.post("/login", data={"name": "ana", "password": GOOD})
        cookie = done.headers["set-cookie"]
        assert cookie.startswith("__Host-dca=") and "; Secure" in cookie and "Path=/" in cookie
        assert "domain" not in cookie.lower() and "HttpOnly" in cookie
        assert (await browser.get("/deposits")).status_code == 200
        browser.cookies.clear()
        token = done.cookies["__Host-dca"]
        assert (await browser.get("/deposits", headers={"Cookie": f"dca={token}"})).status_code == 303


async def test_no_other_method_does_anything(console: Console) -> None:
    async with asking(console.app) as browser:
        for method in ("HEAD", "TRACE", "CONNECT", "OPTIONS", "PROPFIND"):
            answer = await browser.request(method, "/login", headers={"Sec-Fetch-Site": "same-origin"})
            assert answer.status_code == 405 and "login" not in answer.text.lower(), method


@pytest.mark.parametrize("behind_proxy", [False, True])
async def test_only_a_proxy_tells_where_a_visitor_is(console: Console, behind_proxy: bool) -> None:
    """Else anybody would get round the limit of failed logins by telling another address each time."""
    told = {"Sec-Fetch-Site": "same-origin", "X-Forwarded-For": "192.0.2.9"}
    async with (
        served(console, behind_proxy=behind_proxy) as address,
        httpx.AsyncClient(base_url=address) as browser,
    ):
        answer = await browser.post("/login", data={"name": "nobody", "password": "wrong"}, headers=told)
    assert answer.status_code == 401
    failed = await value(console.db, "SELECT address FROM login_failure")
    assert failed == ("192.0.2.9" if behind_proxy else "127.0.0.1")


async def test_bodies_have_a_limit(console: Console) -> None:
    large = b"name=" + b"x" * guard.BODY_MAX_BYTES

    async def dripping() -> AsyncIterator[bytes]:
        for start in range(0, len(large), 1000):
            yield large[start : start + 1000]

    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    async with asking(console.app) as browser:
        bodies: list[Any] = [large, dripping()]
        for body in bodies:
            answer = await browser.post("/login", content=body, headers=form)
            assert answer.status_code == 413 and "64 KiB" in answer.text
        for length in ("-1", "x", "9" * 5000, "1e3"):
            answer = await browser.post("/login", content=b"", headers={**form, "Content-Length": length})
            assert answer.status_code == 413, length
        answer = await browser.post("/api/v1/deposits", content=large)
        assert answer.status_code == 413 and answer.json()["code"] == "http"
        fits = b"name=" + b"x" * 900
        assert (await browser.post("/login", content=fits, headers=form)).status_code == 422


async def test_bodies_have_a_deadline() -> None:
    messages: list[Message] = [{"type": "http.request", "body": b"", "more_body": True}]
    got: list[str] = []

    async def receive() -> Message:
        if not messages:
            await asyncio.sleep(0.2 if got else 60)
            return {"type": "http.disconnect"}
        return messages.pop(0)

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        del scope, send
        while True:
            got.append((await receive())["type"])
            if got[-1] == "http.disconnect":
                return

    async def send(message: Message) -> None:
        del message

    limit = guard.BodyLimit(reading, timeout_seconds=0.05)
    scope = {"type": "http", "headers": []}
    with pytest.raises(HTTPException) as slow:
        await limit(scope, receive, send)
    assert slow.value.status_code == 408
    # Once it has ended, a stream may last: nobody is cut off.
    got.clear()
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    await limit(scope, receive, send)
    assert got == ["http.request", "http.disconnect"]


async def test_no_nul_comes_in_pieces(console: Console) -> None:
    async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    form = {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"}
    async with asking(console.app) as browser, console.program() as program:
        for parts in ((b"name=a%00",), (b"name=a%", b"0", b"0"), (b"name=a", b"\0")):
            answer = await browser.post("/login", content=pieces(*parts), headers=form)
            assert answer.status_code == 422 and "NUL" in answer.text, parts
        split = pieces(b'{"client": "a\\u00', b'00", "amount": "1"}')
        answer = await program.post(
            "/api/v1/deposits", content=split, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422 and "NUL" in answer.text
