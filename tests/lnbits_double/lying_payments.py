"""Lies about payments: what `Lie`s for pay calls do.

Those that answer without paying need no invoice of ours; the others work on payments within LNbits, and pay
honestly where the invoice is of elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from dca_daemon.payouts.wallet import RecordStatus
from tests.lnbits_double.http import Call, Cut, Reply, refused, reply
from tests.lnbits_double.lies import Lie
from tests.lnbits_double.lying import Effect, Liar, after, before
from tests.lnbits_double.model import Direction, Record, Wallet

Within = Callable[[Liar, Call, Wallet, Record], Awaitable[Reply | Cut]]


def _within(effect: Within) -> Effect:
    """For a payment within LNbits that it would make now; any other is made honestly."""

    async def either(liar: Liar, call: Call) -> Reply | Cut:
        core = liar.service.core
        core.catch_up()
        wallet, incoming = core.table.of_key(call.key), core.table.invoice(call.body["bolt11"])
        payable = (
            wallet is not None
            and incoming is not None
            and incoming.status is RecordStatus.PENDING
            and core.table.outgoing(incoming.payment_hash) is None
            and core.table.balance_msat(wallet.keys.id) >= incoming.amount
        )
        if not payable:
            return await liar.honestly(call)
        assert wallet is not None and incoming is not None
        return await effect(liar, call, wallet, incoming)

    return either


def _claims(status: RecordStatus, *, pays: bool) -> Effect:
    """201 with that status."""

    async def effect(liar: Liar, call: Call) -> Reply | Cut:
        if pays:
            await liar.honestly(call)
        core = liar.service.core
        wallet, invoice = core.table.of_key(call.key), core.read(call.body["bolt11"])
        if wallet is None or invoice is None:
            return await liar.honestly(call)
        row = liar.service.payments.outgoing_record(call, wallet, invoice.payment_hash, invoice.amount_msat)
        row.status = status
        return reply(201, row.shown())

    return effect


async def _other_payment(liar: Liar, call: Call) -> Reply | Cut:
    honest = await liar.honestly(call)
    return reply(201, {**honest.json, "payment_hash": "cd" * 32})


async def _late(liar: Liar, call: Call) -> Reply | Cut:
    core, payments = liar.service.core, liar.service.payments
    wallet, incoming = core.table.of_key(call.key), core.table.invoice(call.body["bolt11"])

    def carried_out() -> None:
        assert wallet is not None and incoming is not None
        if incoming.status is RecordStatus.PENDING and core.table.outgoing(incoming.payment_hash) is None:
            payments.credit(payments.debit(call, wallet, incoming), incoming)

    if wallet is not None and incoming is not None:
        core.later(liar.late_seconds, carried_out, outlives_kill=False)
    return Cut.RESET


def _pending(*, settles: bool) -> Effect:
    async def effect(liar: Liar, call: Call, wallet: Wallet, incoming: Record) -> Reply | Cut:
        core = liar.service.core
        row = liar.service.payments.outgoing_record(call, wallet, incoming.payment_hash, incoming.amount)
        core.table.add(row)

        def over() -> None:
            row.status = RecordStatus.SUCCESS if settles else RecordStatus.FAILED
            if settles:
                core.moved(Direction.LEFT, row, row.wallet_id)
                liar.service.payments.credit(row, incoming)

        core.later(liar.pending_seconds, over, outlives_kill=True)
        return reply(201, row.shown())

    return _within(effect)


async def _hide(liar: Liar, call: Call) -> Reply | Cut:
    core = liar.service.core
    await liar.honestly(call)
    invoice = core.read(call.body["bolt11"])
    for row in core.table.by_hash.get(invoice.payment_hash, ()) if invoice else ():
        row.hidden_until = core.clock() + timedelta(seconds=liar.hidden_seconds)
    return Cut.CLOSED


def _torn(*, failed: bool = False, claims: bool = False) -> Effect:
    async def effect(liar: Liar, call: Call, wallet: Wallet, incoming: Record) -> Reply | Cut:
        row = liar.service.payments.debit(call, wallet, incoming)
        if failed:
            incoming.status = RecordStatus.FAILED
        return reply(201, row.shown()) if claims else Cut.RESET

    return _within(effect)


async def _credited_only(liar: Liar, call: Call, wallet: Wallet, incoming: Record) -> Reply | Cut:
    payments = liar.service.payments
    payments.credit(payments.outgoing_record(call, wallet, incoming.payment_hash, incoming.amount), incoming)
    return Cut.RESET


async def _debits_more(liar: Liar, call: Call, wallet: Wallet, incoming: Record) -> Reply | Cut:
    payments = liar.service.payments
    row = payments.debit(call, wallet, incoming, more_msat=1_000)
    payments.credit(row, incoming)
    return reply(201, row.shown())


async def _credits_less(liar: Liar, call: Call, wallet: Wallet, incoming: Record) -> Reply | Cut:
    payments = liar.service.payments
    row = payments.debit(call, wallet, incoming)
    payments.credit(row, incoming)
    incoming.amount -= 1_000
    return reply(201, row.shown())


_PAID_BEFORE = refused("Payment already paid.", "success")
_INTERNAL_PAID_BEFORE = refused("Internal invoice already paid.")
_NO_ROUTE = refused("Payment failed: no route")
_SHORT = refused("Insufficient balance.")

EFFECTS: dict[Lie, Effect] = {
    Lie.TAKE_LATE: _late,
    Lie.CLAIM_PAID: _claims(RecordStatus.SUCCESS, pays=False),
    Lie.CLAIM_PENDING: _claims(RecordStatus.PENDING, pays=False),
    Lie.CLAIM_FAILED: _claims(RecordStatus.FAILED, pays=False),
    Lie.TAKE_AND_CLAIM_FAILED: _claims(RecordStatus.FAILED, pays=True),
    Lie.CLAIM_PAID_BEFORE: before(_PAID_BEFORE),
    Lie.TAKE_AND_CLAIM_PAID_BEFORE: after(_INTERNAL_PAID_BEFORE),
    Lie.CLAIM_REFUSED: before(_NO_ROUTE),
    Lie.TAKE_AND_CLAIM_REFUSED: after(_NO_ROUTE),
    Lie.CLAIM_SHORT: before(_SHORT),
    Lie.TAKE_AND_CLAIM_SHORT: after(_SHORT),
    Lie.OTHER_PAYMENT: _other_payment,
    Lie.PENDING_THEN_SETTLES: _pending(settles=True),
    Lie.PENDING_THEN_FAILS: _pending(settles=False),
    Lie.TAKE_AND_HIDE: _hide,
    Lie.TORN: _torn(),
    Lie.TORN_AND_FAILED: _torn(failed=True),
    Lie.TORN_AND_CLAIM_PAID: _torn(claims=True),
    Lie.CREDITED_ONLY: _within(_credited_only),
    Lie.DEBITS_MORE: _within(_debits_more),
    Lie.CREDITS_LESS: _within(_credits_less),
}
