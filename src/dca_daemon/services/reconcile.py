"""Compares the books with LNbits, on both sides of each payment, and with Lamassu; says what differs.

Reads only, page by page, in bounded memory, and keeps a line of each run. What is under way meanwhile is no
difference: docs/reconcile.md tells why, and what each kind of difference means.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from dca_daemon.domain.errors import SourceError, WalletError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits_search import HASHES_MAX
from dca_daemon.payouts.wallet import PaymentBook
from dca_daemon.services.reconciliation import books, cash_outs, payments
from dca_daemon.services.reconciliation.findings import COMPARED, Findings, Kind, Reconciliation
from dca_daemon.services.reconciliation.receivers import Receivers

PARTS = ("cash-outs", "payments", "receivers", "books")


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared with one another."""

    db: Database
    book: PaymentBook
    keys: KeyRing
    source: cash_outs.Source


@dataclass(frozen=True, slots=True)
class ReconcileConfig:
    """`grace_seconds`: how long a success at Lamassu may take to be booked. `page_rows`: looked up at once."""

    grace_seconds: float = 10.0
    page_rows: int = HASHES_MAX


async def reconcile(
    sides: Sides, *, since: datetime | None = None, config: ReconcileConfig | None = None
) -> Reconciliation:
    """Compares. That LNbits or Lamassu is away is told in the result. Raises `DatabaseError` for our own."""
    return await _Run(sides, since, config or ReconcileConfig()).run()


class _Run:
    """One comparison, part by part."""

    def __init__(self, sides: Sides, since: datetime | None, config: ReconcileConfig) -> None:
        self._sides = sides
        self._since = since
        self._from = since or books.EVER
        self._config = config
        self._findings = Findings()
        self._not_compared: dict[str, str] = {}
        self._candidates: list[str] = []

    async def run(self) -> Reconciliation:
        began_at, began_seconds = datetime.now(UTC), time.monotonic()
        works: tuple[Callable[[], Awaitable[None]], ...] = (
            self._cash_outs,
            self._payments,
            self._receivers,
            self._books,
        )
        for part, work in zip(PARTS, works, strict=True):
            try:
                await work()
            except (WalletError, SourceError) as error:
                self._not_compared[part] = str(error)
        await self._look_again(began_seconds)
        found = self._findings
        return Reconciliation(
            began_at=began_at,
            since=self._since,
            compared={name: found.compared[name] for name in COMPARED},
            counts=dict(found.counts),
            differences=tuple(found.details),
            notes=found.notes,
            not_compared=self._not_compared,
        )

    async def _cash_outs(self) -> None:
        db, source = self._sides.db, self._sides.source
        self._candidates = await cash_outs.successes_are_booked(db, source, self._findings, since=self._from)
        await cash_outs.booked_is_there(
            db, source, self._findings, since=self._from, page_rows=self._config.page_rows
        )

    async def _payments(self) -> None:
        db, book, findings = self._sides.db, self._sides.book, self._findings
        page_rows, since = self._config.page_rows, self._from
        await books.note_unfinished(db, findings)
        await payments.settled_was_paid(db, book, findings, since=since, page_rows=page_rows)
        installation = await books.installation(db)
        await payments.paid_is_known(
            db, book, findings, installation=installation, since=since, page_rows=page_rows
        )

    async def _receivers(self) -> None:
        receivers = Receivers(
            db=self._sides.db,
            book=self._sides.book,
            keys=self._sides.keys,
            findings=self._findings,
            installation=await books.installation(self._sides.db),
            since=self._from,
            page_rows=self._config.page_rows,
        )
        await receivers.compare()

    async def _books(self) -> None:
        for check in await verify(self._sides.db):
            self._findings.compared["checks"] += 1
            if not check.holds:
                more = f" (and {len(check.findings) - 1} more)" if len(check.findings) > 1 else ""
                text = f"it does not hold that {check.text}: {check.findings[0]}{more}"
                self._findings.differs(Kind.BOOKS_BROKEN, text)

    async def _look_again(self, began_seconds: float) -> None:
        """What Lamassu showed as successful may have been seconds old: it is booked by now, or soon."""
        missing = await cash_outs.still_missing(self._sides.db, self._candidates)
        left_seconds = self._config.grace_seconds - (time.monotonic() - began_seconds)
        if missing and left_seconds > 0:
            await asyncio.sleep(left_seconds)
            missing = await cash_outs.still_missing(self._sides.db, list(missing))
        cash_outs.tell_missing(missing, self._findings)
