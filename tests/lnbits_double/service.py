"""LNbits as it is when nobody lies: what each call does, and how it answers.

Modelled on LNbits 1.6.2 with FakeWallet, by experiment; the contract tests
(tests/payouts/test_wallet_contract.py) compare the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from tests.lnbits_double import listing
from tests.lnbits_double.core import DEFAULT_EXPIRY_SECONDS, Core
from tests.lnbits_double.http import OPENAPI, Call, Kind, Reply, detail, refused, reply
from tests.lnbits_double.model import Wallet
from tests.lnbits_double.paying import Pause, Payments, Step

VERSION = "1.6.2"
MAX_INVOICE_SATS = 10_000_000
MAX_MEMO_BYTES, MAX_EXTERNAL_ID = 639, 256  # what an invoice holds; LNbits' own limit is 640 characters


class Service:
    """LNbits' API over a core."""

    def __init__(self, core: Core, sleep: Callable[[float], Awaitable[object]], pause: Pause) -> None:
        self.core = core
        self.payments = Payments(core, sleep, pause)
        self._pause = pause

    async def carry_out(self, call: Call) -> Reply:
        """Does what is asked, and gives LNbits' answer."""
        self.core.catch_up()
        if call.kind is Kind.OTHER:
            return _other(call)
        await self._pause(call, Step.RECEIVED)
        self.core.catch_up()
        if call.key is None:
            return detail(401, "No Api Key provided.")
        if call.kind is Kind.PAY:
            return await self.payments.pay(call)
        async with self.core.database:
            wallet = self.core.table.of_key(call.key)
            if wallet is None:
                return detail(404, "Wallet not found.")
            if call.kind is Kind.CREATE:
                return self._create(call, wallet)
            return self._list(call, wallet) if call.kind is Kind.LIST else self._wallet(call, wallet)

    def _wallet(self, call: Call, wallet: Wallet) -> Reply:
        body = {"name": wallet.name, "balance": self.core.table.balance_msat(wallet.keys.id)}
        return reply(200, {**body, "id": wallet.keys.id} if call.key == wallet.keys.adminkey else body)

    def _list(self, call: Call, wallet: Wallet) -> Reply:
        rows = self.core.table.by_wallet.get(wallet.keys.id, [])
        asked = call.asked("payment_hash")
        if asked is not None:  # only faster
            rows = [row for row in self.core.table.by_hash.get(asked, ()) if row.wallet_id == wallet.keys.id]
        return listing.page(rows, call, self.core.clock())

    def _create(self, call: Call, wallet: Wallet) -> Reply:
        body = call.body
        memo, external_id, amount = body.get("memo") or "LNbits", body.get("external_id"), body.get("amount")
        if len(memo.encode()) > MAX_MEMO_BYTES:
            return detail(400, [{"loc": ["body", "memo"], "msg": "ensure this value has at most 640 characters"}])
        if external_id and (len(external_id) > MAX_EXTERNAL_ID or any(one.isspace() for one in external_id)):
            return detail(400, [{"loc": ["body", "external_id"], "msg": "Invalid external id."}])
        if amount is None:
            return detail(500, "Unexpected error! ID: double")
        if not amount > 0:
            return refused("Amountless invoices not supported.")
        sats = int(amount)  # as LNbits does: 1.7 is 1
        if sats > MAX_INVOICE_SATS:
            return refused(f"Invoice amount {sats} sats is too high. Max allowed: {MAX_INVOICE_SATS} sats.")
        row = self.core.new_invoice(
            wallet.keys.id,
            sats * 1_000,
            memo=memo,
            expiry_seconds=body.get("expiry") or DEFAULT_EXPIRY_SECONDS,
            extra=body.get("extra") or {},
            external_id=external_id,
        )
        return reply(201, row.shown())


def _other(call: Call) -> Reply:
    if (call.method, call.path) == ("GET", OPENAPI):
        return reply(200, {"info": {"title": "LNbits API", "version": VERSION}})
    return detail(404, "Not Found")
