"""What the payer needs of the books: each method is one durable step, or one look.

`SqlPayoutBooks` is the real thing. The payer's rules (`payer.py`, `payout_steps.py`) know no database: so they
can also be run in a simulation (tests/simulation), on books in memory that pass the same contract tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConflictError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.fault_points import CommitStep
from dca_daemon.ledger.db import Database, constraint
from dca_daemon.payouts import agenda, store
from dca_daemon.payouts.store import ACTOR, Payout
from dca_daemon.payouts.wallet import Invoice


class InvoiceReusedError(ConflictError):
    """The destination gave an invoice that another payout has already."""

    code = "invoice-reused"


@dataclass(frozen=True, slots=True)
class Waiting:
    """What there is to do now: payouts that are due, and clients with something owed and nothing in the way."""

    payout_ids: list[str]
    client_ids: list[int]


class PayoutBooks(Protocol):
    """The books as the payer sees them.

    A step states the state that it expects: when another process has moved the payout on meanwhile, it raises
    `SupersededError` and changes nothing. When the database is away, `DatabaseError`: the step was done or not.
    """

    async def waiting(self, limit: int) -> Waiting:
        """At most `limit` of each, what waits longest first."""

    async def seconds_to_next(self) -> float | None:
        """How long until the next open payout is due; None without one."""

    async def unpaid_sats(self) -> int:
        """What is still to leave the source wallet."""

    async def load(self, payout_id: str) -> Payout:
        """One payout. Raises `NotFoundError`."""

    async def reserve(self, client_id: int, *, max_sats: int) -> tuple[str, list[int]] | None:
        """Sets aside what is owed to a client for a new payout: its id and its records' ids.

        None when nothing is owed, or another process is at it.
        """

    async def invoiced(self, payout: Payout, invoice: Invoice) -> None:
        """Stores the invoice, before anything pays it. Raises `InvoiceReusedError`."""

    async def submitting(self, payout: Payout) -> None:
        """Writes down that the invoice is about to be submitted (again)."""

    async def unanswered(self, payout: Payout) -> None:
        """The request that was just made got no answer, and may still run."""

    async def unknown(self, payout: Payout, *, reason: str) -> None:
        """The outcome of a submitted payout could not be told."""

    async def settle(self, payout: Payout, *, fee_msat: int, evidence: dict[str, Any]) -> None:
        """The payout is proven: its records are paid."""

    async def release(self, payout: Payout, outcome: PayoutState, *, reason: str) -> None:
        """Ends a payout that paid nothing: its records are owed again."""

    async def hold(self, payout: Payout, *, reason: str, detail: dict[str, Any]) -> None:
        """Stops a payout until a person decides."""

    async def postpone(self, payout: Payout, *, seconds: float, reason: str, failed: bool = True) -> None:
        """Tries again later. `failed` makes the next interval longer."""


class SqlPayoutBooks:
    """The books in our database: one transaction a step. See `PayoutBooks`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def waiting(self, limit: int) -> Waiting:
        async with self._db.transaction() as conn:
            return Waiting(await agenda.due(conn, limit), await agenda.owed_clients(conn, limit))

    async def seconds_to_next(self) -> float | None:
        async with self._db.transaction() as conn:
            return await agenda.seconds_to_next(conn)

    async def unpaid_sats(self) -> int:
        async with self._db.transaction() as conn:
            return await agenda.unpaid_sats(conn)

    async def load(self, payout_id: str) -> Payout:
        async with self._db.transaction() as conn:
            return await store.load(conn, payout_id)

    async def reserve(self, client_id: int, *, max_sats: int) -> tuple[str, list[int]] | None:
        async def work(conn: AsyncConnection) -> tuple[str, list[int]] | None:
            return await store.reserve(conn, client_id, max_sats=max_sats, actor=ACTOR)

        try:
            return await self._db.run(work, step="payout.reserve")
        except IntegrityError as error:
            if constraint(error) in ("payout_one_open", "payout_record_once"):
                return None  # another payer was faster
            raise

    async def invoiced(self, payout: Payout, invoice: Invoice) -> None:
        try:
            await self._step("payout.invoiced", lambda conn: store.invoiced(conn, payout, invoice))
        except IntegrityError as error:
            if constraint(error) != "payout_payment_hash_key":
                raise
            raise InvoiceReusedError("the destination gave an invoice that it had given before") from None

    async def submitting(self, payout: Payout) -> None:
        await self._step("payout.submitting", lambda conn: store.submitting(conn, payout))

    async def unanswered(self, payout: Payout) -> None:
        await self._step("payout.unanswered", lambda conn: store.unanswered(conn, payout))

    async def unknown(self, payout: Payout, *, reason: str) -> None:
        await self._step(
            "payout.unknown",
            lambda conn: store.move(conn, payout, PayoutState.UNKNOWN, "unknown", {"reason": reason}),
        )

    async def settle(self, payout: Payout, *, fee_msat: int, evidence: dict[str, Any]) -> None:
        await self._step(
            "payout.settle",
            lambda conn: store.settle(conn, payout, fee_msat=fee_msat, evidence=evidence, actor=ACTOR),
        )

    async def release(self, payout: Payout, outcome: PayoutState, *, reason: str) -> None:
        await self._step(
            "payout.release", lambda conn: store.release(conn, payout, outcome, reason=reason, actor=ACTOR)
        )

    async def hold(self, payout: Payout, *, reason: str, detail: dict[str, Any]) -> None:
        await self._step("payout.hold", lambda conn: store.hold(conn, payout, reason=reason, detail=detail))

    async def postpone(self, payout: Payout, *, seconds: float, reason: str, failed: bool = True) -> None:
        await self._step(
            "payout.postpone",
            lambda conn: store.postpone(conn, payout, seconds=seconds, reason=reason, failed=failed),
        )

    async def _step(self, step: CommitStep, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
        await self._db.run(work, step=step)
