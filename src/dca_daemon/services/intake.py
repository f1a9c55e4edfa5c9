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
    MANUAL,
    CashOutState,
    SourceRow,
    Verdict,
    classify,
    split_row,
)
from dca_daemon.domain.commission import allocate_commission
from dca_daemon.domain.errors import BooksError, ConflictError, DatabaseError, DcaError, InputError
from dca_daemon.domain.split import Charge, Split, SplitMethod
from dca_daemon.fault_points import CommitStep
from dca_daemon.ledger.db import first_line, sqlstate
from dca_daemon.services import mirror
from dca_daemon.services.booking import Booking, SqlBooking, Transactions
from dca_daemon.services.distributions import Distributed
from dca_daemon.services.filters import Filters
from dca_daemon.services.mirror import AWAITS_POOL, OPERATOR, Known, Mirrored, Written
from dca_daemon.services.pools import Place, Pool, require_decided

log = structlog.get_logger()

ACTOR = "daemon"
# What the books themselves refuse. That our database is away is a `DatabaseError`, and passes through.
_REFUSALS = (DBAPIError, BooksError, InputError)


@dataclass(frozen=True, slots=True)
class IntakeConfig:
    """How cash-outs are split, and whether those of a new machine wait for somebody to put it into a pool."""

    split_method: SplitMethod = SplitMethod.RECORDED
    charge: Charge = Charge.PRINCIPAL
    new_machines_wait: bool = False

    def method_for(self, row: SourceRow) -> SplitMethod:
        """How this row is split: what was entered by hand has a commission and no ticker."""
        return SplitMethod.RECORDED if row.source == MANUAL else self.split_method


@dataclass(frozen=True, slots=True)
class Order:
    """A person's: to distribute, whatever the filters, the baseline or a review say."""

    actor: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Terms:
    """How a batch is taken: by the daemon's own rules, or as a person ordered, or as refused before."""

    filters: Filters
    order: Order | None = None
    refused: str | None = None

    @property
    def actor(self) -> str:
        return ACTOR if self.order is None else self.order.actor


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
            for row in sorted(batch, key=in_time):
                result.extend(await self._process_alone(row))
        log_result(result)
        return result

    async def book(self, conn: Any, rows: Sequence[SourceRow], order: Order | None = None) -> IntakeResult:
        """Books rows of one source within a transaction of the caller's, who logs the result once it is committed.

        With an order all of them are distributed: raises `InputError` and `ConflictError` where that can't be.
        """
        return await self._book(self._booking(conn), rows, order=order)

    async def know_machines(self, conn: Any, rows: Sequence[SourceRow]) -> None:
        """Records the machines of rows that nothing else is done with yet."""
        await self._booking(conn).pools_of_machines(rows, new_wait=self._config.new_machines_wait)

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
        return await self._db.run(lambda conn: self._book(self._booking(conn), batch, refused=refused), step=step)

    async def _book(
        self, books: Booking, batch: Sequence[SourceRow], *, order: Order | None = None, refused: str | None = None
    ) -> IntakeResult:
        """The work itself. With `refused` the rows are not distributed but kept for review with that reason."""
        latest = {(row.source, row.external_id): row for row in batch}.values()
        places = await books.pools_of_machines(latest, new_wait=self._config.new_machines_wait)
        terms = _Terms(await books.filters(), order, refused)
        by_pool: dict[int, list[SourceRow]] = defaultdict(list)
        for row in latest:
            by_pool[places[row.device_id].pool.pool_id].append(row)
        result = IntakeResult()
        for _, pool_rows in sorted(by_pool.items()):
            result.extend(await self._book_pool(books, places, pool_rows, terms))
        return result

    async def _book_pool(
        self, books: Booking, places: Mapping[str, Place], pool_rows: list[SourceRow], terms: _Terms
    ) -> IntakeResult:
        pool = places[pool_rows[0].device_id].pool
        await books.lock_pool(pool.pool_id)
        known = await books.known(pool_rows)
        result = IntakeResult()
        to_share: list[tuple[Mirrored, Split, int]] = []
        for row in sorted(pool_rows, key=in_time):
            before = known.get(row.external_id)
            mirrored, parts = self._decide(row, before, places[row.device_id], terms)
            if not mirrored.differs:
                if mirrored.state in (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND):
                    result.duplicates.append(row.external_id)
                continue
            result.changed.append(mirrored)
            if parts is not None:
                to_share.append((mirrored, *parts))
        if result.duplicates:
            await books.count_duplicates(pool_rows[0].source, result.duplicates)
        if result.changed:
            written = await books.write(pool, result.changed)
            result.distributed = await self._distribute(books, pool, to_share, written, terms.actor)
            events = [mirror.event(written[m.row.external_id].cash_out_id, m) for m in result.changed]
            await books.write_log([*events, *(d.event for d in result.distributed)])
        return result

    def _decide(
        self, row: SourceRow, before: Known | None, place: Place, terms: _Terms
    ) -> tuple[Mirrored, tuple[Split, int] | None]:
        """The state that the row gets, and its split when it is to be distributed now."""
        if terms.order is not None:
            return self._obey(row, before, place, terms.order)
        if before is not None and before.settled:
            return Mirrored(row, before.state, before.reason, before.reason_text, before), None
        found = classify(row)
        if found.verdict in (Verdict.FAILED, Verdict.IGNORED):
            return Mirrored(row, CashOutState(found.verdict), found.reason, found.text, before), None
        left_out = terms.filters.leaves_out(row, place.pool)
        if left_out is not None:
            return Mirrored(row, CashOutState.IGNORED, *left_out, before), None
        if found.verdict is Verdict.REVIEW:
            return Mirrored(row, CashOutState.REVIEW, found.reason, found.text, before), None
        if place.awaiting:
            text = "its machine is new, and nobody has decided on its pool yet"
            return Mirrored(row, CashOutState.REVIEW, AWAITS_POOL, text, before), None
        if terms.refused is not None:
            return Mirrored(row, CashOutState.REVIEW, "refused", terms.refused, before), None
        try:
            parts = self._split(row, place.pool)
        except InputError as error:
            return Mirrored(row, CashOutState.REVIEW, "unusable", str(error), before), None
        return Mirrored(row, CashOutState.DISTRIBUTED, found.reason, found.text, before), parts

    def _obey(
        self, row: SourceRow, before: Known | None, place: Place, order: Order
    ) -> tuple[Mirrored, tuple[Split, int]]:
        """To be distributed, whatever it was before; but never twice, and never what was not dispensed."""
        if before is not None and before.state in (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND):
            raise ConflictError(
                f"cash-out {before.cash_out_id} is {before.state} already",
                remedy=f"see: dca-daemon cash-out show {before.cash_out_id}",
            )
        if row.crypto_code not in BITCOIN_CODES:
            raise InputError(f"{row.crypto_code} is not bitcoin: it can't be shared")
        if row.dispense_confirmed is not True:
            raise InputError(
                "Lamassu does not say that its notes came out",
                remedy="if you settled it, enter what came of it: dca-daemon cash-out add --lamassu-id",
            )
        require_decided(place, row.device_id)
        text = f"by hand, {order.actor}: {order.reason}"
        return Mirrored(row, CashOutState.DISTRIBUTED, OPERATOR, text, before), self._split(row, place.pool)

    def _split(self, row: SourceRow, pool: Pool) -> tuple[Split, int]:
        return split_row(
            row,
            pool_currency=pool.currency,
            method=self._config.method_for(row),
            charge=self._config.charge,
        )

    async def _distribute(
        self,
        books: Booking,
        pool: Pool,
        to_share: list[tuple[Mirrored, Split, int]],
        written: Mapping[str, Written],
        actor: str,
    ) -> list[Distributed]:
        """Shares one after the other, each among what the ones before have left."""
        if not to_share:
            return []
        balances = await books.flow_balances(pool.pool_id)
        terms = await books.commission_terms()
        seen_before = [written[m.row.external_id].cash_out_id for m, _, _ in to_share if m.before is not None]
        reversed_before = await books.times_reversed(seen_before) if seen_before else {}
        booked: list[Distributed] = []
        for mirrored, parts, fiat_minor in to_share:
            allocation = allocate_flow(parts.principal_sats, parts.charge_minor, balances)
            for share in allocation.shares:
                balances[share.client_id] -= share.fiat_minor
                if not balances[share.client_id]:
                    del balances[share.client_id]
            at = written[mirrored.row.external_id]
            booked.append(
                Distributed(
                    row=mirrored.row,
                    cash_out_id=at.cash_out_id,
                    happened_at=at.happened_at,
                    pool=pool,
                    split=parts,
                    fiat_minor=fiat_minor,
                    allocation=allocation,
                    commission=allocate_commission(parts.commission_sats, terms.basis_points),
                    terms=terms,
                    times_reversed=reversed_before.get(at.cash_out_id, 0),
                )
            )
        method = self._config.method_for(booked[0].row)  # a batch has rows of one source only
        await books.distribute(booked, method=method, charge=self._config.charge, actor=actor)
        return booked


def in_time(row: SourceRow) -> tuple[datetime, str]:
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


def log_result(result: IntakeResult) -> None:
    """Tells what became of a batch, once it is committed."""
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
        elif mirrored.succeeded_after_all:
            log.warning("cash-out.succeeded-after-all", external_id=mirrored.row.external_id, text=mirrored.text)
    for d in result.distributed:
        log.info(
            "cash-out.distributed",
            cash_out_id=d.cash_out_id,
            external_id=d.row.external_id,
            device_id=d.row.device_id,
            total_sats=d.split.total_sats,
            principal_sats=d.split.principal_sats,
            commission_sats=d.split.commission_sats,
            commission_shared_sats=d.commission.shared_sats,
            house_sats=d.house_sats,
            fiat_minor=d.fiat_minor,
            charge_minor=d.split.charge_minor,
            currency=d.pool.currency,
            clients=len(d.allocation.shares),
        )
