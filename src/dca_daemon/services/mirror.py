"""The mirror of Lamassu's cash-outs in our books, written set by set, with a log of what happened to each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import CashOutState, SourceRow, Verdict, classify
from dca_daemon.ledger.db import execute, rows
from dca_daemon.services.filters import LEFT_OUT
from dca_daemon.services.pools import Pool

# No source row changes these states: the final ones, and what only a person may still have distributed.
_SETTLED = (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND, CashOutState.BEFORE_BASELINE)
OPERATOR = "operator"  # the reason of what a person has decided
REVERSED = "reversed"  # the reason of what was distributed and taken back: it waits for a person
AWAITS_POOL = "machine-awaits-pool"

Amounts = tuple[Decimal, Decimal, str]  # crypto_atoms, fiat, fiat_code


@dataclass(frozen=True, slots=True)
class Known:
    """What the books have of a cash-out."""

    cash_out_id: int
    state: CashOutState
    digest: str
    reason: str
    reason_text: str
    amounts: Amounts
    dispensed: bool  # whether the source had it as successful when we last looked

    @property
    def settled(self) -> bool:
        """Whether its state is no longer the source's to change.

        What a filter left out stays left out when the filter is gone: it is the past.
        """
        if self.state is CashOutState.IGNORED:
            return self.reason == OPERATOR or self.reason in LEFT_OUT
        return self.state in _SETTLED or (self.state is CashOutState.REVIEW and self.reason == REVERSED)


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A source row with the state that it gets."""

    row: SourceRow
    state: CashOutState
    reason: str
    text: str
    before: Known | None

    @property
    def differs(self) -> bool:
        """Whether there is anything to write."""
        return self.is_news or (self.before is not None and self.before.digest != self.row.digest)

    @property
    def is_news(self) -> bool:
        """Whether it is new to the books, or its state or reason is another than they had."""
        return self.before is None or (self.before.state, self.before.reason) != (self.state, self.reason)

    @property
    def contradiction(self) -> str | None:
        """What Lamassu says now against a distribution that was booked; None while it says nothing."""
        if self.before is None or self.before.state is not CashOutState.DISTRIBUTED:
            return None
        return contradicts(self.row, self.before.amounts, by_order=self.before.reason == OPERATOR)

    @property
    def succeeded_after_all(self) -> bool:
        """Whether Lamassu says only now that the notes came out, of what a person settled or ignored before."""
        before = self.before
        return (
            before is not None
            and not before.dispensed
            and self.row.dispense_confirmed is True
            and (before.state, before.reason) == (self.state, self.reason)
            and (before.state is CashOutState.SETTLED_BY_HAND or before.reason == OPERATOR)
        )


def contradicts(row: SourceRow, amounts: Amounts, *, by_order: bool) -> str | None:
    """What Lamassu's row says against a distribution of these amounts, in words; None while it agrees.

    `by_order`: a person had it distributed, who knew what else the row says, as long as the notes came out.
    """
    if (row.crypto_atoms, row.fiat, row.fiat_code) != amounts:
        return "its amounts have changed"
    if by_order and row.dispense_confirmed is True:
        return None
    now = classify(row)
    return None if now.verdict is Verdict.SUCCESS else now.text


async def known(conn: AsyncConnection, source_rows: Sequence[SourceRow]) -> dict[str, Known]:
    """What the books have of these rows (of one source), by external id; locked."""
    found = await rows(
        conn,
        """SELECT id, external_id, state, digest, reason, reason_text, crypto_atoms, fiat, fiat_code,
                  dispense_confirmed IS TRUE AS dispensed
             FROM cash_out
            WHERE source = :source AND external_id = ANY(:ids) ORDER BY id FOR UPDATE""",
        source=source_rows[0].source,
        ids=[row.external_id for row in source_rows],
    )
    return {
        r.external_id: Known(
            cash_out_id=r.id,
            state=CashOutState(r.state),
            digest=r.digest,
            reason=r.reason,
            reason_text=r.reason_text,
            amounts=(r.crypto_atoms, r.fiat, r.fiat_code),
            dispensed=r.dispensed,
        )
        for r in found
    }


_COLUMNS: dict[str, str] = {
    "source": "text",
    "external_id": "text",
    "digest": "text",
    "state": "text",
    "reason": "text",
    "reason_text": "text",
    "device_id": "text",
    "machine_name": "text",
    "crypto_code": "text",
    "crypto_atoms": "numeric",
    "fiat": "numeric",
    "fiat_code": "text",
    "commission_percentage": "numeric",
    "discount": "integer",
    "raw_ticker_price": "numeric",
    "fixed_fee": "numeric",
    "source_status": "text",
    "dispense": "boolean",
    "dispense_confirmed": "boolean",
    "redeem": "boolean",
    "error": "text",
    "error_code": "text",
    "created_at": "timestamptz",
    "confirmed_at": "timestamptz",
    "happened_at": "timestamptz",
    "entered_by": "text",
    "entry_reason": "text",
    "settles_id": "bigint",
}
_KEPT = (
    "source", "external_id", "happened_at", "machine_name", "entered_by", "entry_reason", "settles_id"
)  # fmt: skip
_FINAL = ("crypto_atoms", "fiat", "fiat_code")  # once distributed, the books keep what they shared
_TYPED = ", ".join(f"{c} {t}" for c, t in _COLUMNS.items())
_UNLESS_DISTRIBUTED = "CASE WHEN cash_out.state = 'distributed' THEN cash_out.{0} ELSE excluded.{0} END"
_UPSERT = f"""
    INSERT INTO cash_out ({", ".join(_COLUMNS)}, pool_id)
    SELECT {", ".join(c if c != "happened_at" else "coalesce(happened_at, now())" for c in _COLUMNS)}, :pool
      FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r ({_TYPED})
    ON CONFLICT (source, external_id) DO UPDATE SET
        {", ".join(f"{c} = excluded.{c}" for c in _COLUMNS if c not in (*_KEPT, *_FINAL))},
        {", ".join(f"{c} = {_UNLESS_DISTRIBUTED.format(c)}" for c in _FINAL)},
        machine_name = coalesce(excluded.machine_name, cash_out.machine_name),
        pool_id = CASE WHEN cash_out.state IN ('distributed', 'settled-by-hand') THEN cash_out.pool_id
                       ELSE excluded.pool_id END,
        happened_at = CASE WHEN cash_out.state IN (excluded.state, 'due') THEN cash_out.happened_at
                           ELSE excluded.happened_at END,
        updated_at = clock_timestamp()
    RETURNING id, external_id, happened_at
"""  # noqa: S608 - the names are our own constants


def _is_history(mirrored: Mirrored) -> bool:
    """What was successful before we looked happened long before it was first seen."""
    return mirrored.state is CashOutState.BEFORE_BASELINE


def _values(mirrored: Mirrored) -> dict[str, Any]:
    row, entry = mirrored.row, mirrored.row.entry
    special = {
        "state": mirrored.state,
        "reason": mirrored.reason,
        "reason_text": mirrored.text,
        "source_status": row.status,
        "created_at": row.created,
        "happened_at": row.dispensed_at or (row.created if _is_history(mirrored) else None),
        "entered_by": None if entry is None else entry.by,
        "entry_reason": None if entry is None else entry.reason,
        "settles_id": None if entry is None else entry.settles_id,
    }
    values = {c: special[c] if c in special else getattr(row, c) for c in _COLUMNS}
    # jsonb numbers would do, but NaN is no JSON: amounts travel as text.
    return {c: v if v is None or isinstance(v, bool | int) else str(v) for c, v in values.items()}


@dataclass(frozen=True, slots=True)
class Written:
    """A cash-out in the books: its id, and when it happened."""

    cash_out_id: int
    happened_at: datetime


async def move_to(conn: AsyncConnection, cash_out_id: int, state: CashOutState, reason: str, text: str) -> None:
    """What a person has decided about a cash-out, which must be locked."""
    await execute(
        conn,
        """UPDATE cash_out SET state = :state, reason = :reason, reason_text = :text,
                  updated_at = clock_timestamp()
            WHERE id = :id""",
        id=cash_out_id,
        state=state,
        reason=reason,
        text=text,
    )


async def count_duplicates(conn: AsyncConnection, source: str, external_ids: Sequence[str]) -> None:
    """Somebody tried to have these booked a second time."""
    await execute(
        conn,
        """UPDATE cash_out SET duplicates = duplicates + 1
            WHERE source = :source AND external_id = ANY(:ids)""",
        source=source,
        ids=list(external_ids),
    )


async def write(conn: AsyncConnection, pool: Pool, changed: Sequence[Mirrored]) -> dict[str, Written]:
    """Mirrors rows; what they are in the books, by external id."""
    found = await rows(conn, _UPSERT, pool=pool.pool_id, rows=json.dumps([_values(m) for m in changed]))
    return {r.external_id: Written(r.id, r.happened_at) for r in found}


Event = tuple[int, str, Mapping[str, Any]]


def event(cash_out_id: int, mirrored: Mirrored) -> Event:
    """The line of the processing log for a row that was mirrored."""
    row = mirrored.row
    detail = {
        "state": mirrored.state,
        "reason": mirrored.reason,
        "text": mirrored.text,
        "status": row.status,
        "tx_version": row.tx_version,
    }
    if mirrored.before is None:
        return cash_out_id, "seen", detail
    return cash_out_id, "changed", {"from": mirrored.before.state, **detail}


async def write_log(conn: AsyncConnection, events: Sequence[Event]) -> None:
    """Appends to the processing logs: (cash-out id, event, detail)."""
    await execute(
        conn,
        """INSERT INTO cash_out_log (cash_out_id, event, detail)
           SELECT * FROM unnest(CAST(:ids AS bigint[]), CAST(:events AS text[]),
                                CAST(:details AS jsonb[]))""",
        ids=[e[0] for e in events],
        events=[e[1] for e in events],
        details=[json.dumps(e[2], default=str) for e in events],
    )
