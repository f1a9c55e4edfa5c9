"""Cash-outs entered by hand: what was settled outside of Lamassu, or otherwise than its row says.

An entry becomes a `cash_out` row of the source `manual` and goes through the same intake as any other. It may take
the place of another cash-out, which then is `settled-by-hand` for ever, whatever Lamassu says of it later.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import (
    MANUAL,
    MAX_CASH_OUT_SATS,
    CashOutState,
    ManualEntry,
    SourceRow,
    Verdict,
    classify,
)
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError, SourceError, at_field
from dca_daemon.domain.money import from_minor, parse_fiat, sats_text
from dca_daemon.domain.text import plain
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, execute, one, scalar
from dca_daemon.services import cash_outs, mirror, pools
from dca_daemon.services.audit import audit
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.decisions import a_reason, already, lock
from dca_daemon.services.intake import Intake, IntakeResult, Order, log_result
from dca_daemon.services.mirror import OPERATOR, Mirrored
from dca_daemon.services.pools import Place

log = structlog.get_logger()

_MAX_REFERENCE = 64
_PERCENT = re.compile(r"[0-9]{1,3}(\.[0-9]{1,8})?")


class Source(Protocol):
    """What this needs of Lamassu's database."""

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        """These rows, as they are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """As a person typed it. What is None comes from the cash-out that it settles."""

    fiat: str
    sats: int
    reason: str
    reference: str
    currency: str | None = None
    commission_percent: str | None = None
    discount: int | None = None
    machine: str | None = None
    at: datetime | None = None
    settles: str | None = None  # our number, or Lamassu's id


async def enter(
    db: Database, intake: Intake, entry: Entry, *, source: Source, actor: str, rehearse: bool = False
) -> CashOutView:
    """Books an entry by hand, and settles the cash-out whose place it takes.

    With `rehearse` it shows what would come of it, and changes nothing. Raises `InputError` for what can't be
    used, `ConflictError` for a reference that is taken or a cash-out that is distributed or settled already, and
    `SourceError` when Lamassu has to be asked for it and can't be.
    """
    _reference(entry.reference)
    a_reason(entry.reason)
    unknown = await ask(db, intake, entry, source=source)
    return await book(db, intake, entry, unknown=unknown, actor=actor, rehearse=rehearse)


async def ask(db: Database, intake: Intake, entry: Entry, *, source: Source) -> SourceRow | None:
    """Lamassu's row of the cash-out that the entry settles, where the books have none. Raises as `enter`."""
    return None if entry.settles is None else await _ask(db, source, entry.settles, intake)


async def book(
    db: Database,
    intake: Intake,
    entry: Entry,
    *,
    unknown: SourceRow | None,
    actor: str,
    rehearse: bool = False,
) -> CashOutView:
    """The same as `enter`, with what `ask` has found: nothing outside of the books is asked."""
    reference, reason = _reference(entry.reference), a_reason(entry.reason)

    async def work(conn: AsyncConnection) -> tuple[CashOutView, IntakeResult]:
        await execute(conn, "SELECT pg_advisory_xact_lock(:key)", key=lock_keys.MANUAL_ENTRY)
        await _require_new(conn, reference)
        text = f"settled by {reference!r}, entered by {actor}: {reason}"
        settled = None if entry.settles is None else await _settle(conn, entry.settles, unknown, text)
        device_id = await _device(conn, entry, settled)
        place = await pools.lock_place(conn, device_id)
        pools.require_decided(place, device_id)
        await pools.require_currency(conn, place.pool, entry.currency)
        known_as = ManualEntry(actor, reason, None if settled is None else settled.id)
        row = _row(entry, reference, place, device_id, settled, known_as)
        result = await intake.book(conn, [row], Order(actor, reason))
        cash_out_id = result.distributed[0].cash_out_id
        await _audit(conn, cash_out_id, row, settled, actor)
        return await cash_outs.whole(conn, cash_out_id), result

    if rehearse:
        return (await db.rehearse(work))[0]
    view, result = await db.run(work)
    log.info(
        "cash-out.entered",
        cash_out_id=view.summary.cash_out_id,
        external_id=reference,
        settles_id=view.summary.settles_id,
    )
    log_result(result)
    return view


def _reference(text: str) -> str:
    reference = " ".join(text.split())
    if not reference or not reference.isprintable() or len(reference) > _MAX_REFERENCE:
        raise InputError(
            f"{plain(text)!r} is no reference", remedy=f"use 1 to {_MAX_REFERENCE} characters", field="reference"
        )
    if reference.isdigit():
        raise InputError(
            "a reference of digits would be taken for our own number",
            remedy="write it like ticket-17",
            field="reference",
        )
    if _is_uuid(reference):
        raise InputError(
            "the reference is your own, such as a ticket's; not an id of Lamassu's",
            remedy="use --lamassu-id for that",
            field="reference",
        )
    return reference


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text.strip())
    except ValueError:
        return False
    return True


async def _require_new(conn: AsyncConnection, reference: str) -> None:
    taken = await scalar(
        conn,
        "SELECT id FROM cash_out WHERE source = :source AND lower(external_id) = lower(:reference)",
        source=MANUAL,
        reference=reference,
    )
    if taken is not None:
        raise ConflictError(
            f"the reference {reference!r} has been entered already, as cash-out {taken}",
            remedy=f"see: dca-daemon cash-out show {taken}",
            field="reference",
        )


async def _ask(db: Database, source: Source, settles: str, intake: Intake) -> SourceRow | None:
    """Lamassu's row, where the books do not have it: such as one that failed before the baseline."""
    async with db.transaction() as conn:
        try:
            with at_field("settles"):
                await cash_outs.find(conn, settles)
        except NotFoundError:
            if not _is_uuid(settles):
                raise
        else:
            return None
    external_id = str(uuid.UUID(settles.strip()))
    try:
        found = await source.fetch([external_id])
    except SourceError as error:
        raise SourceError(
            f"the books do not have cash-out {external_id}, and Lamassu can't be asked: {error.message}",
            remedy="try again when Lamassu's database can be reached",
        ) from error
    if not found:
        raise NotFoundError(f"neither the books nor Lamassu have a cash-out {external_id}", field="settles")
    if classify(found[0]).verdict is Verdict.SUCCESS:
        raise ConflictError(
            f"Lamassu has cash-out {external_id} as successful: the daemon is about to distribute it",
            remedy="nothing is to be entered by hand",
            field="settles",
        )
    # In a transaction of its own: that the machine is there is no part of what may be refused yet.
    await db.run(lambda conn: intake.know_machines(conn, found))
    return found[0]


async def _settle(conn: AsyncConnection, reference: str, unknown: SourceRow | None, text: str) -> Any:
    """Puts the cash-out out of reach of the intake, for ever; what it is now, in all columns."""
    try:
        with at_field("settles"):
            cash_out_id = await cash_outs.find(conn, reference)
    except NotFoundError:
        if unknown is None:
            raise
        place = await pools.lock_place(conn, unknown.device_id)
        taken = Mirrored(unknown, CashOutState.SETTLED_BY_HAND, OPERATOR, text, None)
        written = await mirror.write(conn, place.pool, [taken])
        cash_out_id = written[unknown.external_id].cash_out_id
        await mirror.write_log(conn, [mirror.event(cash_out_id, taken)])
        return await one(conn, "SELECT * FROM cash_out WHERE id = :id", id=cash_out_id)
    row = await lock(conn, cash_out_id)
    if row.state in (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND):
        with at_field("settles"):
            raise already(row)
    await mirror.move_to(conn, row.id, CashOutState.SETTLED_BY_HAND, OPERATOR, text)
    detail = {"from": row.state, "state": CashOutState.SETTLED_BY_HAND, "reason": OPERATOR, "text": text}
    await mirror.write_log(conn, [(row.id, "changed", detail)])
    return row


async def _device(conn: AsyncConnection, entry: Entry, settled: Any) -> str:
    if entry.machine is None:
        if settled is None:
            raise InputError(
                "at which machine was it?", remedy="add --machine; see: dca-daemon machine list", field="machine"
            )
        return str(settled.device_id)
    device_id = await pools.find_machine(conn, entry.machine)
    if settled is not None and settled.device_id != device_id:
        raise InputError(
            f"cash-out {settled.id} was at the machine {plain(settled.machine_name or settled.device_id)}",
            remedy="leave --machine out",
            field="machine",
        )
    return device_id


def _row(
    entry: Entry, reference: str, place: Place, device_id: str, settled: Any, known_as: ManualEntry
) -> SourceRow:
    """The entry, as if a source had told it."""
    if not 0 < entry.sats <= MAX_CASH_OUT_SATS:
        raise InputError(f"{sats_text(entry.sats)} is no amount of a cash-out", field="sats")
    at = entry.at or (None if settled is None else settled.happened_at)
    if at is None:
        raise InputError("when was it?", remedy="add --at, like 2026-01-31T14:05", field="at")
    if at > datetime.now(UTC):
        raise InputError(f"it can't have happened in the future: {at.isoformat()}", field="at")
    commission = None if settled is None else settled.commission_percentage
    discount = entry.discount
    if entry.commission_percent is not None:
        commission = _fraction(entry.commission_percent)
    elif settled is not None and discount is None:
        discount = settled.discount
    if commission is None:
        raise InputError(
            "what was the commission?", remedy="add --commission, in percent, like 5.5", field="commission_percent"
        )
    return SourceRow(
        source=MANUAL,
        external_id=reference,
        device_id=device_id,
        crypto_code="BTC" if settled is None else settled.crypto_code,
        crypto_atoms=Decimal(entry.sats),
        fiat=from_minor(parse_fiat(entry.fiat, place.pool.currency, field="fiat"), place.pool.currency),
        fiat_code=place.pool.currency,
        status=MANUAL,
        dispense=True,
        dispense_confirmed=True,
        redeem=False,
        error=None,
        error_code=None,
        created=at,
        confirmed_at=None,
        commission_percentage=commission,
        discount=discount,
        raw_ticker_price=None,
        fixed_fee=None,
        tx_version=0,
        dispensed_at=at,
        entry=known_as,
    )


def _fraction(percent: str) -> Decimal:
    """A commission as a part of 1, from percent as typed."""
    text = percent.strip()
    if not _PERCENT.fullmatch(text) or Decimal(text) > 100:
        raise InputError(
            f"{plain(percent)!r} is not a commission in percent, between 0 and 100",
            remedy="write it like 5.5",
            field="commission_percent",
        )
    return Decimal(text) / 100


async def _audit(conn: AsyncConnection, cash_out_id: int, row: SourceRow, settled: Any, actor: str) -> None:
    assert row.entry is not None
    after = {
        "reference": row.external_id,
        "fiat": format(row.fiat, "f"),
        "currency": row.fiat_code,
        "sats": int(row.crypto_atoms),
        "commission": row.commission_percentage,
        "discount": row.discount,
        "device_id": row.device_id,
        "at": row.created,
    }
    settles = (
        None if settled is None else {"settles_id": settled.id, "state": settled.state, "reason": settled.reason}
    )
    await audit(
        conn,
        actor=actor,
        action="cash-out.add",
        subject=f"cash-out:{cash_out_id}",
        before=settles,
        after=after,
        reason=row.entry.reason,
    )
