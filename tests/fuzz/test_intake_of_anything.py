"""Batches of good and bad rows into real books: a bad row is kept with its reason, and changes nothing else."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dca_daemon.domain.allocation import allocate_flow
from dca_daemon.domain.cash_out import CashOutState, SourceRow, split_row
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.ledger.db import Database, rows
from dca_daemon.ledger.verify import verify
from dca_daemon.services.booking import flow_balances
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.pools import DEFAULT_POOL_ID
from tests.fixtures.postgres import TestDb
from tests.fuzz.choices import DrawnChoices
from tests.fuzz.targets_rows import source_row
from tests.services.builders import client, success

KEPT = "SELECT state, reason, reason_text FROM cash_out WHERE external_id = :id"
SHARES = """
    SELECT r.client_id, r.sats, r.fiat_minor
      FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
      JOIN cash_out c ON c.id = d.cash_out_id WHERE c.external_id = :id ORDER BY r.client_id"""
REFUSED = (CashOutState.REVIEW, CashOutState.FAILED, CashOutState.IGNORED)
ABSURD_SATS = 10**12  # a few cash-outs of all bitcoin fill the account of coins: another matter


def test_bad_rows_are_kept_and_change_nothing_else(books_db: TestDb) -> None:
    runner = asyncio.Runner()
    db = Database(books_db.sqlalchemy_url, pool_size=2)

    @settings(
        max_examples=25,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.integers(1, 3), st.integers(1, 5))
    def any_batch(data: st.DataObject, good_count: int, odd_count: int) -> None:
        choices = DrawnChoices(data)
        good = [_good(choices, n) for n in range(good_count)]
        odd = [source_row(choices, str(uuid.uuid4())) for _ in range(odd_count)]
        odd = [r for r in odd if not r.crypto_atoms.is_finite() or r.crypto_atoms < ABSURD_SATS]
        runner.run(_check(db, good, odd))

    try:
        any_batch()
    finally:
        runner.run(db.close())
        runner.close()


async def _check(db: Database, good: Sequence[SourceRow], odd: Sequence[SourceRow]) -> None:
    await client(db, "5000")
    batch = sorted([*odd, *good], key=lambda r: (r.dispensed_at or r.created, r.external_id))
    async with db.transaction() as conn:
        balances = await flow_balances(conn, DEFAULT_POOL_ID)
    await Intake(db, IntakeConfig()).process(batch)
    for row in batch:
        async with db.transaction() as conn:
            (kept,) = await rows(conn, KEPT, id=row.external_id)
            shares = [tuple(r) for r in await rows(conn, SHARES, id=row.external_id)]
        if kept.state != CashOutState.DISTRIBUTED:
            assert row not in good and not shares
            assert kept.state in REFUSED and kept.reason and kept.reason_text
        else:  # what it would get alone: its part of what those before it have left
            assert shares == _expected(row, balances)
    assert [check for check in await verify(db) if not check.holds] == []


def _expected(row: SourceRow, balances: dict[int, int]) -> list[tuple[int, int, int]]:
    """The row's shares; what they cost is taken off the balances."""
    parts, _ = split_row(row, pool_currency="GTQ", method=SplitMethod.RECORDED, charge=Charge.PRINCIPAL)
    allocation = allocate_flow(parts.principal_sats, parts.charge_minor, balances)
    for share in allocation.shares:
        balances[share.client_id] -= share.fiat_minor
        if not balances[share.client_id]:
            del balances[share.client_id]
    return [(share.client_id, share.sats, share.fiat_minor) for share in allocation.shares]


def _good(choices: DrawnChoices, n: int) -> SourceRow:
    usual = success()
    assert usual.dispensed_at is not None
    return success(
        crypto_atoms=Decimal(choices.integer(1, 10**9)),
        fiat=Decimal(choices.integer(1, 100) * 50),
        dispensed_at=usual.dispensed_at + timedelta(seconds=n),
    )
