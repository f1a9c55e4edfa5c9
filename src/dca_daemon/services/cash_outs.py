"""Cash-outs as people look at them: the list, and one whole. What would come of one: `cash_out_preview`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import (
    CashOutState,
    ManualEntry,
    SourceRow,
)
from dca_daemon.domain.errors import ConflictError, NotFoundError
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, int_array, one, rows
from dca_daemon.ledger.pages import as_id, prefix_range
from dca_daemon.services import cash_out_pages
from dca_daemon.services.cash_out_pages import CashOutFilter
from dca_daemon.services.filters import LEFT_OUT


@dataclass(frozen=True, slots=True)
class CashOutSummary:
    """A line of the list. Amounts as the source has them."""

    cash_out_id: int
    source: str
    external_id: str
    happened_at: datetime
    device_id: str
    machine_name: str | None
    crypto_code: str
    crypto_atoms: Decimal
    fiat: Decimal
    fiat_code: str
    state: CashOutState
    reason: str
    reason_text: str
    clients: int | None
    client_sats: int | None
    settled_sats: int | None
    settles_id: int | None  # which cash-out this entry by hand settles
    settled_by_id: int | None  # which entry by hand has settled it


@dataclass(frozen=True, slots=True)
class ShareView:
    """What one client got of a cash-out, why, and where its payment stands.

    `weight_minor` is the fiat balance that its part was in proportion to: what it had in just before.
    """

    client_id: int
    client: str
    sats: int
    fiat_minor: int
    state: str
    payout_id: str | None
    payout_state: str | None
    weight_minor: int


@dataclass(frozen=True, slots=True)
class CommissionView:
    """What one receiver got of a cash-out's commission, and where its payment stands."""

    client_id: int
    receiver: str
    basis_points: int
    sats: int
    state: str
    payout_id: str | None
    payout_state: str | None


@dataclass(frozen=True, slots=True)
class SplitView:
    """How a cash-out was, or would be, split. Sats; fiat in minor units."""

    method: str
    charge: str
    currency: str
    total_sats: int
    principal_sats: int
    commission_sats: int
    commission_shared_sats: int
    commission_version_id: int | None
    clients_sats: int
    uncovered_sats: int
    house_sats: int
    fiat_minor: int
    charge_minor: int
    clients_minor: int
    uncovered_minor: int
    house_minor: int

    def __post_init__(self) -> None:
        # Asserted when read back, as it was when written.
        assert self.principal_sats + self.commission_sats == self.total_sats
        assert self.clients_sats + self.uncovered_sats == self.principal_sats
        assert self.clients_sats + self.commission_shared_sats + self.house_sats == self.total_sats
        assert self.clients_minor + self.house_minor == self.fiat_minor


@dataclass(frozen=True, slots=True)
class CashOutView:
    """One cash-out, whole: the source's row, the split in force, its shares, and what happened when."""

    summary: CashOutSummary
    source_row: Mapping[str, Any]
    split: SplitView | None
    shares: tuple[ShareView, ...]
    commission: tuple[CommissionView, ...]
    log: tuple[Mapping[str, Any], ...]
    distribution_id: int | None = None  # the one in force


_SUMMARY = """
    SELECT c.id AS cash_out_id, c.source, c.external_id, c.happened_at, c.device_id,
           coalesce(c.machine_name, m.name) AS machine_name, c.crypto_code, c.crypto_atoms, c.fiat, c.fiat_code,
           c.state, c.reason, c.reason_text, d.client_count AS clients,
           CASE WHEN d.id IS NOT NULL THEN d.principal_sats - d.uncovered_sats END AS client_sats,
           CASE WHEN d.id IS NOT NULL THEN (
               SELECT coalesce(sum(r.sats), 0)::bigint FROM distribution_record r
                WHERE r.distribution_id = d.id AND r.type <> 'commission'
                  AND r.state IN ('settled', 'nothing')) END AS settled_sats,
           c.settles_id, (SELECT s.id FROM cash_out s WHERE s.settles_id = c.id) AS settled_by_id
      FROM cash_out c
      LEFT JOIN machine m ON m.device_id = c.device_id
      LEFT JOIN distribution d ON d.cash_out_id = c.id AND d.reversed_at IS NULL
"""


def _summary(found: Any) -> CashOutSummary:
    values = dict(found._mapping)
    values["state"] = CashOutState(values["state"])
    return CashOutSummary(**values)


async def list_all(
    db: Database,
    *,
    states: Sequence[str] = (),
    device: str | None = None,
    coin: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    text: str | None = None,
    limit: int = 50,
    after: int | None = None,
) -> list[CashOutSummary]:
    """The newest cash-outs first, from after the one with the id `after` on. Filters: `CashOutFilter`.

    Raises `NotFoundError` for an `after` that is none.
    """
    wanted = CashOutFilter(states, device, coin, since, until, text)
    async with db.transaction() as conn:
        ids = await cash_out_pages.page_ids(conn, wanted, limit=limit, after=after)
        found = await rows(
            conn,
            f"{_SUMMARY} WHERE c.id = ANY(CAST(:ids AS bigint[])) ORDER BY c.happened_at DESC, c.id DESC",
            ids=int_array(ids),
        )
        return [_summary(r) for r in found]


async def count_by_state(db: Database) -> dict[str, int]:
    """How many wait: for a person (`review`), or for the next scan (`due`)."""
    async with db.transaction() as conn:
        return await cash_out_pages.states_waiting(conn)


async def left_out(
    db: Database, *, since: datetime | None = None, limit: int | None = None
) -> list[CashOutSummary]:
    """What filters have left out, in the order in which it happened; the first `limit` of it."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            f"""{_SUMMARY} WHERE c.state = 'ignored' AND c.reason = ANY(:reasons)
                  AND (CAST(:since AS timestamptz) IS NULL OR c.happened_at >= :since)
                ORDER BY c.happened_at, c.id LIMIT CAST(:limit AS bigint)""",
            limit=limit,
            reasons=list(LEFT_OUT),
            since=since,
        )
        return [_summary(r) for r in found]


async def find(conn: AsyncConnection, reference: str) -> int:
    """The id of the cash-out that a person named by our id, or by Lamassu's (or its beginning).

    Raises `NotFoundError`, and `ConflictError` where several begin so.
    """
    text = reference.strip().lower()
    first, last = prefix_range(text)
    found = await rows(
        conn,
        """SELECT id FROM cash_out WHERE id = CAST(:number AS bigint)
            UNION
           (SELECT id FROM cash_out WHERE lower(external_id) ~>=~ :first AND lower(external_id) ~<~ :last
               AND (length(:first) >= 6 OR lower(external_id) = :first) LIMIT 2)
            LIMIT 2""",
        number=as_id(text),
        first=first,
        last=last,
    )
    if not found:
        remedy = "see: dca-daemon cash-out list; of Lamassu's id give 6 characters or more"
        raise NotFoundError(f"there is no cash-out {plain(reference)!r}", remedy=remedy)
    if len(found) > 1:
        raise ConflictError(f"several cash-outs begin with {plain(reference)!r}: give more of the id")
    return int(found[0].id)


async def show(db: Database, reference: str) -> CashOutView:
    """One cash-out, whole."""
    async with db.transaction() as conn:
        return await whole(conn, await find(conn, reference))


async def whole(conn: AsyncConnection, cash_out_id: int) -> CashOutView:
    """The same, of a cash-out by our number, as this transaction sees it."""
    summary = _summary(await one(conn, f"{_SUMMARY} WHERE c.id = :id", id=cash_out_id))
    row = dict((await one(conn, "SELECT * FROM cash_out WHERE id = :id", id=cash_out_id))._mapping)
    distribution = await one(
        conn,
        """SELECT d.*, p.currency FROM distribution d JOIN pool p ON p.id = d.pool_id
            WHERE d.cash_out_id = :id AND d.reversed_at IS NULL""",
        id=cash_out_id,
    )
    shares = await _shares(conn, distribution.id) if distribution is not None else []
    commission = await _commission(conn, distribution.id) if distribution is not None else []
    return CashOutView(
        summary=summary,
        source_row=row,
        split=_split_view(distribution, shares) if distribution is not None else None,
        shares=tuple(shares),
        commission=tuple(commission),
        log=tuple(await _log(conn, cash_out_id)),
        distribution_id=None if distribution is None else distribution.id,
    )


def _split_view(d: Any, shares: list[ShareView]) -> SplitView:
    clients_sats = sum(s.sats for s in shares)
    clients_minor = sum(s.fiat_minor for s in shares)
    return SplitView(
        method=d.split_method,
        charge=d.charge,
        currency=d.currency,
        total_sats=d.total_sats,
        principal_sats=d.principal_sats,
        commission_sats=d.commission_sats,
        commission_shared_sats=d.commission_shared_sats,
        commission_version_id=d.commission_version_id,
        clients_sats=clients_sats,
        uncovered_sats=d.uncovered_sats,
        house_sats=d.commission_sats - d.commission_shared_sats + d.uncovered_sats,
        fiat_minor=d.fiat_minor,
        charge_minor=d.charge_minor,
        clients_minor=clients_minor,
        uncovered_minor=d.uncovered_minor,
        house_minor=d.fiat_minor - clients_minor,
    )


async def _shares(conn: AsyncConnection, distribution_id: int) -> list[ShareView]:
    found = await rows(
        conn,
        # A share that was charged nothing left no posting: then its balance is as the one before left it.
        """SELECT r.client_id, c.name AS client, r.sats, r.fiat_minor, r.state,
                  CAST(p.id AS text) AS payout_id, p.state AS payout_state,
                  coalesce(po.amount - po.balance_after,
                           (SELECT -b.balance_after FROM posting b
                             WHERE b.account_id = a.id AND b.entry_id < d.entry_id
                             ORDER BY b.account_version DESC LIMIT 1), 0) AS weight_minor
             FROM distribution_record r JOIN client c ON c.id = r.client_id
             JOIN distribution d ON d.id = r.distribution_id
             LEFT JOIN account a ON a.client_id = r.client_id AND a.pool_id = d.pool_id
                                AND a.purpose = 'client-fiat'
             LEFT JOIN posting po ON po.entry_id = d.entry_id AND po.account_id = a.id
             LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
             LEFT JOIN payout p ON p.id = pr.payout_id
            WHERE r.distribution_id = :id AND r.type <> 'commission' ORDER BY r.client_id""",
        id=distribution_id,
    )
    return [ShareView(**r._mapping) for r in found]


async def _commission(conn: AsyncConnection, distribution_id: int) -> list[CommissionView]:
    found = await rows(
        conn,
        """SELECT r.client_id, c.name AS receiver, s.basis_points, r.sats, r.state,
                  CAST(p.id AS text) AS payout_id, p.state AS payout_state
             FROM distribution_record r JOIN client c ON c.id = r.client_id
             JOIN distribution d ON d.id = r.distribution_id
             JOIN commission_share s ON s.version_id = d.commission_version_id AND s.client_id = r.client_id
             LEFT JOIN payout_record pr ON pr.record_id = r.id AND pr.active
             LEFT JOIN payout p ON p.id = pr.payout_id
            WHERE r.distribution_id = :id AND r.type = 'commission' ORDER BY r.client_id""",
        id=distribution_id,
    )
    return [CommissionView(**r._mapping) for r in found]


async def _log(conn: AsyncConnection, cash_out_id: int) -> list[Mapping[str, Any]]:
    """The processing log, with the steps of the payouts that pay its records."""
    found = await rows(
        conn,
        """SELECT at, event, detail, NULL AS payout_id FROM cash_out_log WHERE cash_out_id = :id
           UNION ALL
           SELECT l.at, 'payout ' || l.event, l.detail, CAST(l.payout_id AS text)
             FROM payout_log l
            WHERE l.payout_id IN (SELECT pr.payout_id FROM payout_record pr
                                    JOIN distribution_record r ON r.id = pr.record_id
                                    JOIN distribution d ON d.id = r.distribution_id
                                   WHERE d.cash_out_id = :id)
           ORDER BY at, payout_id NULLS FIRST""",
        id=cash_out_id,
    )
    return [dict(r._mapping) for r in found]


def source_row(row: Any) -> SourceRow:
    """The source's row as the books have kept it, from all columns of `cash_out`."""
    version = row.digest.partition(":")[0]
    entered = row.entered_by is not None
    return SourceRow(
        source=row.source,
        external_id=row.external_id,
        device_id=row.device_id,
        machine_name=row.machine_name,
        crypto_code=row.crypto_code,
        crypto_atoms=row.crypto_atoms,
        fiat=row.fiat,
        fiat_code=row.fiat_code,
        status=row.source_status,
        dispense=row.dispense,
        dispense_confirmed=row.dispense_confirmed,
        redeem=row.redeem,
        error=row.error,
        error_code=row.error_code,
        created=row.created_at,
        confirmed_at=row.confirmed_at,
        commission_percentage=row.commission_percentage,
        discount=row.discount,
        raw_ticker_price=row.raw_ticker_price,
        fixed_fee=row.fixed_fee,
        tx_version=int(version) if version else 0,
        dispensed_at=row.happened_at,
        entry=ManualEntry(row.entered_by, row.entry_reason, row.settles_id) if entered else None,
    )
