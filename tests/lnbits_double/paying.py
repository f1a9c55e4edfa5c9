"""How LNbits pays: within itself in two commits, outside through its node."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from enum import StrEnum

from dca_daemon.payouts.wallet import RecordStatus
from tests.lnbits_double.core import Core
from tests.lnbits_double.http import Call, Reply, detail, refused, reply
from tests.lnbits_double.model import INTERNAL, Direction, Record, Wallet
from tests.lnbits_double.outside import OutsideInvoice

RESERVE_MIN_MSAT, RESERVE_PERCENT = 2_000, 1


class Step(StrEnum):
    """Where a call can be interrupted, and other calls may get in between."""

    RECEIVED = "received"
    CHECKED = "checked"  # a payment's first connection to the database is given back
    DEBITED = "debited"  # the first commit of an internal payment: the receiver has nothing yet
    SENT = "sent"  # an external payment is with the node
    DONE = "done"  # before the answer


Pause = Callable[[Call, Step], Awaitable[None]]


class Payments:
    """LNbits' payments. `pause` is awaited at each step."""

    def __init__(self, core: Core, sleep: Callable[[float], Awaitable[object]], pause: Pause) -> None:
        self._core = core
        self._table = core.table
        self._sleep = sleep
        self._pause = pause
        self.node_wait_seconds = 5.0  # so long LNbits waits for its node, before it says "pending"

    async def pay(self, call: Call) -> Reply:
        """A pay call, from its key to its answer."""
        async with self._core.database:
            wallet = self._table.of_key(call.key)
            if wallet is None:
                return detail(404, "Wallet not found.")
            if call.key != wallet.keys.adminkey:
                return detail(403, "Invoice (or Admin) key required.")
            text = call.body.get("bolt11") if isinstance(call.body, dict) else None
            if not text:
                return detail(400, "Missing BOLT11 invoice")
            incoming, invoice = self._table.invoice(text), None
            if incoming is None:
                invoice = self._core.read(text)
                if invoice is None:
                    return refused("Bolt11 decoding failed.")
                incoming = self._table.incoming(invoice.payment_hash)
            if incoming is not None and incoming.status is RecordStatus.SUCCESS:
                return refused("Internal invoice already paid.")
        await self._pause(call, Step.CHECKED)
        async with self._core.database:
            if incoming is not None and incoming.status is RecordStatus.PENDING:
                return await self._pay_within(call, wallet, incoming)
            if invoice is None:
                assert incoming is not None
                invoice = OutsideInvoice(text, incoming.payment_hash, incoming.amount, route=None)
            return await self._pay_outside(call, wallet, invoice)

    async def _pay_within(self, call: Call, wallet: Wallet, incoming: Record) -> Reply:
        if incoming.bolt11 != call.body["bolt11"].lower():
            return refused("Invalid invoice. Bolt11 changed.")
        if self._table.balance_msat(wallet.keys.id) < incoming.amount:
            return refused("Insufficient balance.")
        if self._table.outgoing(incoming.payment_hash) is not None:
            return detail(400, "Payment already exists")  # torn, and the receiver's record still pending
        row = self.debit(call, wallet, incoming)
        await self._pause(call, Step.DEBITED)
        self.credit(row, incoming)
        if self._table.wallets[incoming.wallet_id].deleted:
            return refused(f"Could not fetch wallet '{incoming.wallet_id}'.")
        await self._pause(call, Step.DONE)
        return reply(201, row.shown())

    def debit(self, call: Call, wallet: Wallet, incoming: Record, *, more_msat: int = 0) -> Record:
        """The first commit: it has left the source."""
        row = self.outgoing_record(call, wallet, incoming.payment_hash, incoming.amount + more_msat)
        row.checking_id = INTERNAL + row.payment_hash
        row.status, row.preimage, row.memo = RecordStatus.SUCCESS, incoming.preimage, incoming.memo
        self._table.add(row)
        self._core.moved(Direction.LEFT, row, wallet.keys.id)
        return row

    def credit(self, row: Record, incoming: Record) -> None:
        """The second commit: the receiver has it."""
        incoming.status = RecordStatus.SUCCESS
        self._core.moved(Direction.ARRIVED, row, incoming.wallet_id)

    def outgoing_record(self, call: Call, wallet: Wallet, payment_hash: str, amount_msat: int) -> Record:
        """A new pending record of the source, not yet in the table."""
        now = self._core.clock()
        return Record(
            checking_id=payment_hash,
            payment_hash=payment_hash,
            wallet_id=wallet.keys.id,
            amount=-amount_msat,
            bolt11=call.body["bolt11"],
            time=now,
            expiry=now,
            extra=call.body.get("extra") or {},
            external_id=call.body.get("external_id"),
        )

    async def _pay_outside(self, call: Call, wallet: Wallet, invoice: OutsideInvoice) -> Reply:
        balance_msat = self._table.balance_msat(wallet.keys.id)
        reserve_msat = max(RESERVE_MIN_MSAT, invoice.amount_msat * RESERVE_PERCENT // 100)
        if balance_msat < invoice.amount_msat:
            return refused("Insufficient balance.")
        if balance_msat < invoice.amount_msat + reserve_msat:
            sats = round(reserve_msat / 1000)
            return refused(f"You must reserve at least ({sats}  sat) to cover potential routing fees.")
        before = self._table.outgoing(invoice.payment_hash) or self._table.incoming(invoice.payment_hash)
        if before is not None:
            return self._tried_before(before)
        row = self.outgoing_record(call, wallet, invoice.payment_hash, invoice.amount_msat)
        row.fee = -reserve_msat
        self._table.add(row)
        if invoice.route is None:
            row.status = RecordStatus.FAILED
            return refused("Payment failed: Only internal invoices can be used!")
        ends_at = self._send(row, invoice)
        await self._pause(call, Step.SENT)
        if invoice.route.called_failed:
            row.status = RecordStatus.FAILED
        elif row.status is RecordStatus.PENDING:
            seconds = (ends_at - self._core.clock()).total_seconds()
            await self._sleep(min(self.node_wait_seconds, seconds))
            self._core.catch_up()
        if row.status is RecordStatus.FAILED:
            return refused("Payment failed: no route")
        return reply(201, row.shown())

    def _send(self, row: Record, invoice: OutsideInvoice) -> datetime:
        """Hands a payment to the node, which carries it on whatever becomes of LNbits; when it will be over."""
        route = invoice.route
        assert route is not None

        def over() -> None:
            if route.settles:
                self._core.moved(Direction.LEFT, row, row.wallet_id)
                self._core.moved(Direction.ARRIVED, row, None)
            if row.status is RecordStatus.PENDING:
                self.hear(row)

        ends_at = self._core.node.send(invoice, self._core.clock())
        self._core.later(route.after_seconds, over, outlives_kill=True)
        self._core.catch_up()
        return ends_at

    def hear(self, row: Record) -> RecordStatus | None:
        """LNbits learns from its node what became of an external payment, and writes it down."""
        status = self._core.node.status(row.payment_hash, self._core.clock())
        if status in (RecordStatus.SUCCESS, RecordStatus.FAILED):
            row.status = status
        if status is RecordStatus.SUCCESS:
            route = self._core.node.invoices[row.bolt11].route
            row.fee = -route.fee_msat if route else 0
        return status

    def _tried_before(self, row: Record) -> Reply:
        if row.status is RecordStatus.PENDING:
            return refused("Payment is still pending.", "pending")
        if row.status is RecordStatus.SUCCESS:
            return refused("Payment already paid.", "success")
        if row.amount > 0:  # the receiver's own record
            forgotten = row.payment_hash not in self._core.known
        else:
            status = self.hear(row)
            if status is RecordStatus.SUCCESS:
                return refused("Failed payment was already paid on the fundingsource.", "success")
            forgotten = status is RecordStatus.FAILED
        if forgotten:
            return refused("Payment is failed node, retrying is not possible.")
        return reply(201, row.shown())
