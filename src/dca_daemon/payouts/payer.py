"""Drives every open payout to its end, and opens new ones for what is owed.

One loop looks into the tables what is due, and starts bounded tasks; each takes one payout as far as it goes
now (`payout_steps.py`). Signals only make it look earlier.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

import structlog

from dca_daemon.domain.errors import DatabaseError, WalletError, WalletUnknownError
from dca_daemon.ledger.db import first_line
from dca_daemon.payouts.books import PayoutBooks
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.clock import now_seconds
from dca_daemon.payouts.funds import SourceFunds
from dca_daemon.payouts.payout_steps import OUTAGE_INTERVAL_MAX_SECONDS, PayerConfig, PayoutSteps
from dca_daemon.payouts.store import SupersededError
from dca_daemon.payouts.wallet import Wallet

__all__ = ["Payer", "PayerConfig"]

log = structlog.get_logger()

T = TypeVar("T")

_PROBE_SECONDS = 60.0  # well below the age at which our sign of life counts as missing
_LOOK_SECONDS = 60.0  # how often an idle payer looks whether LNbits and its key still work
_ASIDE_SECONDS = 60.0
_CLIENT = "client:"


class Preparation(Protocol):
    """What must be done before anything is paid."""

    def begin(self) -> None:
        """This is the daemon that pays from now on."""

    async def seconds_to_wait(self, beat: Callable[[], None]) -> float:
        """Does it; 0 when it is done, else when to call again. Raises a `WalletError` or `DatabaseError`."""


class Payer:
    """Drives every open payout to its end, and opens new ones for what is owed."""

    def __init__(
        self,
        books: PayoutBooks,
        wallet: Wallet,
        keys: KeyRing,
        config: PayerConfig,
        preparation: Preparation | None = None,
    ) -> None:
        self._books = books
        self._preparation = preparation
        self._prepared = preparation is None
        self._config = config
        self.funds = SourceFunds(wallet, reserve_sats=config.wallet_reserve_sats)
        self._steps = PayoutSteps(books, wallet, keys, config, self.funds, self._lost)
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._outages = 0  # failed attempts in a row to reach LNbits; while > 0 nothing is started
        self.outage: str | None = None  # what keeps us from reaching LNbits
        self._look_at_seconds = 0.0
        self._waited = False  # for our own database
        # What each task of ours is at: a payout's id, or `client:<id>` while reserving.
        self._busy: set[str] = set()
        self._aside: dict[str, float] = {}  # what went wrong unexpectedly: until when it is left alone

    def wake(self) -> None:
        """Something became owed: look at once."""
        self._wake.set()

    def nudge(self) -> None:
        """Something may have become owed. At work we look again after each task by ourselves, and most of what is
        heard then is our own doing."""
        if not self._busy:
            self.wake()

    async def run(self, stop: asyncio.Event, beat: Callable[[], None] = lambda: None) -> None:
        """Works until `stop` is set, then finishes the steps at hand. `beat` is called at each look."""
        self._steps.began_seconds = now_seconds()
        self._stopping.clear()
        if self._preparation is not None:
            self._preparation.begin()
            self._prepared = False
        async with asyncio.TaskGroup() as tasks:
            stopper = tasks.create_task(self._wake_on(stop))
            while not stop.is_set():
                self._wake.clear()
                beat()
                try:
                    if self._outages and not await self._reachable_again():
                        # The exponent is bounded too: 2**1024, after an hour and a half, is no float any more.
                        await self._pause(min(OUTAGE_INTERVAL_MAX_SECONDS, 0.5 * 2 ** min(self._outages, 10)))
                        continue
                    if not self._busy and not self._outages and now_seconds() >= self._look_at_seconds:
                        await self._look()
                        continue
                    if not self._prepared and not await self._prepare(beat):
                        continue
                    started = await self._start_tasks(tasks)
                    wait = await self._wait_seconds()
                    if not started and not self._busy:
                        self._resumes()
                except DatabaseError as error:
                    self._waits(error)
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

    async def _prepare(self, beat: Callable[[], None]) -> bool:
        """Whether paying may begin. Does not outlast a stop."""
        assert self._preparation is not None
        try:
            wait = await self._unless_stopping(self._preparation.seconds_to_wait(beat))
        except WalletError as error:
            await self._unprepared(error)
            return False
        except DatabaseError:
            raise
        except Exception:  # nothing may be paid, but cash-outs are booked meanwhile
            log.exception("recovery.error")
            await _wait(self._stopping, _ASIDE_SECONDS)
            return False
        if wait is None:
            return False
        self.outage = None
        self._prepared = wait <= 0
        if not self._prepared:
            await _wait(self._stopping, min(wait, self._config.idle_poll_seconds))
        return self._prepared

    async def _unprepared(self, error: WalletError) -> None:
        """LNbits did not tell what it knows: is it LNbits that fails, or only this?"""
        trouble = await self._trouble()
        if self._stopping.is_set():
            return
        if trouble is not None:
            self._lost(trouble)
            return
        if self.outage is None:
            log.error("recovery.failed", error=str(error))
        self.outage = str(error)
        await _wait(self._stopping, OUTAGE_INTERVAL_MAX_SECONDS * random.uniform(0.75, 1.0))  # noqa: S311 - jitter

    async def _unless_stopping(
        self, work: Coroutine[Any, Any, T], *, timeout_seconds: float | None = None
    ) -> T | None:
        """What comes of the work; None when a stop, or the time-out, comes first."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({working, stopping}, timeout=timeout_seconds, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for task in (working, stopping):
                task.cancel()
            await asyncio.gather(working, stopping, return_exceptions=True)

    async def _reachable_again(self) -> bool:
        if await self._trouble() is not None:
            self._outages += 1
            return False
        log.info("lnbits.back")
        self._outages, self.outage = 0, None
        return True

    async def _look(self) -> None:
        """Finds a wrong address, a wrong key or an outage before there is something to pay."""
        trouble = await self._trouble()
        self._look_at_seconds = now_seconds() + _LOOK_SECONDS
        if trouble is not None and not self._stopping.is_set():
            self._lost(trouble)

    async def _trouble(self) -> WalletError | None:
        """Reads the source wallet's balance; what keeps us from it. Does not outlast a stop."""
        try:
            balance_msat = await self._unless_stopping(self.funds.refresh(), timeout_seconds=_PROBE_SECONDS)
        except WalletError as error:
            return error
        except Exception as error:  # a fault of the program: cash-outs are booked all the same
            log.exception("lnbits.error")
            return WalletUnknownError(f"the source wallet can't be read: {type(error).__name__}")
        if balance_msat is None:
            return WalletUnknownError("LNbits does not answer", remedy="check that it runs, and lnbits.url")
        return None

    def _lost(self, error: WalletError) -> None:
        if not self._outages:
            log.error("lnbits.lost", error=str(error))
        self._outages, self.outage = max(1, self._outages), str(error)

    def _waits(self, error: DatabaseError | str) -> None:
        self._waited = True
        log.warning("payer.waits", error=str(error))

    def _resumes(self) -> None:
        """A step was done, or nothing waits for one: our database is well (again)."""
        if self._waited:
            self._waited = False
            log.info("payer.resumed")

    async def _wake_on(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping.set()
        self._wake.set()

    async def _rest(self) -> None:
        """Keeps a task's place for a while, so that what can't work now does not come round at once."""
        await _wait(self._stopping, OUTAGE_INTERVAL_MAX_SECONDS)

    async def _pause(self, seconds: float) -> None:
        await _wait(self._wake, seconds)

    async def _wait_seconds(self) -> float:
        if self._busy:
            return self._config.idle_poll_seconds  # a task that ends wakes us
        next_due = await self._books.seconds_to_next()
        return min(self._config.idle_poll_seconds, next_due if next_due is not None else 3600.0) + 0.01

    async def _start_tasks(self, tasks: asyncio.TaskGroup) -> int:
        """Starts as many steps as there is room for; how many."""
        room = self._config.concurrency - len(self._busy)
        if room <= 0:
            return 0
        now = now_seconds()
        self._aside = {name: until for name, until in self._aside.items() if until > now}
        skipped = self._busy | self._aside.keys()
        waiting = await self._books.waiting(room + len(skipped))
        # Payouts on their way come before new ones: what is reserved should not stay so.
        names = [*waiting.payout_ids, *(f"{_CLIENT}{client_id}" for client_id in waiting.client_ids)]
        chosen = [name for name in names if name not in skipped][:room]
        for name in chosen:
            self._busy.add(name)
            tasks.create_task(self._task(name))
        return len(chosen)

    async def _task(self, name: str) -> None:
        payout_id = None if name.startswith(_CLIENT) else name
        try:
            if payout_id is None:
                payout_id = await self._take_up(int(name.removeprefix(_CLIENT)))
            if payout_id is not None:
                with structlog.contextvars.bound_contextvars(payout_id=payout_id):
                    await self._steps.advance(payout_id)
            self._resumes()
        except SupersededError as error:
            log.info("payout.superseded", payout_id=payout_id, text=error.message)
        except DatabaseError as error:
            self._waits(error)
            await self._rest()
        except Exception as error:  # one payout's fault must not stop the others
            log.exception("payout.error", payout_id=payout_id or name)
            await self._put_aside(name, payout_id, error)
        finally:
            self._busy -= {name, payout_id or name}
            self._wake.set()

    async def _put_aside(self, name: str, payout_id: str | None, error: Exception) -> None:
        """Leaves it alone for a while. Never raises: it would end the payer, and so all other payouts."""
        self._aside[payout_id or name] = now_seconds() + _ASIDE_SECONDS
        if payout_id is None:
            return
        try:
            reason = f"{type(error).__name__}: {first_line(error)}"
            await self._steps.postpone(payout_id, reason, seconds=_ASIDE_SECONDS)
        except Exception as trouble:  # noqa: BLE001 - it stays aside, though its reason is not in the books
            self._waits(first_line(trouble))

    async def _take_up(self, client_id: int) -> str | None:
        """A new payout for what a client is owed; None where there is none, or another task has it already."""
        payout_id = await self._reserve(client_id)
        if payout_id is None or payout_id in self._busy:
            return None
        self._busy.add(payout_id)
        self._busy.discard(f"{_CLIENT}{client_id}")  # each task has one place of `concurrency`
        return payout_id

    async def _reserve(self, client_id: int) -> str | None:
        reserved = await self._books.reserve(client_id, max_sats=self._config.max_payout_sats)
        if reserved is None:
            return None
        payout_id, record_ids = reserved
        log.info("payout.reserved", payout_id=payout_id, client_id=client_id, records=len(record_ids))
        return payout_id


async def _wait(event: asyncio.Event, seconds: float) -> None:
    """Until the event is set, at most so long."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
