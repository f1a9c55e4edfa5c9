"""Before the daemon pays anything: what LNbits knows, and the books do not, is taken into the books.

On the usual start this is one request to LNbits that finds nothing. After an old dump was restored, or a
standby took over that had missed the last second, a request of the lost process may still run: then the list
is read a second time, after `patience_seconds`, before anything is paid.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger import which_copy
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.clock import now_seconds
from dca_daemon.services.recovery import Fate, Found, PaymentSource, Search

log = structlog.get_logger()


class Recoverer:
    """Implements `payer.Preparation`."""

    def __init__(self, db: Database, wallet: PaymentSource, keys: KeyRing, *, patience_seconds: float) -> None:
        self._db = db
        self._wallet = wallet
        self._keys = keys
        self._patience_seconds = patience_seconds
        self._began_seconds = 0.0
        self._listed_early = False  # the list was read, but a request of another process might still run
        self._told: set[str] = set()
        self._counts: dict[Fate, int] = {}
        self._adopted_sats = 0

    def begin(self) -> None:
        """This daemon has become the one that pays."""
        self._began_seconds = now_seconds()
        self._listed_early = False
        self._told.clear()
        self._counts.clear()
        self._adopted_sats = 0

    async def seconds_to_wait(self, beat: Callable[[], None]) -> float:
        """Searches, and says how long to wait before the next call; 0: all is known, and paying may begin.

        Raises a `WalletError` or `DatabaseError`: then it is called again.
        """
        patient_in = self._began_seconds + self._patience_seconds - now_seconds()
        if self._listed_early and patient_in > 0:
            return patient_in
        async with self._db.transaction() as conn:
            another = await which_copy.is_another(conn)
        async for found in Search(self._db, self._wallet, self._keys).run(beat=beat):
            self._tell(found)
        changed = any(self._counts.get(fate) for fate in Fate if fate is not Fate.STRAY)
        if patient_in > 0 and (another or changed):
            self._listed_early = True
            log.warning("recovery.waits", seconds=round(patient_in), another_copy=another)
            return patient_in
        await self._db.run(self._remember)
        if self._counts:
            counts = {fate.value: count for fate, count in self._counts.items()}
            log.error("recovery.done", **counts, adopted_sats=self._adopted_sats)
        return 0

    @staticmethod
    async def _remember(conn: AsyncConnection) -> None:
        await which_copy.remember(conn)

    def _tell(self, found: Found) -> None:
        if found.payment_hash in self._told:  # a stray is found each time
            return
        self._told.add(found.payment_hash)
        self._counts[found.fate] = self._counts.get(found.fate, 0) + 1
        facts = {
            "payout_id": found.payout_id,
            "payment_hash": found.payment_hash,
            "client_id": found.paid_client_id,
            "amount_sats": found.amount_sats,
            "paid_at": found.paid_at.isoformat(),
            "status": found.status,
        }
        if found.fate is Fate.STRAY:
            log.error("recovery.stray", **facts, reason=found.text)
        elif found.fate is Fate.REINSTATED:
            log.error("recovery.reinstated", **facts, reason=found.text)
        else:
            self._adopted_sats += found.amount_sats
            log.error("recovery.adopted", **facts, held=found.fate is Fate.HELD, reason=found.text or None)
