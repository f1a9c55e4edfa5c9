"""No list without a page limit: whatever can grow is asked for page by page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from unittest.mock import MagicMock
from zoneinfo import ZoneInfo

from fastapi.routing import iter_route_contexts

from dca_daemon.web.app import API_PATH, DEEDS, create_app
from tests.bench.addresses import LEFT_OUT, known_ids

# Those that give a list whole, and what bounds it.
BOUNDED = {
    "/": "thirty days, and the first few of each kind",
    "/pools": "pools, which an admin opens by hand",
    "/me": "one client's account",
    "/me/statement.csv": "a download, written as it is read",
    "/me/series": "as many points as are asked for",
    "/cash": "machines of the pools",
    "/users": "people who work here",
    "/webhooks": "webhooks, which an admin adds by hand",
    "/commission": "receivers; the first lines of their history",
    "/commission/gathered": "receivers",
    "/commission/history": "receivers and the days or months asked for",
    "/treasury": "the days asked for, at most 92",
    "/treasury/periods": "the last periods",
    "/reports/periods": "the periods asked for",
    "/fixed": "a pool's schedule; its runs are paged",
    "/fixed/preview": "the clients of one run",
    "/system": "settings, and the newest events",
    "/account": "the sessions of one person",
    "/login": "no list",
    "/openapi.json": "no list",
}


def routes() -> Iterator[tuple[str, set[str]]]:
    """The path and the query's parameters of every GET that names nothing in particular."""
    desk = MagicMock(zone=ZoneInfo("UTC"), base_url="http://127.0.0.1:8018")
    desk.settings.console.allowed_hosts = []
    app = create_app(desk, MagicMock())
    for route in iter_route_contexts(app.routes):
        if "GET" in (route.methods or ()) and route.path not in LEFT_OUT:
            dependant = getattr(route.route, "dependant", None)
            fields = {one.alias for one in dependant.query_params} if dependant is not None else set()
            yield str(route.path), fields


def test_every_list_is_paged_or_bounded() -> None:
    found = dict(routes())
    assert len(found) > 100
    forms = {action.path for some in DEEDS.values() for action in some}
    for path, fields in found.items():
        plain = path.removeprefix(API_PATH) if path.startswith(API_PATH) else path
        if "{" in plain or plain in forms or plain in BOUNDED:
            continue
        wanted = {"limit", "after"} if path.startswith(API_PATH) else {"after"}
        assert wanted <= fields, f"{path} is a list without a page limit: {fields}"


def test_the_bench_knows_an_id_for_every_page() -> None:
    for path, _ in routes():
        names = set(re.findall(r"{(\w+)(?::\w+)?}", path))
        assert names <= known_ids(), path
