"""Lies about what there is: what `Lie`s for list and wallet calls do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.lnbits_double.http import Call, Cut, Reply, reply
from tests.lnbits_double.lies import Lie
from tests.lnbits_double.lying import Effect, Liar, altered, before

ALL_MSAT = 21_000_000 * 100_000_000 * 1_000


async def _filter_ignored(liar: Liar, call: Call) -> Reply | Cut:
    pages = [(name, value) for name, value in call.query if name in ("limit", "offset")]
    return await liar.honestly(replace(call, query=pages))


async def _others_rows(liar: Liar, call: Call) -> Reply | Cut:
    table = liar.service.core.table
    mine = table.of_key(call.key)
    rows = [row.shown() for row in table.records if mine is None or row.wallet_id != mine.keys.id]
    return reply(200, {"data": rows[:10], "total": len(rows)})


def _each_row(name: str, value: object) -> Effect:
    def change(body: Any) -> None:
        for row in body["data"]:
            row[name] = value

    return altered(change)


def _withhold(body: Any) -> None:
    body["data"], body["total"] = [], max(1, body["total"])


def _says(balance: object) -> Effect:
    def change(body: Any) -> None:
        body["balance"] = balance

    return altered(change)


def _without_id(body: Any) -> None:
    body.pop("id", None)


EFFECTS: dict[Lie, Effect] = {
    Lie.EMPTY: before(reply(200, {"data": [], "total": 0})),
    Lie.WITHHELD: altered(_withhold),
    Lie.FILTER_IGNORED: _filter_ignored,
    Lie.OTHERS_ROWS: _others_rows,
    Lie.SAYS_PENDING: _each_row("status", "pending"),
    Lie.UNKNOWN_STATUS: _each_row("status", "maybe"),
    Lie.NO_HASH: _each_row("payment_hash", None),
    Lie.CLAIM_EMPTY: _says(0),
    Lie.CLAIM_RICH: _says(ALL_MSAT),
    Lie.WITHOUT_ID: altered(_without_id),
    Lie.FLOAT_BALANCE: _says(1234.5),
}
