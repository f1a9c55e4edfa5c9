"""The double itself: an LNbits that can be told to lie, killed, and asked what really happened."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import httpx

from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.payouts.wallet import RecordStatus
from tests.lnbits_double import listing, lying, lying_invoices, lying_payments, lying_readings
from tests.lnbits_double.core import Core
from tests.lnbits_double.http import Call, Cut, Kind, Reply, read_call
from tests.lnbits_double.lies import Lie
from tests.lnbits_double.lying import Effect, Liar
from tests.lnbits_double.model import Direction, Move
from tests.lnbits_double.outside import OutsideInvoice, Route
from tests.lnbits_double.paying import Step
from tests.lnbits_double.service import Service
from tests.lnbits_double.transport import DoubleTransport

_EFFECTS: dict[Lie, Effect] = {
    **lying.EFFECTS,
    **lying_invoices.EFFECTS,
    **lying_payments.EFFECTS,
    **lying_readings.EFFECTS,
}
assert set(_EFFECTS) == set(Lie), "each lie has an effect"


class LnbitsDouble:
    """A scripted LNbits. See the package's docstring for how it is used."""

    def __init__(
        self,
        rng: random.Random,
        clock: Callable[[], datetime],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self.sleep = sleep
        self.core = Core(rng, clock)
        self.service = Service(self.core, sleep, self._pause)
        self.liar = Liar(self.service, sleep)
        self.down = False  # refuses connections
        self.calls: list[Call] = []  # all that arrived, in order
        self.told: list[tuple[Call, Lie]] = []
        self.policy: Callable[[Call], Lie | None] | None = None  # asked where no lie is scripted
        self.latency: Callable[[Call, Step], float] | None = None  # seconds that a call rests at each step
        self.on_kill: list[Callable[[], None]] = []
        self._lies: dict[Kind, deque[Lie]] = {kind: deque() for kind in Kind}
        self._running: set[asyncio.Task[Reply | Cut]] = set()

    # Lies

    def lie(
        self,
        *,
        create: Lie | None = None,
        pay: Lie | None = None,
        list: Lie | None = None,
        wallet: Lie | None = None,
        times: int = 1,
    ) -> None:
        """Scripts a lie for the next call of that kind, or the next `times` of them."""
        asked = {Kind.CREATE: create, Kind.PAY: pay, Kind.LIST: list, Kind.WALLET: wallet}
        for kind, lie in asked.items():
            if lie is not None:
                assert kind in lie.kinds, f"{lie} is no lie for {kind}"
                self._lies[kind].extend([lie] * times)

    def be_honest(self) -> None:
        """Forgets what is scripted, and the policy."""
        self.policy = None
        for scripted in self._lies.values():
            scripted.clear()

    # Money and records

    def create_wallet(self, name: str) -> WalletKeys:
        """A wallet of its own, empty."""
        return self.core.table.create_wallet(name)

    def delete_wallet(self, keys: WalletKeys) -> None:
        """Its keys are unknown from now on; its unpaid invoices stay payable."""
        self.core.table.wallets[keys.id].deleted = True

    def top_up(self, wallet_id: str, sats: int) -> None:
        """Gives the wallet that many sats out of nothing, in a record that is none of ours."""
        row = self.core.new_invoice(wallet_id, sats * 1_000, memo="Admin credit")
        row.status = RecordStatus.SUCCESS

    def balance_msat(self, key: str) -> int:
        """The balance of the wallet with that key, or id; deleted or not."""
        self.core.catch_up()
        return self.core.table.balance_msat(self._wallet_id(key))

    def records(self, key: str, **filters: str) -> list[dict[str, Any]]:
        """That wallet's payments as LNbits shows them, in the order of their making. `key` may be its id."""
        self.core.catch_up()
        query = [("limit", "0"), *filters.items()]
        call = Call(0, Kind.LIST, "GET", "", query, key, None)
        rows = self.core.table.by_wallet.get(self._wallet_id(key), [])
        found: list[dict[str, Any]] = listing.page(rows, call, self.core.clock()).json["data"]
        return found

    def moves(self, *, external_id: str | None = None, direction: Direction | None = None) -> list[Move]:
        """What really moved until now, whatever is recorded or answered."""
        self.core.catch_up()
        return [
            move
            for move in self.core.table.moves
            if external_id in (None, move.external_id) and direction in (None, move.direction)
        ]

    @property
    def on_money_moved(self) -> list[Callable[[Move], None]]:
        """Called at each move of money, as it happens."""
        return self.core.table.on_money_moved

    def outside_invoice(
        self,
        amount_sats: int,
        route: Route | None = None,
        *,
        expiry_seconds: int = 86_400,
        description_hash: str | None = None,
    ) -> OutsideInvoice:
        """An invoice of somebody elsewhere, and what will become of its payment."""
        return self.core.outside_invoice(
            amount_sats, route or Route(), expiry_seconds=expiry_seconds, description_hash=description_hash
        )

    def mark_failed(self, payment_hash: str) -> None:
        """The invoice's own record becomes failed, as when LNbits finds that it has expired."""
        row = self.core.table.incoming(payment_hash)
        assert row is not None and row.status is RecordStatus.PENDING
        row.status = RecordStatus.FAILED

    def repair(self, payment_hash: str) -> None:
        """What the operator of LNbits does about a torn payment: the receiver is credited after all."""
        incoming, outgoing = self.core.table.incoming(payment_hash), self.core.table.outgoing(payment_hash)
        assert incoming is not None and outgoing is not None
        self.service.payments.credit(outgoing, incoming)

    # Kills

    def kill(self) -> None:
        """Ends it where it is: nothing in execution goes on, connections break, none is accepted."""
        self.down = True
        for task in self._running:
            task.cancel()
        self._running.clear()
        self.core.killed()
        for callback in self.on_kill:
            callback()

    def restart(self) -> None:
        """Comes back after a kill, as LNbits with FakeWallet does: see `Core.restarted`."""
        self.core.restarted()
        self.down = False

    # Front ends

    def transport(self) -> httpx.AsyncBaseTransport:
        """For `LnbitsWallet(..., transport=...)`."""
        return DoubleTransport(self)

    async def handle(self, method: str, path: str, query: str, key: str | None, content: bytes) -> Reply | Cut:
        """One request. It is carried out in a task of its own: who gives up waiting does not stop it."""
        if self.down:
            return Cut.REFUSED
        call = read_call(len(self.calls) + 1, method, path, query, key, content)
        self.calls.append(call)
        lie = self._next_lie(call)
        if lie is Lie.REFUSE_CONNECTION:
            return Cut.REFUSED
        task = asyncio.create_task(self._carry_out(call, lie))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                return Cut.RESET  # killed
            raise

    async def _carry_out(self, call: Call, lie: Lie | None) -> Reply | Cut:
        if lie is None:
            return await self.service.carry_out(call)
        return await _EFFECTS[lie](self.liar, call)

    def _next_lie(self, call: Call) -> Lie | None:
        scripted = self._lies[call.kind]
        if scripted:
            lie: Lie | None = scripted.popleft()
        else:
            lie = self.policy(call) if self.policy is not None else None
        if lie is not None:
            assert call.kind in lie.kinds, f"{lie} is no lie for {call.kind}"
            self.told.append((call, lie))
        return lie

    async def _pause(self, call: Call, step: Step) -> None:
        await self.sleep(0.0 if self.latency is None else self.latency(call, step))

    def _wallet_id(self, key: str) -> str:
        for wallet in self.core.table.wallets.values():
            if key in (wallet.keys.id, wallet.keys.inkey, wallet.keys.adminkey):
                return wallet.keys.id
        raise KeyError("no wallet has that key")
