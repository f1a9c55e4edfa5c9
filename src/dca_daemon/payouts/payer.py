"""Drives every open payout to its end, and opens new ones for what is owed.

One loop looks into the tables what is due, and starts bounded tasks; each takes one payout as far as it goes
now (`payout_steps.py`). Signals only make it look earlier.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import DatabaseError, WalletError
from dca_daemon.ledger.db import Database, constraint, first_line
from dca_daemon.payouts import store
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.funds import SourceFunds
from dca_daemon.payouts.payout_steps import PayerConfig, PayoutSteps
from dca_daemon.payouts.store import ACTOR, SupersededError
from dca_daemon.payouts.wallet import Wallet

__all__ = ["Payer", "PayerConfig"]

log = structlog.get_logger()

_OUTAGE_INTERVAL_MAX_SECONDS = 5.0


class Payer:
    """Drives every open payout to its end, and opens new ones for what is owed."""

    def __init__(self, db: Database, wallet: Wallet, keys: KeyRing, config: PayerConfig) -> None:
        self._db = db
        self._config = config
        self.funds = SourceFunds(wallet, reserve_sats=config.wallet_reserve_sats)
        self._steps = PayoutSteps(db, wallet, keys, config, self.funds, self._lost)
        self._wake = asyncio.Event()
        self._outages = 0  # failed attempts in a row to reach LNbits; while > 0 nothing is started
        self.outage: str | None = None  # what keeps us from reaching LNbits
        self._busy: set[str] = set()  # what a task of ours is at: payout ids, and `client:<id>` while reserving

    def wake(self) -> None:
        """Something became owed: look at once."""
        self._wake.set()

    async def run(self, stop: asyncio.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Works until `stop` is set, then finishes the steps at hand. `beat` is called at each look."""
        async with asyncio.TaskGroup() as tasks:
            stopper = tasks.create_task(self._wake_on(stop))
            while not stop.is_set():
                self._wake.clear()
                beat()
                try:
                    if self._outages and not await self._reachable_again():
                        await self._pause(min(_OUTAGE_INTERVAL_MAX_SECONDS, 0.5 * 2**self._outages))
                        continue
                    started = await self._start_tasks(tasks)
                    wait = await self._wait_seconds()
                except DatabaseError as error:
                    log.warning("payer.waits", error=str(error))
                    started, wait = 0, self._config.idle_poll_seconds
                if not started:
                    await self._pause(wait)
            stopper.cancel()

    async def drain(self) -> None:
        """Does all that can be done now, and returns when nothing is due any more."""
        while True:
            async with asyncio.TaskGroup() as tasks:
                if not await self._start_tasks(tasks):
                    return

    async def _reachable_again(self) -> bool:
        try:
            await self.funds.refresh()
        except WalletError:
            self._outages += 1
            return False
        log.info("lnbits.back")
        self._outages, self.outage = 0, None
        return True

    def _lost(self, error: WalletError) -> None:
        if not self._outages:
            log.error("lnbits.lost", error=str(error))
        self._outages, self.outage = max(1, self._outages), str(error)

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _wait_seconds(self) -> float:
        if self._busy:
            return self._config.idle_poll_seconds  # a task that ends wakes us
        async with self._db.transaction() as conn:
            next_due = await store.seconds_to_next(conn)
        return min(self._config.idle_poll_seconds, next_due if next_due is not None else 3600.0) + 0.01

    async def _start_tasks(self, tasks: asyncio.TaskGroup) -> int:
        """Starts as many steps as there is room for; how many."""
        room = self._config.concurrency - len(self._busy)
        if room <= 0:
            return 0
        async with self._db.transaction() as conn:
            # Payouts on their way come before new ones: what is reserved should not stay so.
            found = [i for i in await store.due(conn, room + len(self._busy)) if i not in self._busy][:room]
            room -= len(found)
            clients = await store.owed_clients(conn, room + len(self._busy)) if room > 0 else []
        names = [f"client:{c}" for c in clients if f"client:{c}" not in self._busy][: max(room, 0)]
        for name in [*found, *names]:
            self._busy.add(name)
            tasks.create_task(self._task(name))
        return len(found) + len(names)

    async def _task(self, name: str) -> None:
        payout_id: str | None = name
        try:
            if name.startswith("client:"):
                payout_id = await self._reserve(int(name.removeprefix("client:")))
                if payout_id is None or payout_id in self._busy:
                    return
                self._busy.add(payout_id)
            assert payout_id is not None
            with structlog.contextvars.bound_contextvars(payout_id=payout_id):
                await self._steps.advance(payout_id)
        except SupersededError as error:
            log.info("payout.superseded", payout_id=payout_id, text=error.message)
        except DatabaseError as error:
            log.warning("payer.waits", error=str(error))
        except Exception as error:  # one payout's fault must not stop the others
            log.exception("payout.error", payout_id=payout_id)
            await self._put_aside(payout_id, error)
        finally:
            self._busy.discard(name)
            if payout_id is not None:
                self._busy.discard(payout_id)
            self._wake.set()

    async def _put_aside(self, payout_id: str | None, error: Exception) -> None:
        if payout_id is None or payout_id.startswith("client:"):
            await asyncio.sleep(_OUTAGE_INTERVAL_MAX_SECONDS)  # its client keeps its place: no busy loop
            return
        try:
            await self._steps.postpone(payout_id, f"{type(error).__name__}: {first_line(error)}", seconds=60)
        except DatabaseError as away:
            log.warning("payer.waits", error=str(away))

    async def _reserve(self, client_id: int) -> str | None:
        async def work(conn: AsyncConnection) -> tuple[str, list[int]] | None:
            return await store.reserve(conn, client_id, max_sats=self._config.max_payout_sats, actor=ACTOR)

        try:
            reserved = await self._db.run(work)
        except IntegrityError as error:
            if constraint(error) in ("payout_one_open", "payout_record_once"):
                return None  # another payer was faster
            raise
        if reserved is None:
            return None
        payout_id, record_ids = reserved
        log.info("payout.reserved", payout_id=payout_id, client_id=client_id, records=len(record_ids))
        return payout_id
