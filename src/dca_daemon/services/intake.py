"""Takes cash-outs into the books: mirrored, decided, split, shared and booked in one transaction.

    rows ──► by pool ──► lock ──► decide each row ──► share in order ──► write all, set by set

`process` may be given any row any number of times: what is booked stays booked once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.exc import DBAPIError

from dca_daemon.domain.allocation import allocate_flow
from dca_daemon.domain.cash_out import (
    BITCOIN_CODES,
    CashOutState,
    SourceRow,
    Verdict,
    classify,
    split_row,
)
from dca_daemon.domain.errors import BooksError, DatabaseError, DcaError, InputError
from dca_daemon.domain.split import Charge, Split, SplitMethod
from dca_daemon.fault_points import CommitStep
from dca_daemon.ledger.db import first_line, sqlstate
from dca_daemon.services import mirror
from dca_daemon.services.booking import Booking, SqlBooking, Transactions
from dca_daemon.services.distributions import Distributed
from dca_daemon.services.mirror import Known, Mirrored, Written
from dca_daemon.services.pools import Pool

log = structlog.get_logger()

ACTOR = "daemon"
# What the books themselves refuse. That our database is away is a `DatabaseError`, and passes through.
_REFUSALS = (DBAPIError, BooksError, InputError)


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """How cash-outs are split, and which coins count."""

    split_method: SplitMethod = SplitMethod.RECORDED
    charge: Charge = Charge.PRINCIPAL
    coins: tuple[str, ...] = BITCOIN_CODES


@dataclass(slots=True)
class IntakeResult:
    """What became of a batch."""

    distributed: list[Distributed] = field(default_factory=list)
    changed: list[Mirrored] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)

    def extend(self, other: IntakeResult) -> None:
        """Adds what another part of the batch came to."""
        self.distributed += other.distributed
        self.changed += other.changed
        self.duplicates += other.duplicates


class Intake:
    """One serialized writer per pool: every caller waits for the pool's lock."""

    def __init__(
        self, db: Transactions, config: IntakeConfig, booking: Callable[[Any], Booking] = SqlBooking
    ) -> None:
        self._db = db
        self._config = config
        self._booking = booking

    async def process(self, batch: Sequence[SourceRow]) -> IntakeResult:
        """Books a batch, all or nothing per pool; where that fails, row by row.

        A row that can't be booked alone is kept for review with the reason. Raises `DatabaseError` when our
        database is away: then nothing was changed.
        """
        try:
            result = await self._transaction("intake.book", batch)
        except _REFUSALS as error:
            _raise_if_ours(error)
            log.error("intake.batch-refused", rows=len(batch), error=_why(error))
            result = IntakeResult()
            for row in sorted(batch, key=_in_time):
                result.extend(await self._process_alone(row))
        _log_result(result)
        return result

    async def _process_alone(self, row: SourceRow) -> IntakeResult:
        try:
            return await self._transaction("intake.book-alone", [row])
        except _REFUSALS as error:
            _raise_if_ours(error)
            reason = _why(error)
            log.error("cash-out.refused", external_id=row.external_id, reason=reason)
        try:
            return await self._transaction("intake.keep-refused", [row], refused=reason)
        except _REFUSALS as error:  # not even its mirror can be written: what the books have of it stays
            log.error("cash-out.unwritable", external_id=row.external_id, reason=_why(error))
            return IntakeResult()

    async def _transaction(
        self, step: CommitStep, batch: Sequence[SourceRow], *, refused: str | None = None
    ) -> IntakeResult:
        return await self._db.run(lambda conn: self._book(self._booking(conn), batch, refused), step=step)

    async def _book(self, books: Booking, batch: Sequence[SourceRow], refused: str | None) -> IntakeResult:
        """The work itself. With `refused` the rows are not distributed but kept for review with that reason."""
        latest = {(row.source, row.external_id): row for row in batch}.values()
        pools = await books.pools_of_machines(latest)
        by_pool: dict[int, list[SourceRow]] = defaultdict(list)
        for row in latest:
            by_pool[pools[row.device_id].pool_id].append(row)
        result = IntakeResult()
        for _, pool_rows in sorted(by_pool.items()):
            pool = pools[pool_rows[0].device_id]
            result.extend(await self._book_pool(books, pool, pool_rows, refused))
        return result

    async def _book_pool(
        self, books: Booking, pool: Pool, pool_rows: list[SourceRow], refused: str | None
    ) -> IntakeResult:
        await books.lock_pool(pool.pool_id)
        known = await books.known(pool_rows)
        result = IntakeResult()
        to_share: list[tuple[Mirrored, Split, int]] = []
        for row in sorted(pool_rows, key=_in_time):
            before = known.get(row.external_id)
            mirrored, parts = self._decide(row, before, pool, refused)
            if not mirrored.differs:
                if mirrored.state is CashOutState.DISTRIBUTED:
                    result.duplicates.append(row.external_id)
                continue
            result.changed.append(mirrored)
            if parts is not None:
                to_share.append((mirrored, *parts))
        if result.duplicates:
            await books.count_duplicates(pool_rows[0].source, result.duplicates)
        if result.changed:
            written = await books.write(pool, result.changed)
            result.distributed = await self._distribute(books, pool, to_share, written)
            events = [mirror.event(written[m.row.external_id].cash_out_id, m) for m in result.changed]
            await books.write_log([*events, *(d.event for d in result.distributed)])
        return result

    def _decide(
        self, row: SourceRow, before: Known | None, pool: Pool, refused: str | None
    ) -> tuple[Mirrored, tuple[Split, int] | None]:
        """The state that the row gets, and its split when it is to be distributed now."""
        if before is not None and before.settled:
            return Mirrored(row, before.state, before.reason, before.reason_text, before), None
        found = classify(row, self._config.coins)
        if found.verdict is not Verdict.SUCCESS:
            return Mirrored(row, CashOutState(found.verdict), found.reason, found.text, before), None
        if refused is not None:
            return Mirrored(row, CashOutState.REVIEW, "refused", refused, before), None
        try:
            parts = split_row(
                row,
                pool_currency=pool.currency,
                method=self._config.split_method,
                charge=self._config.charge,
            )
        except InputError as error:
            return Mirrored(row, CashOutState.REVIEW, "unusable", str(error), before), None
        return Mirrored(row, CashOutState.DISTRIBUTED, found.reason, found.text, before), parts

    async def _distribute(
        self,
        books: Booking,
        pool: Pool,
        to_share: list[tuple[Mirrored, Split, int]],
        written: Mapping[str, Written],
    ) -> list[Distributed]:
        """Shares one after the other, each among what the ones before have left."""
        if not to_share:
            return []
        balances = await books.flow_balances(pool.pool_id)
        booked: list[Distributed] = []
        for mirrored, parts, fiat_minor in to_share:
            allocation = allocate_flow(parts.principal_sats, parts.charge_minor, balances)
            for share in allocation.shares:
                balances[share.client_id] -= share.fiat_minor
                if not balances[share.client_id]:
                    del balances[share.client_id]
            at = written[mirrored.row.external_id]
            booked.append(
                Distributed(mirrored.row, at.cash_out_id, at.happened_at, pool, parts, fiat_minor, allocation)
            )
        await books.distribute(booked, method=self._config.split_method, charge=self._config.charge, actor=ACTOR)
        return booked


def _in_time(row: SourceRow) -> tuple[datetime, str]:
    """The order in which cash-outs are shared: as they happened."""
    return row.dispensed_at or row.created, row.external_id


def _raise_if_ours(error: Exception) -> None:
    """A right or a table that is missing is no fault of a row: it must not put every cash-out into review."""
    if (sqlstate(error) or "").startswith("42"):
        raise DatabaseError(
            f"our database refuses the program itself: {first_line(error)}",
            remedy="check the role's rights and run: dca-daemon db check",
        ) from error


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, DcaError) else first_line(error)


def _log_result(result: IntakeResult) -> None:
    for external_id in result.duplicates:
        log.info("cash-out.duplicate", external_id=external_id)
    for mirrored in result.changed:
        if mirrored.state is CashOutState.REVIEW and mirrored.is_news:
            log.warning(
                "cash-out.review",
                external_id=mirrored.row.external_id,
                device_id=mirrored.row.device_id,
                reason=mirrored.reason,
                text=mirrored.text,
            )
        elif mirrored.contradiction is not None:
            log.error("cash-out.contradicted", external_id=mirrored.row.external_id, text=mirrored.contradiction)
    for d in result.distributed:
        log.info(
            "cash-out.distributed",
            cash_out_id=d.cash_out_id,
            external_id=d.row.external_id,
            device_id=d.row.device_id,
            total_sats=d.split.total_sats,
            principal_sats=d.split.principal_sats,
            commission_sats=d.split.commission_sats,
            house_sats=d.split.commission_sats + d.allocation.house_sats,
            fiat_minor=d.fiat_minor,
            charge_minor=d.split.charge_minor,
            currency=d.pool.currency,
            clients=len(d.allocation.shares),
        )
