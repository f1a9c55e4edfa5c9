"""`ledger verify` finds what somebody did to the books behind the database's back."""

from __future__ import annotations

import pytest

from dca_daemon.ledger.db import Database, execute
from dca_daemon.ledger.verify import verify
from tests.ledger.filled import fill, fill_more


async def failing(db: Database) -> dict[str, tuple[str, ...]]:
    return {check.name: check.findings for check in await verify(db) if not check.holds}


async def test_full_and_empty_books_hold(books: Database) -> None:
    assert await failing(books) == {}
    await fill(books)
    await fill_more(books)
    assert await failing(books) == {}


@pytest.mark.parametrize(
    ("tampering", "found"),
    [
        ("UPDATE posting SET amount = amount + 1 WHERE entry_id = 1 AND amount > 0", "entries-balance"),
        ("UPDATE account SET balance = balance + 1 WHERE name = 'house:sats'", "balances-kept"),
        ("UPDATE posting SET balance_after = balance_after + 1 WHERE account_version = 1", "chains-unbroken"),
        ("UPDATE distribution SET uncovered_sats = uncovered_sats + 1", "distributions-add-up"),
        ("UPDATE cash_out SET crypto_atoms = crypto_atoms + 1", "distributions-add-up"),
        ("UPDATE cash_out SET state = 'failed' WHERE state = 'distributed'", "distributed-once"),
        ("UPDATE cash_out SET state = 'distributed'", "distributed-once"),
        ("UPDATE distribution_record SET sats = sats + 1 WHERE state = 'owed'", "owed-is-payable"),
        ("UPDATE client_total SET bought_sats = bought_sats + 1", "totals-kept"),
        ("DELETE FROM client_total WHERE commission_sats > 0", "totals-kept"),
        ("UPDATE distribution SET commission_shared_sats = 0", "distributions-add-up"),
        ("UPDATE distribution_record SET client_id = 3 WHERE client_id = 2", "distributions-booked"),
        ("UPDATE commission_share SET basis_points = basis_points + 1", "commission-by-version"),
        ("UPDATE distribution_record SET state = 'gathered' WHERE state = 'owed'", "gathered-is-commission"),
        ("UPDATE distribution SET reversed_at = NULL, reversal_entry_id = NULL", "reversed-wholly"),
        ("UPDATE distribution_record SET state = 'owed' WHERE state = 'reversed'", "reversed-wholly"),
        ("UPDATE journal_entry SET corrects_entry_id = 1 WHERE template = 'reversal'", "reversed-wholly"),
        ("UPDATE adjustment SET amount_minor = amount_minor + 1", "adjustments-booked"),
        ("UPDATE adjustment SET amount_sats = amount_sats - 1 WHERE amount_sats < 0", "credits-add-up"),
        ("UPDATE payout SET state = 'void' WHERE state = 'invoiced'", "in-flight-is-reserved"),
        ("UPDATE payout SET amount_sats = amount_sats + 1 WHERE state = 'settled'", "payouts-add-up"),
        ("UPDATE distribution_record SET state = 'owed' WHERE state = 'settled'", "payouts-add-up"),
        ("UPDATE distribution_record SET state = 'settled' WHERE state = 'owed'", "settled-once"),
        ("UPDATE payout_record SET active = false", "settled-once"),
        (
            "ALTER TABLE account DROP CONSTRAINT account_guarded; UPDATE account SET balance = 5"
            " WHERE purpose = 'client-fiat'",
            "nobody-below-zero",
        ),
    ],
)
async def test_tampering_is_found(books: Database, tampering: str, found: str) -> None:
    await fill(books)
    await fill_more(books)
    async with books.transaction() as conn:
        await execute(conn, "SET LOCAL session_replication_role = replica")  # no trigger fires
        for statement in tampering.split(";"):
            await execute(conn, statement)
    findings = (await failing(books))[found]
    assert findings and all(findings)
