"""A shop with one of everything, so that every route can be asked for something that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi.routing import RouteContext, iter_route_contexts

from dca_daemon.domain.commission import Pay
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import (
    api_tokens,
    client_access,
    commission,
    deposits,
    filters,
    fixed_amounts,
    fixed_schedules,
    payouts,
    pools,
    users,
    webhooks,
)
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Difference, Kind, Reconciliation
from dca_daemon.services.webhook_http import WebhookHttpConfig
from dca_daemon.web.actions import Action
from dca_daemon.web.app import DEEDS
from dca_daemon.web.wishes import FormField, form_fields
from tests.ledger.filled import invoice, reserve, submit
from tests.services.builders import client, sql, success, value
from tests.web.conftest import Console

MACHINE, NEW_MACHINE = "d" * 64, "e" * 64
Fields = dict[str, str]


@dataclass(frozen=True)
class Shop:
    """`ids`: by the names that paths have for them; `other`: where an action needs another one, by its name."""

    ids: Mapping[str, str]
    other: Mapping[str, Fields]

    def filled(self, path: str, action: str = "") -> str:
        """The path to something that is there."""
        ids = {**self.ids, **self.other.get(action, {})}
        return re.sub(r"{(\w+)(:\w+)?}", lambda found: ids[found[1]], path)

    def good(self, action: Action[Any, Any], beside: str = "") -> Fields:
        """What the action takes: what it needs, by its own examples, where nothing else is said here. `beside`: a
        field that is given too, so that what can't stand beside it is left out."""
        needed = {
            one.name: _example(action, one) for one in form_fields(action.wish, action.path_fields) if one.needed
        }
        good = {**needed, **_GOOD.get(action.name, {})}
        return {name: text for name, text in good.items() if name not in _INSTEAD_OF.get(beside, ())} | (
            _TOGETHER.get((action.name, beside), {})
        )


_GOOD: dict[str, Fields] = {
    "client.add": {"name": "Carla", "lightning_address": "carla@example.com"},
    "client.set-mode": {"mode": "fixed"},
    "client.set-destination": {"lightning_address": "other@example.com"},
    "client.adjust": {"fiat": "+1", "reason": "counted again"},
    "deposit.give-back": {"amount": "1"},
    "cash-out.add": {"commission_percent": "5.5", "at": "2026-11-01T12:00", "machine": MACHINE},
    "fixed.set": {"zone": "America/Guatemala", "times": "00:00, 23:59"},
    "fixed.set-amount": {"per_day": "5"},
    "commission.set": {"shares": "Ana: 12"},
    "commission.add-receiver": {"name": "Office", "lightning_address": "office@example.com"},
    "machine.move": {"pool": "Playa"},
    "cash.remove": {"amount": "1"},
    "user.set-role": {"role": "admin"},
    "client.allow": {"switch_mode": "yes"},
    "filter.add": {"kind": "coin", "value": "BTC"},
    "webhook.add": {"name": "Books", "url": "https://93.184.216.34/hook"},
}


# What a field stands in place of; and what it can't be without.
_INSTEAD_OF = {
    "invoice_key": ("lightning_address",),
    "lnurl": ("lightning_address",),
    "sats": ("fiat",),
    "own_max": ("per_day",),
    "none": ("shares",),
}
_TOGETHER = {
    ("commission.set", "times"): {"zone": "America/Guatemala"},
    ("commission.set", "zone"): {"times": "18:30"},
    ("cash-out.add", "sats"): {"fiat": "1000.50"},
}


def _example(action: Action[Any, Any], field: FormField) -> str:
    """As one would type it."""
    first = next(iter(action.wish.model_fields[field.name].examples or ()), None)
    if first is None:
        return next(iter(field.choices), "1")
    return ", ".join(first) if isinstance(first, list) else str(first)


async def open_shop(console: Console) -> Shop:
    """Fills the books."""
    db = console.db
    ana = (await console.add_client("Ana")).client_id
    for _ in range(2):
        pending = await deposits.record(
            db, client="Ana", amount="20000", currency=None, note=None, actor="os:test"
        )
    await deposits.confirm(db, pending.deposit_id - 1, actor="os:test")
    other = await client(db, "10000")
    rule = commission.PayRule(Pay.FROM_AMOUNT, from_sats=10**6)
    gathered = commission.Wish(shares=(("Ana", "10"),), rule=rule)
    seen = await commission.preview(db, gathered)
    await commission.apply(db, gathered, seen=seen.before, reason=None, actor="os:test")
    coin = await filters.add(db, filters.FilterKind.COIN, "LN", reason="a test", actor="os:test")
    intake = Intake(db, IntakeConfig())
    filtered, elsewhere = success(crypto_code="LN"), success(device_id=NEW_MACHINE)
    await intake.process([success(), success(dispense_confirmed=False), filtered, elsewhere])
    await sql(db, "UPDATE machine SET awaiting_pool = true WHERE device_id = :id", id=NEW_MACHINE)
    held, open_one = await reserve(db, ana), await reserve(db, other)
    assert held is not None and open_one is not None
    for payout in (held, open_one):
        await invoice(db, payout)
    await submit(db, held)
    await intake.process([success()])
    await pools.add(db, name="Playa", currency="GTQ", actor="os:test")
    await fixed_schedules.change(
        db,
        zone="America/Guatemala",
        times=["08:00"],
        missed=None,
        max_per_day="400",
        pool_reference=None,
        reason=None,
        actor="os:test",
        at=datetime.now(UTC),
    )
    await fixed_amounts.change(db, "Ana", per_day="10", actor="os:test")
    for name in ("vic", "gone"):
        await users.add(db, name=name, role=Role.VIEWER, password=None, actor="os:test")
    await users.disable(db, "gone", actor="os:test")
    await sql(db, "UPDATE console_user SET totp_secret_encrypted = '\\x00' WHERE name = 'vic'")
    _, link = await client_access.make_link(db, "Ana", actor="os:test")
    token, _ = await api_tokens.add(db, name="old", scopes=[Scope.READ], actor="os:test")
    differs = Difference(next(iter(Kind)), "one thing", payout_id=held, client_id=ana)
    await runs.save(
        db,
        Reconciliation(datetime.now(UTC), None, {"payouts": 5}, {differs.kind: 1}, (differs,), (), {}),
        actor="os:x",
        routine=False,
    )
    await payouts.hold(db, held, reason="a test", actor="os:test")
    config = WebhookHttpConfig(allow_private=True)
    webhook, _ = await webhooks.add(
        db, console.keys, name="till", url="http://127.0.0.1:9/x", kinds=["*"], config=config, actor="os:test"
    )
    await sql(
        db,
        """INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, ended_at)
           VALUES (:id, 1, 'k', '', 'given-up', now())""",
        id=webhook.webhook_id,
    )
    leaver = (await console.add_client("Leaver")).client_id
    return Shop(
        {
            "client_id": str(ana),
            "deposit_id": str(pending.deposit_id),
            "cash_out_id": await _first(console, "SELECT id FROM cash_out WHERE state = 'failed'"),
            "distribution_id": await _first(console, "SELECT max(id) FROM distribution"),
            "payout_id": held,
            "device_id": MACHINE,
            "filter_id": str(coin.filter_id),
            "name": "vic",
            "token_id": str(token.token_id),
            "webhook_id": str(webhook.webhook_id),
            "delivery_id": await _first(console, "SELECT max(id) FROM webhook_delivery"),
            "entry_id": await _first(console, "SELECT max(id) FROM journal_entry"),
            "run_id": await _first(console, "SELECT max(id) FROM reconcile_run"),
            "account": await _first(console, "SELECT name FROM account ORDER BY id LIMIT 1"),
            "deed": "test",
            "token": link,
            "stamp": "1",
        },
        {
            "user.enable": {"name": "gone"},
            "client.erase": {"client_id": str(leaver)},
            "cash-out.distribute": {
                "cash_out_id": await _first(console, "SELECT id FROM cash_out WHERE state = 'ignored'")
            },
            "machine.accept": {"device_id": NEW_MACHINE},
            "payout.hold": {"payout_id": open_one},
            "payout.retry": {"payout_id": open_one},
        },
    )


async def _first(console: Console, query: str) -> str:
    return str(await value(console.db, query))


def actions() -> list[Action[Any, Any]]:
    """All that can be done."""
    return [action for some in DEEDS.values() for action in some]


def routes(console: Console, method: str) -> Iterator[RouteContext]:
    """All routes that are asked with this method."""
    for route in iter_route_contexts(console.app.routes):
        if method in (route.methods or ()):
            yield route


def query_fields(route: RouteContext) -> list[str]:
    """What a route takes in its address, as its own functions and what they depend on say."""

    def of(dependant: Any) -> Iterator[str]:
        yield from (field.alias for field in dependant.query_params)
        for one in dependant.dependencies:
            yield from of(one)

    return sorted(set(of(route.dependant)))
