"""Lies about invoices: what `Lie`s for create calls do."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from dca_daemon.payouts.wallet import RecordStatus
from tests.lnbits_double.http import Call, Cut, Reply, reply
from tests.lnbits_double.lies import Lie
from tests.lnbits_double.lying import Effect, Liar, altered
from tests.lnbits_double.model import Record, Wallet


def _other_amount(*, disguised: bool) -> Effect:
    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        honest = await liar.honestly(replace(call, body={**call.body, "amount": call.body["amount"] + 1}))
        if honest.status >= 300 or not disguised:
            return honest
        body = {**honest.json, "amount": call.body["amount"] * 1_000}
        return replace(honest, content=json.dumps(body).encode())

    return effect


def _aged(*, created_ago_seconds: int, expiry_seconds: int) -> Effect:
    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        wallet = liar.service.core.table.of_key(call.key)
        if wallet is None:
            return await liar.honestly(call)
        return reply(201, _invoice(liar, call, wallet, created_ago_seconds, expiry_seconds).shown())

    return effect


def _others(*, disguised: bool) -> Effect:
    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        table = liar.service.core.table
        wallet = table.of_key(call.key)
        if wallet is None:
            return await liar.honestly(call)
        other = next(one for one in table.wallets.values() if call.key not in (one.keys.inkey, one.keys.adminkey))
        shown = _invoice(liar, call, other).shown()
        return reply(201, {**shown, "wallet_id": wallet.keys.id} if disguised else shown)

    return effect


async def _given_before(liar: Liar, call: Call) -> Reply | Cut:
    table = liar.service.core.table
    wallet = table.of_key(call.key)
    rows = table.by_wallet[wallet.keys.id] if wallet else []
    given = [row for row in rows if row.amount == call.body["amount"] * 1_000]
    if not given:
        return await liar.honestly(call)
    return reply(201, {**given[-1].shown(), "external_id": call.body.get("external_id")})


async def _not_kept(liar: Liar, call: Call) -> Reply | Cut:
    honest, record = await _created(liar, call)
    if record is not None:
        liar.service.core.table.remove(record)
    return honest


def _dead(*, forgotten: bool) -> Effect:
    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        honest, record = await _created(liar, call)
        if record is not None:
            record.status = RecordStatus.FAILED
            if forgotten:
                liar.service.core.known.discard(record.payment_hash)
        return honest

    return effect


async def _created(liar: Liar, call: Call) -> tuple[Reply, Record | None]:
    honest = await liar.honestly(call)
    made = honest.status < 300
    return honest, liar.service.core.table.incoming(honest.json["payment_hash"]) if made else None


def _invoice(
    liar: Liar, call: Call, wallet: Wallet, created_ago_seconds: int = 0, expiry_seconds: int | None = None
) -> Record:
    return liar.service.core.new_invoice(
        wallet.keys.id,
        call.body["amount"] * 1_000,
        memo=call.body.get("memo") or "",
        expiry_seconds=call.body["expiry"] if expiry_seconds is None else expiry_seconds,
        created_ago_seconds=created_ago_seconds,
        extra=call.body.get("extra"),
        external_id=call.body.get("external_id"),
    )


def _other_hash(body: Any) -> None:
    body["payment_hash"] = "cd" * 32


def _other_id(body: Any) -> None:
    body["external_id"] = "another"


def _no_invoice(body: Any) -> None:
    del body["bolt11"], body["payment_request"]


EFFECTS: dict[Lie, Effect] = {
    Lie.OTHER_AMOUNT: _other_amount(disguised=False),
    Lie.OTHER_AMOUNT_DISGUISED: _other_amount(disguised=True),
    Lie.OTHER_HASH: altered(_other_hash),
    Lie.OTHER_ID: altered(_other_id),
    Lie.EXPIRED_INVOICE: _aged(created_ago_seconds=7_200, expiry_seconds=3_600),
    Lie.SHORT_LIVED_INVOICE: _aged(created_ago_seconds=0, expiry_seconds=2),
    Lie.OTHERS_INVOICE: _others(disguised=False),
    Lie.OTHERS_INVOICE_DISGUISED: _others(disguised=True),
    Lie.GIVEN_BEFORE: _given_before,
    Lie.NO_INVOICE: altered(_no_invoice),
    Lie.NOT_KEPT: _not_kept,
    Lie.MARKED_FAILED: _dead(forgotten=False),
    Lie.FORGOTTEN: _dead(forgotten=True),
}
