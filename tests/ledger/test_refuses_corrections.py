"""What the database itself refuses of commission, reversals and adjustments; see `test_database_refuses`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from tests.fixtures.postgres import PostgresServer
from tests.ledger.filled import Filled, fill, fill_more
from tests.ledger.test_database_refuses import CHECK, RESTRICT, UNIQUE, FilledBooks, refused


@pytest.fixture(scope="module")
def corrected(postgres_server: PostgresServer, books_template: str) -> Iterator[FilledBooks]:
    async def prepare(url: str) -> Filled:
        db = Database(url)
        try:
            ids = await fill(db)
            await fill_more(db)
            return ids
        finally:
            await db.close()

    with postgres_server.clone(books_template) as database:
        dsn = postgres_server.dsn(database)
        yield FilledBooks(dsn, asyncio.run(prepare(sqlalchemy_url(dsn))))


VERSION = "INSERT INTO commission_version ({0}, actor) VALUES ({1}, 'test')"
SHARE = "INSERT INTO commission_share (version_id, client_id, basis_points) VALUES (1, {0}, {1})"
RECEIVER = "(SELECT max(id) FROM client WHERE mode = 'commission')"
GATHERED = "(SELECT min(id) FROM distribution_record WHERE state = 'gathered')"
COMMISSION = "(SELECT min(id) FROM distribution_record WHERE type = 'commission' AND state = 'owed')"
TAKE_BACK = """UPDATE distribution SET reversed_at = now(), reversal_entry_id =
                      (SELECT max(id) FROM journal_entry WHERE template = 'deposit-confirmed')"""
REVERSED_ID = "(SELECT id FROM distribution WHERE reversed_at IS NOT NULL)"
UNPAID = "(SELECT max(distribution_id) FROM distribution_record WHERE state = 'gathered')"
ADJUST = "INSERT INTO adjustment (client_id, {0}, reason, entry_id, actor) VALUES (1, {1}, 'x', 1, 'test')"

CASES: list[tuple[str, list[str], str, str | None]] = [
    ("shares over 100 %", [SHARE.format("{b}", 9000), SHARE.format("{c}", 1)], CHECK, "commission_share_sum"),
    ("a share of nothing", [SHARE.format("{b}", 0)], CHECK, "commission_share_basis_points_check"),
    ("two shares of one receiver", [SHARE.format("{a}", 1)], UNIQUE, "commission_share_pkey"),
    ("a share changed", ["UPDATE commission_share SET basis_points = 1"], RESTRICT, None),
    ("a share deleted", ["DELETE FROM commission_share"], RESTRICT, None),
    ("a version changed", ["UPDATE commission_version SET pay = 'at-once'"], RESTRICT, None),
    ("times without a zone", [VERSION.format("pay, pay_times", "'at-times', '{{18:30}}'")], CHECK,
     "commission_version_check1"),
    ("set times without any", [VERSION.format("pay, zone", "'at-times', 'UTC'")], CHECK,
     "commission_version_check"),
    ("an amount that is none", [VERSION.format("pay", "'from-amount'")], CHECK, "commission_version_check2"),
    ("a time served twice",
     ["INSERT INTO commission_release (due_at, records, sats, actor) VALUES ('2026-11-22Z', 1, 1, 'test')"] * 2,
     UNIQUE, "commission_release_due_at_key"),
    ("a receiver that becomes a client", [f"UPDATE client SET mode = 'flow' WHERE id = {RECEIVER}"], RESTRICT,
     "client_receiver"),
    ("a client that becomes a receiver", ["UPDATE client SET mode = 'commission' WHERE id = {a}"], RESTRICT,
     "client_receiver"),
    ("a receiver's deposit",
     [f"INSERT INTO deposit (client_id, pool_id, amount_minor) SELECT {RECEIVER}, 1, 5"], RESTRICT,
     "deposit_receiver"),
    ("commission gathered again", [f"UPDATE distribution_record SET state = 'gathered' WHERE id = {COMMISSION}"],
     RESTRICT, None),
    ("gathered commission paid", [f"UPDATE distribution_record SET state = 'in-payout' WHERE id = {GATHERED}"],
     RESTRICT, None),
    ("commission for fiat",
     ["INSERT INTO distribution_record (type, distribution_id, client_id, sats, fiat_minor, state)"
      " VALUES ('commission', {distribution}, {b}, 5, 5, 'owed')"], CHECK, "distribution_record_commission"),
    ("commission added to a distribution",
     ["INSERT INTO distribution_record (type, distribution_id, client_id, sats, fiat_minor, state)"
      " VALUES ('commission', {distribution}, {b}, 5, 0, 'owed')"], CHECK, "distribution_sum"),
    ("a record reversed alone", ["UPDATE distribution_record SET state = 'reversed' WHERE id = {owed_record}"],
     RESTRICT, None),
    ("a distribution reversed in part", [f"{TAKE_BACK} WHERE id = {UNPAID}"], CHECK,
     "distribution_reversed_wholly"),
    ("a paid record reversed",
     [f"{TAKE_BACK} WHERE id = {{distribution}}",
      "UPDATE distribution_record SET state = 'reversed' WHERE id = {settled_record}"], RESTRICT, None),
    ("reversed without an entry", [f"UPDATE distribution SET reversed_at = now() WHERE id = {UNPAID}"], CHECK,
     "distribution_reversed"),
    ("a reversal undone", ["UPDATE distribution SET reversed_at = NULL, reversal_entry_id = NULL"], RESTRICT,
     None),
    ("a reversed record owed again", ["UPDATE distribution_record SET state = 'owed' WHERE state = 'reversed'"],
     RESTRICT, None),
    ("a distribution's amounts changed with its reversal",
     [f"{TAKE_BACK}, client_count = 7 WHERE id = {UNPAID}"], RESTRICT, None),
    ("a distributed cash-out sent back", ["UPDATE cash_out SET state = 'review' WHERE id = {shared}"], RESTRICT,
     None),
    ("a second distribution beside the first",
     ["""INSERT INTO distribution (kind, cash_out_id, pool_id, entry_id, total_sats, principal_sats,
             commission_sats, uncovered_sats, fiat_minor, charge_minor, uncovered_minor, client_count, happened_at)
         VALUES ('cash-out', {shared}, 1, 1, 5, 5, 0, 5, 0, 0, 0, 0, now())"""], UNIQUE,
     "distribution_cash_out_once"),
    ("an adjustment of nothing", [ADJUST.format("amount_sats", "0")], CHECK, "adjustment_amount_sats_check"),
    ("an adjustment of both", [ADJUST.format("amount_sats, pool_id, amount_minor", "-5, 1, 5")], CHECK,
     "adjustment_check"),
    ("fiat of no pool", [ADJUST.format("amount_minor", "5")], CHECK, "adjustment_check1"),
    ("sats that nobody owes", [ADJUST.format("amount_sats", "5")], CHECK, "adjustment_check2"),
    ("an adjustment changed", ["UPDATE adjustment SET reason = 'y'"], RESTRICT, None),
    ("an adjustment deleted", ["DELETE FROM adjustment"], RESTRICT, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_the_database_refuses(
    corrected: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None
) -> None:
    refused(corrected, statements, sqlstate, constraint)


async def test_what_was_refused_has_left_nothing(corrected: FilledBooks) -> None:
    db = Database(sqlalchemy_url(corrected.dsn))
    assert [check for check in await verify(db) if not check.holds] == []
    await db.close()
