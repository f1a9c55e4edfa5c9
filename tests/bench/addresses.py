"""What is asked of the console: every page and every GET of the API, on ids of the books at hand.

The routes are the application's own: one that this module knows no id for fails the run.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import psycopg
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from dca_daemon.web.app import API_PATH

# Streams without an end; files that browsers keep; what only answers who is not logged in.
LEFT_OUT = ("/live", f"{API_PATH}/events/stream", "/static/{stamp}/{name}", "/login/link/{token}")

# By the name of a path's parameter: the ones that have most, one like most others, the odd ones.
_IDS = {
    "client_id": "SELECT unnest(ARRAY[1, 2, (SELECT max(id) FROM client WHERE mode = 'fixed')])",
    "deposit_id": "SELECT max(id) FROM deposit GROUP BY state",
    "cash_out_id": "SELECT max(id) FROM cash_out GROUP BY state",
    "payout_id": "SELECT max(id::text) FROM payout GROUP BY state",
    "distribution_id": """SELECT unnest(ARRAY[min(id), max(id)]) FROM distribution GROUP BY kind
                           UNION SELECT max(id) FROM distribution WHERE reversed_at IS NOT NULL""",
    "device_id": "SELECT unnest(ARRAY[min(device_id), max(device_id)]) FROM machine",
    "filter_id": "SELECT max(id) FROM intake_filter",
    "name": "SELECT min(name) FROM console_user",
    "run_id": "SELECT unnest(ARRAY[min(id), max(id)]) FROM reconcile_run",
    "account": """SELECT name FROM account WHERE name IN
                      ('payouts:in-flight', 'house:sats', 'client:1:payable', 'client:2:fiat:1', 'cash:pool:1')""",
    "entry_id": """SELECT unnest(ARRAY[min(entry_id), max(entry_id), (SELECT max(id) FROM journal_entry
                                        WHERE template = 'cash-out-distributed')]) FROM posting""",
    "webhook_id": "SELECT min(id) FROM webhook",
    "delivery_id": "SELECT max(id) FROM webhook_delivery",
    "token_id": "SELECT max(id) FROM api_token WHERE revoked_at IS NULL",
}
_LINK = "token"
# By path: what else it is asked with. {…} is filled in from _VALUES.
_ASKED: dict[str, Sequence[str]] = {
    "/login": ("next=/clients",),
    "/clients": ("text=morales", "text=nobody+at+all", "mode=fixed", "status=inactive", "order=name",
                 "mode=fixed&status=inactive&order=name", "after={client}"),
    "/clients/{client_id}/records": ("limit=200", "after={first_record_of_1}"),
    "/clients/{client_id}/changes": ("limit=200",),
    "/clients/{client_id}/series": ("points=1000",),
    "/clients/{client_id}/history": ("after={first_record_of_1}",),
    "/deposits": ("state=pending", "state=confirmed", "state=void", "pool=default", "pool=border&state=void",
                  "client=1", "client=2&state=pending", "after={deposit}", "state=confirmed&after={deposit}"),
    "/cash-outs": ("state=distributed", "state=review", "state=due", "machine=Machine+1",
                   "machine=Machine+20&state=failed", "machine=nothing", "coin=LN", "coin=ETH", "coin=XMR",
                   "text={external_id}", "text=nothing", "text=0", "text=a&state=due",
                   "since={two_years}&until={a_year}", "since={two_years}&until={two_years}",
                   "machine=Machine+3&coin=ETH&state=ignored", "coin=LN&state=due", "coin=ETH&state=distributed",
                   "after={cash_out}", "state=distributed&after={cash_out}", "machine=Machine+1&after={cash_out}"),
    "/payouts": ("state=settled", "state=held", "state=in+flight", "state=failed", "client=1", "client=2",
                 "client=1&state=failed", "client={receiver}", "after={payout}", "state=settled&after={payout}",
                 "client=1&after={payout_of_1}"),
    "/distributions": ("kind=fixed", "kind=adjustment", "kind=cash-out", "reversed_only=true", "client=1",
                       "client={receiver}", "client=2&kind=fixed", "client={receiver}&kind=fixed",
                       "client=1&reversed_only=true", "since={two_years}&until={a_year}",
                       "client=2&until={two_years}", "client=2&since={today}", "client=1&until={two_years}",
                       "after={distribution}", "limit=200"),
    "/fixed": ("pool=border", "pool=coast", "after={fixed_run}"),
    "/fixed/preview": ("pool=border",),
    "/fixed/runs": ("pool=border", "after={fixed_run}", "limit=200"),
    "/commission": ("by=day", "by=day&receiver=1", "receiver={receiver}"),
    "/commission/history": ("by=day", "by=month", "by=day&since={a_year}", "receiver={receiver}"),
    "/machines": ("awaiting=yes", "awaiting_only=true", "after={machine}"),
    "/cash": ("pool=border",),
    "/filters": ("removed=yes", "removed=true", "removed=yes&after={filter}"),
    "/treasury": ("days=1", "days=92", "days=731"),
    "/treasury/periods": ("by=day", "by=week", "by=month"),
    "/reports/periods": ("by=day", "by=week", "by=month", "by=month&since={two_years}"),
    "/reconciliation": ("after={run}",),
    "/ledger": ("text=payable", "text=nothing", "text=client:7", "after={account}"),
    "/ledger/accounts/{account:path}": ("after={entry}",),
    "/ledger/entries": ("template=payout-settled", "template=reversal", "template=nothing",
                        "account=payouts:in-flight", "account=client:2:payable", "account=nothing",
                        "account=client:1:payable&template=sats-adjusted",
                        "account=house:sats&template=payout-settled", "after={entry}",
                        "template=deposit-confirmed&after={entry}"),
    "/audit": ("actor=user:olga", "actor=user:nobody", "action=deposit", "action=deposit.confirm",
               "action=nothing", "subject=client:1", "subject=client:nobody",
               "actor=user:paco&action=machine.name", "actor=user:olga&subject=client:1",
               "actor=user:admin&action=deposit", "since={a_day}&until={a_day}", "after={audit}",
               "actor=user:olga&after={audit}"),
    "/tokens": ("revoked=yes", "revoked=true", "after={token}"),
    "/webhooks/{webhook_id}": ("before={delivery}",),
    "/webhooks/{webhook_id}/deliveries": ("state=given-up", "state=pending", "before={delivery}"),
    "/events": ("after=0&limit=1000", "after={event}", "after=0&kinds=payout.held", "after=0&kinds=nothing"),
    "/system": ("test=database",),
    "/clients/{client_id}/statement.csv": ("since={two_years}&until={a_year}",),
}  # fmt: skip
_VALUES = """
    SELECT (SELECT max(id) - 60 FROM client) AS client, (SELECT max(id) FROM client) AS receiver,
           (SELECT id FROM distribution_record WHERE client_id = 1 ORDER BY id OFFSET 60 LIMIT 1)
               AS first_record_of_1,
           (SELECT id FROM deposit ORDER BY recorded_at, id OFFSET 60 LIMIT 1) AS deposit,
           (SELECT id FROM cash_out ORDER BY happened_at, id OFFSET 60 LIMIT 1) AS cash_out,
           (SELECT external_id FROM cash_out ORDER BY id OFFSET 300 LIMIT 1) AS external_id,
           (SELECT id::text FROM payout ORDER BY created_at, id OFFSET 60 LIMIT 1) AS payout,
           (SELECT id::text FROM payout WHERE client_id = 1 ORDER BY created_at, id OFFSET 60 LIMIT 1)
               AS payout_of_1,
           (SELECT id FROM distribution ORDER BY booked_at, id OFFSET 60 LIMIT 1) AS distribution,
           (SELECT id FROM fixed_run WHERE pool_id = 1 ORDER BY id OFFSET 60 LIMIT 1) AS fixed_run,
           (SELECT device_id FROM machine ORDER BY device_id LIMIT 1) AS machine,
           (SELECT max(id) - 60 FROM intake_filter) AS filter, (SELECT min(id) + 60 FROM reconcile_run) AS run,
           (SELECT name FROM account ORDER BY name DESC OFFSET 60 LIMIT 1) AS account,
           (SELECT id FROM journal_entry ORDER BY happened_at, id OFFSET 60 LIMIT 1) AS entry,
           (SELECT id FROM audit_log ORDER BY at, id OFFSET 60 LIMIT 1) AS audit,
           (SELECT id FROM api_token WHERE revoked_at IS NULL ORDER BY id OFFSET 60 LIMIT 1) AS token,
           (SELECT id FROM webhook_delivery ORDER BY id OFFSET 300 LIMIT 1) AS delivery,
           (SELECT max(id) - 60 FROM event) AS event, (now() - interval '730 days')::date AS two_years,
           (now() - interval '365 days')::date AS a_year, (now() - interval '100 days')::date AS a_day,
           now()::date AS today"""


def addresses(app: FastAPI, dsn: str, link: str) -> list[str]:
    """All of them, for these books; `link` is the token of a client's personal link. Raises `KeyError` for a route
    with an unknown parameter."""
    with psycopg.connect(dsn) as conn:
        cursor = conn.execute(_VALUES.encode())
        row = cursor.fetchone()
        assert row is not None and cursor.description is not None
        values = {column.name: str(value) for column, value in zip(cursor.description, row, strict=True)}
        ids = {_LINK: [link]} | {
            name: [str(r[0]) for r in conn.execute(query.encode())] for name, query in _IDS.items()
        }
    return [
        address
        for route in iter_route_contexts(app.routes)
        if "GET" in (route.methods or ()) and route.path not in LEFT_OUT
        for address in _of_route(str(route.path), ids, values)
    ]


def _of_route(path: str, ids: Mapping[str, Sequence[str]], values: Mapping[str, Any]) -> Iterator[str]:
    names = re.findall(r"{(\w+)(?::\w+)?}", path)
    of_api = path.startswith(API_PATH)
    asked = _ASKED.get(path.removeprefix(API_PATH), ())
    for chosen in itertools.product(*(ids[name] for name in names)):
        filled = path
        for one in chosen:
            filled = re.sub(r"{\w+(:\w+)?}", quote(one, safe=":"), filled, count=1)
        yield filled
        for text in asked:
            query = text.format(**{key: quote(str(value)) for key, value in values.items()})
            if of_api and not _fits_api(query):
                continue
            yield f"{filled}?{_with_zone(query) if of_api else query}"


def _fits_api(query: str) -> bool:
    """Where the API spells it otherwise than the page."""
    return not any(part in query for part in ("=yes", "state=in+flight", "coin=XMR"))


def _with_zone(query: str) -> str:
    return re.sub(r"((?:since|until)=\d{4}-\d\d-\d\d)", r"\1T00:00:00Z", query)


def known_ids() -> frozenset[str]:
    """The parameters of paths that can be filled in."""
    return frozenset({*_IDS, _LINK})
