"""How a cash-out that is not distributed would be shared now."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.allocation import allocate_flow
from dca_daemon.domain.cash_out import CashOutState, Verdict, classify, split_row
from dca_daemon.domain.commission import allocate_commission
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database, lock_pool, one, rows
from dca_daemon.services.booking import commission_terms, flow_balances
from dca_daemon.services.cash_outs import CommissionView, ShareView, SplitView, find, source_row
from dca_daemon.services.intake import IntakeConfig
from dca_daemon.services.pools import Pool


async def preview(
    db: Database, config: IntakeConfig, reference: str
) -> tuple[SplitView, list[ShareView], list[CommissionView]]:
    """How a cash-out that is not distributed would be shared now, by the same rules. Writes nothing.

    Raises `InputError` with the reason when it can't be distributed.
    """
    async with db.transaction() as conn:
        row = await one(conn, "SELECT * FROM cash_out WHERE id = :id", id=await find(conn, reference))
        if row.state in (CashOutState.DISTRIBUTED, CashOutState.SETTLED_BY_HAND):
            raise ConflictError(
                f"cash-out {row.id} is {row.state} already", remedy=f"see: dca-daemon cash-out show {row.id}"
            )
        where = await _pool_now(conn, row.device_id)
        taken = source_row(row)
        verdict = classify(taken)
        if verdict.verdict is Verdict.IGNORED:
            raise InputError(f"cash-out {row.id} is left out: {verdict.text}")
        method = config.method_for(taken)
        parts, fiat_minor = split_row(taken, pool_currency=where.currency, method=method, charge=config.charge)
        await lock_pool(conn, where.pool_id)
        balances = await flow_balances(conn, where.pool_id)
        allocation = allocate_flow(parts.principal_sats, parts.charge_minor, balances)
        terms = await commission_terms(conn)
        commission = allocate_commission(parts.commission_sats, terms.basis_points)
        names = {r.id: r.name for r in await rows(conn, "SELECT id, name FROM client")}
    clients_sats = sum(s.sats for s in allocation.shares)
    clients_minor = sum(s.fiat_minor for s in allocation.shares)
    view = SplitView(
        method=method,
        charge=config.charge,
        currency=where.currency,
        total_sats=parts.total_sats,
        principal_sats=parts.principal_sats,
        commission_sats=parts.commission_sats,
        commission_shared_sats=commission.shared_sats,
        commission_version_id=terms.version_id,
        clients_sats=clients_sats,
        uncovered_sats=allocation.house_sats,
        house_sats=commission.house_sats + allocation.house_sats,
        fiat_minor=fiat_minor,
        charge_minor=parts.charge_minor,
        clients_minor=clients_minor,
        uncovered_minor=allocation.house_minor,
        house_minor=fiat_minor - clients_minor,
    )
    shares = [
        ShareView(
            s.client_id, names[s.client_id], s.sats, s.fiat_minor, "preview", None, None, balances[s.client_id]
        )
        for s in allocation.shares
    ]
    receivers = [
        CommissionView(
            p.client_id, names[p.client_id], terms.basis_points[p.client_id], p.sats, "preview", None, None
        )
        for p in commission.parts
    ]
    return view, shares, receivers


async def _pool_now(conn: AsyncConnection, device_id: str) -> Pool:
    """The pool that a cash-out of this machine would be shared in."""
    found = await one(
        conn,
        "SELECT p.id, p.name, p.currency FROM machine m JOIN pool p ON p.id = m.pool_id WHERE m.device_id = :id",
        id=device_id,
    )
    return Pool(found.id, found.name, found.currency)
