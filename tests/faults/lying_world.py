"""Real books and the real payer over an LNbits that lies, in time that passes only when told."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.payout import NEVER_SUBMITTED_STATES, PayoutState
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import bolt11
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.payouts.wallet import Destination, DestinationKind, Invoice
from dca_daemon.services import payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.payouts import PayoutView
from tests.lnbits_double import Call, Direction, Kind, Lie, LnbitsDouble, Route
from tests.payouts.one_round import OneRound
from tests.services.builders import client, sql

SOURCE_SATS = 50_000_000
NOTHING_PAID = (PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID)


class Clock:
    """The time of the double and of the pacer: the wall clock, and what was waited."""

    def __init__(self) -> None:
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Waits in no time."""
        self.advance(seconds)
        await asyncio.sleep(0)


class WatchedWallet(LnbitsWallet):
    """The real adapter, which notes for whom each invoice was made.

    A Lightning address it resolves to an invoice outside, whose payment goes by the next of `routes`.
    """

    double: LnbitsDouble
    client_of: dict[str, int]  # by payment hash
    routes: deque[Route]

    async def create_invoice(
        self,
        destination: Destination,
        *,
        amount_sats: int,
        memo: str,
        expiry_seconds: int,
        payout_id: str,
        extra: Mapping[str, object],
    ) -> Invoice:
        if destination.kind is DestinationKind.LIGHTNING_ADDRESS:
            outside = self.double.outside_invoice(amount_sats, self.routes.popleft())
            return bolt11.checked_invoice(outside.bolt11, amount_sats=amount_sats, now=datetime.now(UTC))
        invoice = await super().create_invoice(
            destination,
            amount_sats=amount_sats,
            memo=memo,
            expiry_seconds=expiry_seconds,
            payout_id=payout_id,
            extra=extra,
        )
        self.client_of.setdefault(invoice.payment_hash, int(str(extra["client"])))
        return invoice


@dataclass
class World:
    """Clients of equal deposits with wallets on the double, by their ids in the books."""

    db: Database
    keys: KeyRing
    clock: Clock
    double: LnbitsDouble
    source: WalletKeys
    receivers: dict[int, WalletKeys] = field(default_factory=dict)
    client_of: dict[str, int] = field(default_factory=dict)
    config: dict[str, object] = field(default_factory=dict)
    routes: deque[Route] = field(default_factory=deque)
    history: set[str] = field(default_factory=set)  # payouts that ended before the lies began

    def wallet(self) -> LnbitsWallet:
        """As a new process makes it: nothing known, no window of the rate limit begun."""
        made = WatchedWallet(
            LnbitsConfig(url="http://double.test", admin_key=self.source.adminkey, requests_per_minute=0),
            pacer=Pacer(0, clock=lambda: self.clock().timestamp(), sleep=self.clock.sleep),
            transport=self.double.transport(),
            now=self.clock,
            retry_wait_seconds=0,
        )
        made.double, made.client_of, made.routes = self.double, self.client_of, self.routes
        return made

    async def add_client(self) -> int:
        """A client with 20,000 GTQ and a wallet on the double."""
        client_id = await client(self.db, "20000")
        keys = self.double.create_wallet(f"client {client_id}")
        await sql(
            self.db,
            """UPDATE destination SET invoice_key_encrypted = :sealed
                WHERE id = (SELECT destination_id FROM client WHERE id = :client)""",
            sealed=self.keys.encrypt(keys.inkey),
            client=client_id,
        )
        self.receivers[client_id] = keys
        return client_id

    async def cash_out(self, *rows: SourceRow) -> None:
        await Intake(self.db, IntakeConfig()).process(rows)

    async def forget_what_was(self) -> None:
        """What has ended until now is history."""
        self.history = {p.payout_id for p in await payouts.list_all(self.db)}

    async def run(self, *, patient: bool = False) -> None:
        """A newly started payer takes every payout as far as it goes now, and opens new ones.

        One after the other, since waiting moves the clock. `patient`: all requests before count as over.
        """
        await sql(self.db, "UPDATE payout SET next_attempt_at = now() - interval '2 hours'")
        patience = {"lookup_after_timeout_seconds": -1} if patient else {}
        config = PayerConfig(concurrency=1, **{**self.config, **patience})  # type: ignore[arg-type]
        wallet = self.wallet()
        await Payer(OneRound(self.db), wallet, self.keys, config).drain()
        await wallet.close()

    def tell(self, lies: Mapping[int, Mapping[Kind, Lie]]) -> None:
        """From now on each client's calls are told these lies."""

        def policy(call: Call) -> Lie | None:
            client_id = self._whose(call)
            return None if client_id is None else lies.get(client_id, {}).get(call.kind)

        self.double.policy = policy

    def _whose(self, call: Call) -> int | None:
        if call.kind in (Kind.CREATE, Kind.PAY):
            return int(call.body["extra"]["client"])
        return self.client_of.get(call.asked("payment_hash") or "") if call.kind is Kind.LIST else None

    async def payouts_by_client(self) -> dict[int, list[PayoutView]]:
        """Those that are not history, the oldest first."""
        found: dict[int, list[PayoutView]] = {client_id: [] for client_id in self.receivers}
        for payout in sorted(await payouts.list_all(self.db, limit=1000), key=lambda p: p.created_at):
            if payout.payout_id not in self.history:
                found[payout.client_id].append(payout)
        return found

    async def outcomes(self) -> dict[int, str]:
        """What has become of what each client is owed."""
        return {client_id: outcome(theirs) for client_id, theirs in (await self.payouts_by_client()).items()}

    async def release_held(self) -> int:
        """The operator has LNbits credit what was torn, and releases whatever is held; how many."""
        released = 0
        for payout in await payouts.list_all(self.db, limit=1000):
            if payout.state is PayoutState.HELD:
                moved = {move.direction for move in self.double.moves(external_id=payout.payout_id)}
                if moved == {Direction.LEFT} and payout.payment_hash is not None:
                    self.double.repair(payout.payment_hash)
                await payouts.release(self.db, payout.payout_id, reason="looked into", actor="test")
                released += 1
        return released

    async def assert_sound(self) -> None:
        """Whatever was told: nobody was sent anything twice, nothing is called what it is not; the books hold."""
        moved: dict[Direction, list[str | None]] = {direction: [] for direction in Direction}
        for move in self.double.moves():
            moved[move.direction].append(move.external_id)
        for theirs in (await self.payouts_by_client()).values():
            for payout in theirs:
                left, arrived = (moved[direction].count(payout.payout_id) for direction in Direction)
                if payout.state is PayoutState.SETTLED:
                    assert (left, arrived) == (1, 1), f"settled, and did not happen so: {payout}"
                if payout.state in (*NOTHING_PAID, *NEVER_SUBMITTED_STATES):
                    assert (left, arrived) == (0, 0), f"something has moved: {payout}"
            for ids in moved.values():
                sent = [payout for payout in theirs for one in ids if one == payout.payout_id]
                assert len(sent) <= 1, f"the same records were paid twice: {sent}"
        assert [check for check in await verify(self.db) if not check.holds] == []


def outcome(theirs: Sequence[PayoutView]) -> str:
    """In a word; for a held payout with its reason."""
    assert theirs, "nothing was ever tried"
    last, before = theirs[-1], theirs[:-1]
    assert all(p.state in NOTHING_PAID for p in before), theirs
    if last.state is PayoutState.HELD:
        return f"held: {last.reason}"
    if last.state is PayoutState.SETTLED:
        return "paid anew" if before else "settled"
    return "owed" if last.state in NOTHING_PAID else "waits"


def is_outcome(found: str, expected: str) -> bool:
    """Whether it is the expected one; of a held payout the reason contains what is expected."""
    if expected.startswith("held: "):
        return found.startswith("held: ") and expected.removeprefix("held: ") in found
    return found == expected


async def make_world(db: Database, keys: KeyRing, clients: int, *, seed: int = 0) -> World:
    """With so many clients."""
    clock = Clock()
    double = LnbitsDouble(random.Random(seed), clock, clock.sleep)
    source = double.create_wallet("source")
    double.top_up(source.id, SOURCE_SATS)
    double.create_wallet("somebody else")
    world = World(db, keys, clock, double, source)
    for _ in range(clients):
        await world.add_client()
    return world
