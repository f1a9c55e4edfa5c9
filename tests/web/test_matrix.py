"""Every route for every role and every scope: who may, gets in; who may not, is told so, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.web.app import API_PATH
from dca_daemon.web.navigation import MENU
from tests.web.conftest import Console
from tests.web.matrix import API, PAGES, PUBLIC, Least

ENDLESS = ("/live", f"{API_PATH}/events/stream")  # their streams would not end: tests/web/test_live.py


def routes(console: Console) -> Iterator[tuple[str, str]]:
    """Method and path of all there is; HEAD is GET's."""
    for route in iter_route_contexts(console.app.routes):
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}:
            yield method, str(route.path)


def table() -> dict[tuple[str, str], Least]:
    """The matrix, by method and whole path."""
    found = {(method, path): least for path, row in PAGES.items() for method, least in row.items()}
    return found | {(method, API_PATH + path): least for path, row in API.items() for method, least in row.items()}


def filled(path: str) -> str:
    return re.sub(r"{\w+(:\w+)?}", "1", path)


async def ask(client: httpx.AsyncClient, method: str, path: str) -> int:
    """The status; a server error is one of ours. Browsers are told what they may, and to keep nothing."""
    answer = await client.request(method, filled(path))
    assert answer.status_code < 500 or answer.status_code in (502, 503), (method, path, answer.text)
    assert "default-src 'none'" in answer.headers["content-security-policy"], (method, path)
    assert answer.headers["cache-control"] == "no-store", (method, path)
    return answer.status_code


async def test_every_route_is_in_the_matrix(console: Console) -> None:
    assert set(routes(console)) == set(table())
    pages = {path for method, path in table() if method == "GET"}
    assert {place.path for place in MENU} <= pages


@pytest.mark.parametrize("role", [None, *Role])
async def test_pages_by_role(console: Console, role: Role | None) -> None:
    rows = {key: least for key, least in table().items() if isinstance(least, Role) and key[1] not in ENDLESS}
    if role is None:
        async with console.stranger() as browser:
            for method, path in rows:
                answer = await browser.request(method, filled(path))
                led = answer.status_code == 303 and answer.headers["location"].startswith("/login")
                assert led or answer.status_code == 401, (method, path, answer.status_code)
        return
    async with console.person(role) as browser:
        for (method, path), least in rows.items():
            status = await ask(browser, method, path)
            assert (status == 403) is not role.includes(least), (method, path, status)
            assert status != 401


async def test_the_api_by_scope(console: Console) -> None:
    rows = {key: least for key, least in table().items() if isinstance(least, Scope) and key[1] not in ENDLESS}
    async with console.stranger() as program:
        for method, path in rows:
            assert await ask(program, method, path) == 401, (method, path)
    async with console.person(Role.ADMIN) as browser:  # a session opens no door of the API
        for method, path in rows:
            assert await ask(browser, method, path) == 401, (method, path)
    for scope in Scope:
        if scope is Scope.CLIENT:
            continue
        async with console.program(scope) as program:
            for (method, path), least in rows.items():
                status = await ask(program, method, path)
                may = least is scope or least is Scope.READ
                assert (status == 403) is not may, (scope, method, path, status)
    client_id = (await console.add_client("Ana")).client_id
    async with console.program(Scope.CLIENT, client_id=client_id) as program:
        for (method, path), least in rows.items():
            status = await ask(program, method, path)
            assert (status == 403) is (least is not Scope.CLIENT), (method, path, status)


async def test_what_is_public(console: Console) -> None:
    assert {path for (_, path), least in table().items() if least == PUBLIC} == {
        "/static/{stamp}/{name}",
        "/login",
        "/login/link/{token}",
        "/logout",
        f"{API_PATH}/openapi.json",
    }


async def test_another_site_posts_nowhere(console: Console) -> None:
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
    async with console.person(Role.ADMIN) as browser:
        for method, path in table():
            if method != "GET" and not path.startswith(API_PATH):
                answer = await browser.request(method, filled(path), headers=elsewhere)
                assert answer.status_code == 403 and "nothing was done" in answer.text, path
                assert "set-cookie" not in answer.headers
