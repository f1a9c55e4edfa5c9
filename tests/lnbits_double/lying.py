"""What each lie does to a call of any kind; those of one kind are in `lying_invoices.py`, `lying_payments.py` and
`lying_readings.py`."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.lnbits_double.http import Call, Cut, Reply, detail, refused, reply
from tests.lnbits_double.lies import Lie
from tests.lnbits_double.service import Service

HTML = "text/html; charset=utf-8"
_PAGE = Reply(200, b"<!doctype html><title>hello</title>", HTML)
_BAD_GATEWAY = Reply(502, b"<html><h1>502 Bad Gateway</h1></html>", HTML)
_INTERNAL_ERROR = detail(500, "Unexpected error! ID: double")
_NULL = reply(201, None)
_RATE_LIMITED = reply(429, {"error": "Rate limit exceeded: 200 per 1 minute"})
_NOT_FOUND = detail(404, "Wallet not found.")


@dataclass
class Liar:
    """What a lie works with. The times are the double's settings."""

    service: Service
    sleep: Callable[[float], Awaitable[object]]
    slow_seconds: float = 120.0
    late_seconds: float = 10.0
    pending_seconds: float = 300.0
    hidden_seconds: float = 20.0

    async def honestly(self, call: Call) -> Reply:
        return await self.service.carry_out(call)


Effect = Callable[[Liar, Call], Awaitable[Reply | Cut]]


def before(answer: Reply | Cut) -> Effect:
    """Carries nothing out."""

    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        return answer

    return effect


def after(answer: Reply | Cut) -> Effect:
    """Carries it out, and answers something else."""

    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        await liar.honestly(call)
        return answer

    return effect


def altered(change: Callable[[Any], None]) -> Effect:
    """Carries it out, and changes the JSON of the answer where it was well."""

    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        honest = await liar.honestly(call)
        if honest.status >= 300:
            return honest
        body = honest.json
        change(body)
        return replace(honest, content=json.dumps(body).encode())

    return effect


async def _slow(liar: Liar, call: Call) -> Reply | Cut:
    await liar.sleep(liar.slow_seconds)
    return await liar.honestly(call)


async def _cut_off(liar: Liar, call: Call) -> Reply | Cut:
    honest = await liar.honestly(call)
    half = len(honest.content) // 2
    return replace(honest, content=honest.content[:half], missing_bytes=len(honest.content) - half)


async def _truncated(liar: Liar, call: Call) -> Reply | Cut:
    honest = await liar.honestly(call)
    return replace(honest, content=honest.content[: len(honest.content) // 2])


EFFECTS: dict[Lie, Effect] = {
    Lie.REFUSE_CONNECTION: before(Cut.REFUSED),
    Lie.RESET_BEFORE: before(Cut.RESET),
    Lie.TAKE_AND_RESET: after(Cut.RESET),
    Lie.TAKE_AND_DROP: after(Cut.CLOSED),
    Lie.SILENT_BEFORE: before(Cut.SILENT),
    Lie.TAKE_AND_STAY_SILENT: after(Cut.SILENT),
    Lie.SLOW: _slow,
    Lie.GARBAGE_BEFORE: before(Cut.GARBAGE),
    Lie.TAKE_AND_GARBAGE: after(Cut.GARBAGE),
    Lie.CUT_OFF: _cut_off,
    Lie.HTML_BEFORE: before(_PAGE),
    Lie.TAKE_AND_HTML: after(_PAGE),
    Lie.TRUNCATED_JSON: _truncated,
    Lie.NULL_BEFORE: before(_NULL),
    Lie.TAKE_AND_NULL: after(_NULL),
    Lie.ERROR_500_BEFORE: before(_INTERNAL_ERROR),
    Lie.TAKE_AND_ERROR_500: after(_INTERNAL_ERROR),
    Lie.BAD_GATEWAY_BEFORE: before(_BAD_GATEWAY),
    Lie.TAKE_AND_BAD_GATEWAY: after(_BAD_GATEWAY),
    Lie.REDIRECT: before(Reply(307, b"", HTML, {"Location": "/first_install"})),
    Lie.RATE_LIMITED: before(_RATE_LIMITED),
    Lie.RATE_LIMITED_RETRY_AFTER: before(replace(_RATE_LIMITED, headers={"Retry-After": "7"})),
    Lie.TAKE_AND_RATE_LIMITED: after(_RATE_LIMITED),
    Lie.UNAUTHORIZED: before(detail(401, "No Api Key provided.")),
    Lie.FORBIDDEN: before(detail(403, "Invalid adminkey.")),
    Lie.NOT_FOUND: before(_NOT_FOUND),
    Lie.TAKE_AND_NOT_FOUND: after(_NOT_FOUND),
    Lie.NODE_AWAY: before(refused("Unable to connect to the funding source.", "pending")),
}
