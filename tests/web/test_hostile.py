"""Hostile text in every field of every form, of every address and of every body: nothing breaks, nothing of it
becomes markup, nothing is changed by what was refused, and what was wrong with it is said at its field."""

from __future__ import annotations

import csv
import io
import json
import re
from html.parser import HTMLParser
from typing import Any, Literal
from urllib.parse import quote, urlencode

import httpx
import pytest
from markupsafe import escape

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import Database, execute, rows
from dca_daemon.runtime.logging import configure_logging
from dca_daemon.web.actions import Action
from dca_daemon.web.app import API_PATH
from dca_daemon.web.wishes import FormField, form_fields, from_form
from tests.services.fixed_bench import Feed
from tests.web.conftest import Console
from tests.web.shop import Shop, actions, open_shop, query_fields, routes
from tests.web.test_matrix import ENDLESS

pytestmark = pytest.mark.usefixtures("cheap_passwords")

# What a free text takes is tried first; only who refuses it is tried with all that looks like a number, nearly.
PRINTABLE = '=\'"><zq9 zq9="1"><svg/onload=zq9()>\'; DROP TABLE client;-- {{7*7}}zq9 ${7*7}zq9 ../../zq9 %0d%0azq9'
ODD = "\u202ezq9\u200b\r\nX-Zq9: 1\r\n\r\n<zq9>\x1b[31m\u2028"
HALF = "zq9\ud800"
LONG = "zq9" * 3400
NEARLY = ["9" * 400, "-1", "1e400", "NaN", "0x10", "\u0661\u0662\u0663", "1_000", "\u00b2", "0"]
# The same in JSON, as it is written; some of it is no JSON but for Python.
_WRONG = re.compile(r'class="wrong"[^>]*>([^<]*)<')
LITERALS = [
    json.dumps(PRINTABLE),
    '"zq9\\ud800"',
    "9" * 400,
    "1e400",
    "NaN",
    "-1",
    "1.5",
    "true",
    "null",
    "[]",
    "{}",
]


class _Markup(HTMLParser):
    """What of a page became markup that should have been text."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.startswith("zq9") or any("zq9" in name or name.startswith("on") for name, _ in attrs):
            self.found.append(self.get_starttag_text() or tag)
        if tag not in ("a", "link", "script", "form", "img"):
            return
        for name, link in attrs:
            if name in ("href", "src", "action") and not (link or "").startswith(("/", "?", "#", "data:image/")):
                self.found.append(f"{name}={link}")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem and "zq9" in data:
            self.found.append(data)


def harmless(answer: httpx.Response, about: object, allowed: tuple[int, ...] = ()) -> None:
    """Not one of ours, one header a line, and text is text."""
    assert answer.status_code < 500 or answer.status_code in allowed, (about, answer.status_code, answer.text)
    for name, text in answer.headers.multi_items():
        assert "zq9" not in name and "\r" not in text and "\n" not in text, (about, name, text)
    assert "49zq9" not in answer.text, about
    if answer.headers.get("content-type", "").startswith("text/html") and "zq9" in answer.text:
        looked = _Markup()
        looked.feed(answer.text)
        assert looked.found == [], (about, looked.found)


def led_to(action: Action[Any, Any]) -> int:
    """The status of an answer to a form that was taken."""
    return 303 if action.one_step and action.shows_once is None else 200


async def everything(db: Database) -> dict[str, str]:
    """What is kept, by table; without offers, sessions and events, which are no changes."""
    besides = "('intent', 'console_session', 'login_link', 'login_failure', 'event', 'idempotency_key')"
    async with db.transaction() as conn:
        tables = await rows(
            conn,
            f"""SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace
                 AND relname NOT IN {besides}""",
        )
        parts = [
            f"""SELECT '{t.relname}', md5(coalesce(string_agg(line, '|' ORDER BY line), ''))
                  FROM (SELECT (to_jsonb(t) - 'last_used_at')::text AS line FROM {t.relname} t) AS all_of_them"""
            for t in tables
        ]
        return {r[0]: r[1] for r in await rows(conn, " UNION ALL ".join(parts))}


async def post(browser: httpx.AsyncClient, path: str, fields: dict[str, str]) -> httpx.Response:
    """As a browser posts it; half of a surrogate pair too."""
    body = urlencode(fields, errors="surrogatepass")
    return await browser.post(path, content=body, headers={"Content-Type": "application/x-www-form-urlencoded"})


class Log:
    """What is logged meanwhile: one line for each event, whatever is in it."""

    def __init__(self, form: Literal["console", "json"]) -> None:
        self.form, self.stream = form, io.StringIO()
        configure_logging(format=form, stream=self.stream)

    def check(self) -> None:
        for line in self.stream.getvalue().split("\n")[:-1]:
            assert line.isprintable() and "console.bug" not in line, line
            assert self.form != "json" or json.loads(line)["event"]


class Once:
    """Fields that are the same wherever they are asked for are tried with everything once."""

    def __init__(self) -> None:
        self._seen: set[tuple[object, ...]] = set()

    def new(self, *about: object) -> bool:
        before = len(self._seen)
        self._seen.add(about)
        return len(self._seen) > before


async def _try_field(
    browser: httpx.AsyncClient, shop: Shop, action: Action[Any, Any], field: FormField, whole: bool
) -> None:
    path, good = shop.filled(action.path, action.name), shop.good(action, field.name)
    texts = [*([ODD, HALF, LONG] if whole else []), PRINTABLE]
    while texts:
        text = texts.pop()
        answer, about = await post(browser, path, {**good, field.name: text}), (action.name, field.name, text)
        harmless(answer, about)
        if answer.status_code != 422:
            assert answer.status_code == led_to(action), about
            continue
        if text == PRINTABLE and whole:
            texts += NEARLY
        assert f'id="{field.name}-wrong"' in answer.text, (about, _WRONG.findall(answer.text))
        if field.kind not in ("check", "choice", "choices") and not field.secret:
            assert str(escape(text.partition("\ud800")[0])) in answer.text, about  # what was typed is kept
    if field.secret:
        assert "zq9" not in answer.text, about


async def test_every_field_of_every_form(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.desk.prices, "fiat_per_btc", Feed().fiat_per_btc)
    shop, once, log = await open_shop(console), Once(), Log("console")
    async with console.person(Role.ADMIN) as browser:
        before = await everything(console.db)
        for action in actions():
            path, good = shop.filled(action.path, action.name), shop.good(action)
            shown = await post(browser, path, good)
            assert shown.status_code == led_to(action), (
                action.name,
                _WRONG.findall(shown.text),
            )
            unknown = await post(browser, path, {**good, PRINTABLE: PRINTABLE})
            harmless(unknown, action.name)
            assert unknown.status_code == 422 and "there is no such field" in unknown.text
            for field in form_fields(action.wish, action.path_fields):
                await _try_field(browser, shop, action, field, once.new(field.title, field.hint, field.kind))
            if action.one_step:  # what it took, it did
                before = await everything(console.db)
        assert await everything(console.db) == before
    log.check()


def _body(action: Action[Any, Any], good: dict[str, str], field: str, literal: str) -> str:
    kept = {name: value for name, value in from_form(action.wish, good).items() if name != field}
    return json.dumps(kept)[:-1] + (", " if kept else "") + f"{json.dumps(field)}: {literal}}}"


async def test_every_field_of_every_body(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console.desk.prices, "fiat_per_btc", Feed().fiat_per_btc)
    shop, once, log = await open_shop(console), Once(), Log("json")
    async with console.program() as program:
        program.headers["Content-Type"] = "application/json"
        before = await everything(console.db)
        for action in actions():
            path = API_PATH + shop.filled(action.api_path or action.path, action.name)
            for name, info in action.wish.model_fields.items():
                if name in action.path_fields:
                    continue
                whole = once.new(info.title, info.description)
                for literal in LITERALS if whole else LITERALS[:1]:
                    body = _body(action, shop.good(action, name), name, literal)
                    answer = await program.post(f"{path}?dry_run=true", content=body)
                    harmless(answer, (action.name, name, literal))
                    if answer.status_code != action.api_status:
                        wrong = answer.json()
                        assert wrong["status"] in (404, 409, 422), (action.name, name, literal, wrong)
                        at = [one["field"] for one in wrong["errors"]]
                        assert at == [name] or literal == "null", (action.name, name, literal, wrong)
            bodies = action.path_fields != tuple(action.wish.model_fields)
            for body in (
                () if not bodies else ("[]", '"zq9"', "{", "", '{"zq9<": 1}', "null", "1" * 5000, '{"a":' * 5000)
            ):
                answer = await program.post(path, content=body)
                harmless(answer, (action.name, body))
                empty = body == "" and not shop.good(action)
                assert answer.status_code in (400, 422) or empty, (action.name, body, answer.text)
        assert await everything(console.db) == before
    log.check()


_LISTS = [ODD, HALF, LONG, "9" * 400, "-1", "1e400", "\u0661"]
_PLACES = [PRINTABLE, ODD.replace("\r\n", "\u2029"), HALF, LONG, "9" * 400, "-1", "..", "0x10"]


def _written(text: str) -> str:
    return quote(text, safe="", errors="surrogatepass")


async def test_every_field_of_every_address(console: Console) -> None:
    shop, log = await open_shop(console), Log("json")
    forms = {action.path: action.wish.model_fields for action in actions()}
    own = console.program(Scope.CLIENT, client_id=int(shop.ids["client_id"]))
    async with console.person(Role.ADMIN) as browser, console.program() as program, own as hers:
        before, asked, unnamed = await everything(console.db), 0, set[tuple[str, str, str]]()
        for route in routes(console, "GET"):
            path = str(route.path)
            if path in ENDLESS or not hasattr(route, "dependant"):
                continue
            who = browser
            if path.startswith(API_PATH):
                who = hers if path.startswith(f"{API_PATH}/me") else program
            for name in [*query_fields(route), *forms.get(path, ())]:
                for text in [PRINTABLE] if path in forms else [PRINTABLE, *_LISTS]:
                    answer = await who.get(f"{shop.filled(path)}?{name}={_written(text)}")
                    asked += 1
                    harmless(answer, (path, name, text))
                    if answer.status_code == 303:
                        assert answer.headers["location"] == "/", (path, text)
                        continue
                    assert answer.status_code in (200, 404, 422), (path, name, text, answer.text)
                    if who is not browser and answer.status_code != 200:
                        at = [one["field"] for one in answer.json()["errors"]]
                        if at != [name]:
                            unnamed.add((path, name, answer.text))
            for name in re.findall(r"{(\w+)", path):
                for text in _PLACES:
                    filled = shop.filled(
                        path.replace(f"{{{name}}}", _written(text)).replace(f"{{{name}:path}}", _written(text))
                    )
                    answer = await who.get(filled)
                    harmless(answer, (path, name, text))
        assert unnamed == set()
        assert await everything(console.db) == before and asked > 300
    log.check()


KEPT = (
    ("client", "name"),
    ("destination", "name"),
    ("pool", "name"),
    ("machine", "name"),
    ("deposit", "note"),
    ("payout", "reason"),
    ("webhook", "name"),
    ("api_token", "name"),
    ("audit_log", "reason"),
    ("audit_log", "actor"),
    ("intake_filter", "reason"),
    ("journal_entry", "cause"),
    ("cash_out", "reason_text"),
)


async def test_hostile_text_that_is_kept_is_shown_as_text(console: Console) -> None:
    shop = await open_shop(console)
    async with console.db.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")  # what is kept stays as it is
        for table, column in KEPT:
            key = "device_id" if table == "machine" else "id"
            await execute(conn, f"UPDATE {table} SET {column} = :text || {key}", text=PRINTABLE)
    shown = 0
    own = console.program(Scope.CLIENT, client_id=int(shop.ids["client_id"]))
    async with console.person(Role.ADMIN) as browser, console.program() as program, own as hers:
        for route in routes(console, "GET"):
            path = str(route.path)
            if path in ENDLESS:
                continue
            who = browser
            if path.startswith(API_PATH):
                who = hers if path.startswith(f"{API_PATH}/me") else program
            answer = await who.get(shop.filled(path))
            harmless(answer, path)
            shown += "zq9" in answer.text and who is browser
            if path.endswith(".csv"):
                cells = [cell for line in csv.reader(io.StringIO(answer.text)) for cell in line]
                assert [one for one in cells if one[:1] in ("=", "+", "-", "@")] == [], path
    assert shown >= 12
