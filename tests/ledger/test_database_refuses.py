"""What the database itself refuses, said in SQL by the owner of its tables, past all of our code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import psycopg
import pytest

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from tests.fixtures.postgres import PostgresServer
from tests.ledger.filled import Filled, fill

CHECK, UNIQUE, RESTRICT, FOREIGN_KEY = "23514", "23505", "23001", "23503"


@dataclass(frozen=True)
class FilledBooks:
    """A database that every test here shares: nothing that is refused changes it."""

    dsn: str
    ids: Filled


@pytest.fixture(scope="module")
def filled(postgres_server: PostgresServer, books_template: str) -> Iterator[FilledBooks]:
    async def prepare(url: str) -> Filled:
        db = Database(url)
        try:
            return await fill(db)
        finally:
            await db.close()

    with postgres_server.clone(books_template) as database:
        dsn = postgres_server.dsn(database)
        yield FilledBooks(dsn, asyncio.run(prepare(sqlalchemy_url(dsn))))


def refused(filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None) -> None:
    """Runs the statements in one transaction: it must not commit, for exactly this reason."""
    with psycopg.connect(filled.dsn) as conn:
        with pytest.raises(psycopg.Error) as caught:
            for statement in statements:
                conn.execute(statement.format(**asdict(filled.ids)).encode())
            conn.commit()
        conn.rollback()
    assert (caught.value.sqlstate, caught.value.diag.constraint_name) == (sqlstate, constraint)


def entry(key: str) -> str:
    return f"""INSERT INTO journal_entry (template, idempotency_key, input_hash, happened_at, actor, cause)
               VALUES ('test', '{key}', 'hash', now(), 'test', 'test')"""


def postings(*lines: tuple[str, str, int], shift: int = 0, version: int = 1) -> str:
    """Postings (entry's key, account's name, amount) in one statement, chained as they should be."""
    values = ", ".join(f"('{key}', '{name}', {amount}::bigint)" for key, name, amount in lines)
    return f"""INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
               SELECT a.id, a.version + {version}, e.id, v.amount, a.balance + v.amount + {shift}
                 FROM (VALUES {values}) v (key, name, amount)
                 JOIN account a ON a.name = v.name JOIN journal_entry e ON e.idempotency_key = v.key"""


COINS, HOUSE, CASH = "coins:received", "house:sats", "cash:pool:1"
HUGE = 10**15

JOURNAL: list[tuple[str, list[str], str, str | None]] = [
    (
        "an entry that is off in one unit",
        [entry("k"), postings(("k", COINS, 5), ("k", HOUSE, -4))],
        CHECK,
        "posting_balanced",
    ),
    (
        "one that balances only across two units",
        [entry("k"), postings(("k", COINS, 5), ("k", CASH, -5))],
        CHECK,
        "posting_balanced",
    ),
    (
        "two entries that balance only together",
        [entry("k"), entry("m"), postings(("k", COINS, 5), ("m", HOUSE, -5))],
        CHECK,
        "posting_balanced",
    ),
    (
        "an entry written in two statements that balance only together",
        [entry("k"), postings(("k", COINS, 5)), postings(("k", HOUSE, -5))],
        CHECK,
        "posting_balanced",
    ),
    ("an entry without postings", [entry("k")], CHECK, "journal_entry_postings"),
    (
        "postings added to an older entry",
        [postings(("deposit:1:confirmed", COINS, 5), ("deposit:1:confirmed", HOUSE, -5))],
        RESTRICT,
        "posting_entry_open",
    ),
    (
        "a balance that does not follow from the one before",
        [entry("k"), postings(("k", COINS, 5), ("k", HOUSE, -5), shift=1)],
        CHECK,
        "posting_chain",
    ),
    (
        "a version left out",
        [entry("k"), postings(("k", COINS, 5), ("k", HOUSE, -5), version=2)],
        CHECK,
        "posting_chain",
    ),
    (
        "a version taken twice",
        [entry("k"), postings(("k", COINS, 5), ("k", HOUSE, -5), version=0)],
        UNIQUE,
        "posting_pkey",
    ),
    (
        "a posting of nothing",
        [entry("k"), postings(("k", COINS, 0), ("k", HOUSE, 0))],
        CHECK,
        "posting_amount_check",
    ),
    (
        "a key used twice",
        [entry("deposit:1:confirmed")],
        UNIQUE,
        "journal_entry_idempotency_key_key",
    ),
    (
        "a client's fiat below zero",
        [entry("k"), postings(("k", "client:{a}:fiat:1", HUGE), ("k", CASH, -HUGE))],
        CHECK,
        "account_guarded",
    ),
    (
        "less than nothing owed to a client",
        [entry("k"), postings(("k", "client:{b}:payable", HUGE), ("k", HOUSE, -HUGE))],
        CHECK,
        "account_guarded",
    ),
    (
        "less than nothing in flight",
        [entry("k"), postings(("k", "payouts:in-flight", HUGE), ("k", "coins:source", -HUGE))],
        CHECK,
        "account_guarded",
    ),
    ("a balance set by hand", ["UPDATE account SET balance = balance + 1"], RESTRICT, None),
    ("a version set by hand", ["UPDATE account SET version = version + 1"], RESTRICT, None),
    ("a guard taken away", ["UPDATE account SET guarded = false"], RESTRICT, None),
    (
        "an account opened with money in it",
        [
            """INSERT INTO account (name, unit, kind, purpose, guarded, balance)
               VALUES ('x', 'msat', 'asset', 'x', false, 5)"""
        ],
        CHECK,
        None,
    ),
    (
        "an account in a unit that is none",
        ["INSERT INTO account (name, unit, kind, purpose, guarded) VALUES ('x','sats','asset','x',false)"],
        CHECK,
        "account_unit_check",
    ),
    (
        "an account with postings deleted",
        ["DELETE FROM account WHERE name = 'house:sats'"],
        RESTRICT,
        None,
    ),
    (
        "a posting to an account that is not there",
        [
            entry("k"),
            """INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
               SELECT 999999, 1, id, 5, 5 FROM journal_entry WHERE idempotency_key = 'k'""",
        ],
        FOREIGN_KEY,
        "posting_account",
    ),
    (
        "a posting to an entry that is not there",
        [
            """INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
               SELECT id, version + 1, 999999, 5, balance + 5 FROM account WHERE name = 'house:sats'"""
        ],
        RESTRICT,
        "posting_entry_open",
    ),
]


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in JOURNAL], ids=[c[0] for c in JOURNAL]
)
def test_the_journal_refuses(
    filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None
) -> None:
    refused(filled, statements, sqlstate, constraint)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("journal_entry", "actor"),
        ("posting", "amount"),
        ("audit_log", "reason"),
        ("cash_out_log", "event"),
        ("payout_log", "event"),
        ("distribution", "total_sats"),
        ("cash_movement", "reason"),
        ("client_total", "bought_sats"),
    ],
)
@pytest.mark.parametrize("statement", ["UPDATE {0} SET {1} = {1}", "DELETE FROM {0}", "TRUNCATE {0} CASCADE"])
def test_what_is_written_once_stays(filled: FilledBooks, table: str, column: str, statement: str) -> None:
    refused(filled, [statement.format(table, column)], RESTRICT, None)


@pytest.mark.parametrize(
    "table",
    [
        "account",
        "cash_out",
        "distribution_record",
        "payout",
        "payout_record",
        "client",
        "deposit",
        "intake_filter",
    ],
)
def test_nothing_that_the_books_need_can_be_emptied(filled: FilledBooks, table: str) -> None:
    refused(filled, [f"TRUNCATE {table} CASCADE"], RESTRICT, None)


COPY_CASH_OUT = """INSERT INTO cash_out SELECT (jsonb_populate_record(c,
    jsonb_build_object('id', 9001, 'state', 'failed', 'external_id', 'other'))).*
    FROM cash_out c WHERE id = {shared}"""


def copy_distribution(**changes: str) -> str:
    """A distribution of the copied cash-out; `changes` are SQL expressions."""
    pairs = {
        "id": "9001",
        "cash_out_id": "9001",
        "entry_id": "(SELECT max(id) FROM journal_entry)",
        **changes,
    }
    built = ", ".join(f"'{k}', {v}" for k, v in pairs.items())
    return f"""INSERT INTO distribution SELECT (jsonb_populate_record(d, jsonb_build_object({built}))).*
                 FROM distribution d WHERE id = {{distribution}}"""


def copy_records(sats: str = "sats", where: str = "true", minor: str = "fiat_minor") -> str:
    return f"""INSERT INTO distribution_record (distribution_id, client_id, type, sats, fiat_minor, state)
               SELECT 9001, client_id, type, {sats}, {minor}, 'owed' FROM distribution_record
                WHERE distribution_id = {{distribution}} AND {where}"""


RECORD = """INSERT INTO distribution_record (distribution_id, client_id, type, sats, fiat_minor, state)
            VALUES ({{distribution}}, {{c}}, 'manual', {0}, {1}, '{2}')"""
NEW_CASH_OUT = [COPY_CASH_OUT, copy_distribution()]
BY_HAND = """INSERT INTO cash_out SELECT (jsonb_populate_record(c, jsonb_build_object('id', 9001,
    'source', 'manual', 'external_id', 'by-hand', 'state', 'failed', 'entered_by', 'x', 'entry_reason', 'x',
    'settles_id', {0}))).* FROM cash_out c WHERE id = {{failed}}"""
FILTER = "INSERT INTO intake_filter (kind, value, created_by) VALUES ('coin', 'LN', 'x')"

CASH_OUTS: list[tuple[str, list[str], str, str | None]] = [
    (
        "a second cash-out of the same source and id",
        [
            """INSERT INTO cash_out SELECT (jsonb_populate_record(c, '{{"id": 9001}}')).*
                 FROM cash_out c WHERE id = {failed}"""
        ],
        UNIQUE,
        "cash_out_source_external_id_key",
    ),
    (
        "a state that is none",
        ["UPDATE cash_out SET state = 'lost' WHERE id = {failed}"],
        CHECK,
        "cash_out_state_check",
    ),
    ("a distributed one undone", ["UPDATE cash_out SET state = 'failed' WHERE id = {shared}"], RESTRICT, None),
    ("its sats changed", ["UPDATE cash_out SET crypto_atoms = 5 WHERE id = {shared}"], RESTRICT, None),
    ("its fiat changed", ["UPDATE cash_out SET fiat = fiat + 1 WHERE id = {shared}"], RESTRICT, None),
    ("its id changed", ["UPDATE cash_out SET external_id = 'x' WHERE id = {shared}"], RESTRICT, None),
    ("a cash-out deleted", ["DELETE FROM cash_out WHERE id = {failed}"], RESTRICT, None),
    (
        "a second distribution of a cash-out",
        [copy_distribution(cash_out_id="{shared}")],
        UNIQUE,
        "distribution_cash_out_once",
    ),
    ("a distribution without its records", NEW_CASH_OUT, CHECK, "distribution_sum"),
    (
        "records that add up to too much",
        [*NEW_CASH_OUT, copy_records("sats + 1")],
        CHECK,
        "distribution_sum",
    ),
    (
        "records whose fiat does not add up",
        [*NEW_CASH_OUT, copy_records(minor="fiat_minor + 1")],
        CHECK,
        "distribution_sum",
    ),
    (
        "records of fewer clients than it says",
        [*NEW_CASH_OUT, copy_records(where="client_id = {a}")],
        CHECK,
        "distribution_sum",
    ),
    (
        "a commission that is negative",
        [COPY_CASH_OUT, copy_distribution(commission_sats="-1", principal_sats="512401")],
        CHECK,
        "distribution_commission_sats_check",
    ),
    (
        "principal and commission that are not the total",
        [COPY_CASH_OUT, copy_distribution(commission_sats="0")],
        CHECK,
        "distribution_check1",
    ),
    (
        "an entry by hand that nobody entered",
        [
            """INSERT INTO cash_out SELECT (jsonb_populate_record(c,
              '{{"id": 9001, "source": "manual", "state": "failed"}}')).* FROM cash_out c WHERE id = {failed}"""
        ],
        CHECK,
        "cash_out_entered",
    ),
    (
        "one settled by nothing",
        ["UPDATE cash_out SET state = 'settled-by-hand' WHERE id = {failed}"],
        CHECK,
        "cash_out_settled",
    ),
    ("an entry that settles what is distributed", [BY_HAND.format("{shared}")], CHECK, "cash_out_settled"),
    (
        "two entries that settle the same",
        [
            BY_HAND.format("{failed}"),
            BY_HAND.replace("9001", "9002").replace("by-hand", "again").format("{failed}"),
        ],
        UNIQUE,
        "cash_out_settles_id_key",
    ),
    (
        "one settled by hand that lives on",
        [
            BY_HAND.format("{failed}"),
            "UPDATE cash_out SET state = 'settled-by-hand' WHERE id = {failed}",
            "UPDATE cash_out SET state = 'failed' WHERE id = {failed}",
        ],
        RESTRICT,
        None,
    ),
    (
        "a filter changed",
        [FILTER, "UPDATE intake_filter SET value = 'BTC'"],
        RESTRICT,
        None,
    ),
    (
        "a filter set in force again",
        [
            FILTER,
            "UPDATE intake_filter SET removed_at = now(), removed_by = 'x'",
            "UPDATE intake_filter SET removed_at = NULL, removed_by = NULL",
        ],
        RESTRICT,
        None,
    ),
    ("a filter twice", [FILTER, FILTER], UNIQUE, "intake_filter_once"),
    ("a filter of another kind", [FILTER.replace("'coin'", "'x'")], CHECK, "intake_filter_kind_check"),
    ("a record added later", [RECORD.format(5, 0, "owed")], CHECK, "distribution_sum"),
    ("one of nothing added later", [RECORD.format(0, 0, "nothing")], CHECK, "distribution_sum"),
    ("one of nothing that is owed", [RECORD.format(0, 0, "owed")], CHECK, "distribution_record_nothing"),
    (
        "a record's sats changed",
        ["UPDATE distribution_record SET sats = sats + 1 WHERE id = {owed_record}"],
        RESTRICT,
        None,
    ),
    (
        "a record given to another client",
        ["UPDATE distribution_record SET client_id = {c} WHERE id = {owed_record}"],
        RESTRICT,
        None,
    ),
    ("a record deleted", ["DELETE FROM distribution_record WHERE id = {owed_record}"], RESTRICT, None),
    (
        "a record settled without a payout",
        ["UPDATE distribution_record SET state = 'settled' WHERE id = {owed_record}"],
        RESTRICT,
        None,
    ),
    (
        "a settled record owed again",
        ["UPDATE distribution_record SET state = 'owed' WHERE id = {settled_record}"],
        RESTRICT,
        None,
    ),
    (
        "a settled record paid anew",
        ["UPDATE distribution_record SET state = 'in-payout' WHERE id = {settled_record}"],
        RESTRICT,
        None,
    ),
]


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in CASH_OUTS], ids=[c[0] for c in CASH_OUTS]
)
def test_cash_outs_and_distributions_refuse(
    filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None
) -> None:
    refused(filled, statements, sqlstate, constraint)


def payout(client: str, amount: str) -> str:
    return f"""INSERT INTO payout (id, client_id, destination_id, amount_sats, memo)
               SELECT '00000000-0000-4000-8000-000000000001', id, destination_id, {amount}, 'x'
                 FROM client WHERE id = {client}"""


def paid_by_new(record: str) -> str:
    return f"""INSERT INTO payout_record (payout_id, record_id)
               VALUES ('00000000-0000-4000-8000-000000000001', {record})"""


OF_B = "(SELECT sats FROM distribution_record WHERE id = {owed_record})"
CHANGE = "UPDATE payout SET {0} WHERE id = '{{invoiced}}'"
ADD = "INSERT INTO payout_record (payout_id, record_id) VALUES ('{{{0}}}', {{{1}}})"

PAYOUTS: list[tuple[str, list[str], str, str | None]] = [
    (
        "a record in a second payout",
        [payout("{b}", "1"), paid_by_new("{reserved_record}")],
        UNIQUE,
        "payout_record_once",
    ),
    (
        "a settled record in a second payout",
        [payout("{b}", "1"), paid_by_new("{settled_record}")],
        UNIQUE,
        "payout_record_once",
    ),
    ("a second open payout of a client", [payout("{a}", "5")], UNIQUE, "payout_one_open"),
    ("a payout of no records", [payout("{b}", OF_B)], CHECK, "payout_sum"),
    (
        "a payout of more than its records",
        [payout("{b}", f"{OF_B} + 1"), paid_by_new("{owed_record}")],
        CHECK,
        "payout_sum",
    ),
    (
        "a payout of another client's record",
        [payout("{c}", OF_B), paid_by_new("{owed_record}")],
        CHECK,
        "payout_sum",
    ),
    ("a payout of nothing", [payout("{b}", "0")], CHECK, "payout_amount_sats_check"),
    ("a record added to a payout later", [ADD.format("invoiced", "owed_record")], CHECK, "payout_sum"),
    ("a record added to a settled payout", [ADD.format("settled", "owed_record")], CHECK, "payout_sum"),
    (
        "a settled payout's record set free",
        ["UPDATE payout_record SET active = false WHERE payout_id = '{settled}'"],
        RESTRICT,
        None,
    ),
    (
        "an open payout's record set free",
        ["UPDATE payout_record SET active = false WHERE payout_id = '{invoiced}'"],
        RESTRICT,
        None,
    ),
    (
        "a failed payout's record taken again",
        ["UPDATE payout_record SET active = true WHERE payout_id = '{failed_payout}'"],
        RESTRICT,
        None,
    ),
    (
        "a payout's record exchanged",
        ["UPDATE payout_record SET record_id = {owed_record} WHERE payout_id = '{invoiced}'"],
        RESTRICT,
        None,
    ),
    ("a payout's record taken out", ["DELETE FROM payout_record WHERE payout_id = '{settled}'"], RESTRICT, None),
    ("its amount changed", [CHANGE.format("amount_sats = amount_sats + 1")], RESTRICT, None),
    ("its receiver changed", [CHANGE.format("client_id = {b}")], RESTRICT, None),
    ("its destination changed", [CHANGE.format("destination_id = destination_id + 1")], RESTRICT, None),
    ("its payment hash changed", [CHANGE.format("payment_hash = 'ab'")], RESTRICT, None),
    ("its payment hash forgotten", [CHANGE.format("payment_hash = NULL")], RESTRICT, None),
    ("its invoice changed", [CHANGE.format("bolt11 = 'lnbc1'")], RESTRICT, None),
    ("its invoice forgotten", [CHANGE.format("bolt11 = NULL")], RESTRICT, None),
    ("from invoiced straight to settled", [CHANGE.format("state = 'settled'")], RESTRICT, "payout_move"),
    ("from invoiced back to reserved", [CHANGE.format("state = 'reserved'")], RESTRICT, "payout_move"),
    ("a state that is none", [CHANGE.format("state = 'lost'")], RESTRICT, "payout_move"),
    (
        "a settled payout that fails",
        ["UPDATE payout SET state = 'failed', settled_at = NULL WHERE id = '{settled}'"],
        RESTRICT,
        "payout_move",
    ),
    (
        "a failed payout that is tried again",
        ["UPDATE payout SET state = 'submitted' WHERE id = '{failed_payout}'"],
        RESTRICT,
        "payout_move",
    ),
    ("held without a reason", [CHANGE.format("state = 'held', held_from = 'invoiced'")], CHECK, "payout_check1"),
    ("held from nowhere", [CHANGE.format("state = 'held', reason = 'x'")], CHECK, "payout_check"),
    (
        "settled without saying when",
        [CHANGE.format("state = 'submitted'"), CHANGE.format("state = 'settled', fee_msat = 0")],
        CHECK,
        "payout_check3",
    ),
    (
        "settled without its fee",
        [CHANGE.format("state = 'submitted'"), CHANGE.format("state = 'settled', settled_at = now()")],
        CHECK,
        "payout_check4",
    ),
    ("a payout deleted", ["DELETE FROM payout WHERE id = '{failed_payout}'"], RESTRICT, None),
]


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in PAYOUTS], ids=[c[0] for c in PAYOUTS]
)
def test_payouts_refuse(filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None) -> None:
    refused(filled, statements, sqlstate, constraint)


MACHINE = "INSERT INTO machine (device_id, pool_id) VALUES ('m', 1)"
MOVEMENT = """INSERT INTO cash_movement (kind, pool_id, client_id, amount_minor, reason, entry_id, actor)
              VALUES ({0}, 1, {1}, {2}, 'x', (SELECT max(id) FROM journal_entry), 'x')"""

PEOPLE: list[tuple[str, list[str], str, str | None]] = [
    (
        "two clients of one name",
        [
            """INSERT INTO client (name, mode, destination_id)
            SELECT upper(name), mode, destination_id FROM client WHERE id = {a}"""
        ],
        UNIQUE,
        "client_name",
    ),
    ("a client of a mode that is none", ["UPDATE client SET mode = 'x'"], CHECK, "client_mode_check"),
    (
        "a client with a history deleted",
        ["DELETE FROM client WHERE id = {a}"],
        FOREIGN_KEY,
        "deposit_client_id_fkey",
    ),
    (
        "a deposit of nothing",
        ["INSERT INTO deposit (client_id, pool_id, amount_minor) VALUES ({a}, 1, 0)"],
        CHECK,
        "deposit_amount_minor_check",
    ),
    (
        "a void deposit without a reason",
        ["UPDATE deposit SET state = 'void', voided_at = now() WHERE client_id = {a}"],
        CHECK,
        "deposit_check1",
    ),
    (
        "a deposit's machine told afterwards",
        [MACHINE, "UPDATE deposit SET device_id = 'm' WHERE client_id = {a}"],
        RESTRICT,
        None,
    ),
    ("a give-back to nobody", [MOVEMENT.format("'give-back'", "NULL", 5)], CHECK, "cash_movement_check"),
    ("a refill by a client", [MOVEMENT.format("'refill'", "{a}", 5)], CHECK, "cash_movement_check"),
    ("a movement of nothing", [MOVEMENT.format("'refill'", "NULL", 0)], CHECK, "cash_movement_amount_minor_check"),
    (
        "a movement without an entry of its own",
        [MOVEMENT.format("'refill'", "NULL", 5)] * 2,
        UNIQUE,
        "cash_movement_entry_id_key",
    ),
    (
        "an LNbits wallet without its key",
        ["INSERT INTO destination (kind) VALUES ('lnbits')"],
        CHECK,
        "destination_check",
    ),
    (
        "a Lightning address without an address",
        ["INSERT INTO destination (kind) VALUES ('lightning-address')"],
        CHECK,
        "destination_check1",
    ),
]


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in PEOPLE], ids=[c[0] for c in PEOPLE]
)
def test_clients_and_deposits_refuse(
    filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None
) -> None:
    refused(filled, statements, sqlstate, constraint)


MOVE = """INSERT INTO treasury_move (sats, fee_sats, reason, entry_id, actor)
          VALUES ({sats}, {fee}, 'test', (SELECT min(id) FROM journal_entry), 'test')"""
RUN = "INSERT INTO import_run (source, actor, summary) VALUES ('test', 'test', '{{}}')"


def opening(client: str, external_id: str, deposited: int = 10, converted: int = 4, left: int = 6) -> str:
    return f"""INSERT INTO client_opening (client_id, import_id, source, external_id, pool_id, deposited_minor,
                                           converted_minor, left_minor, received_sats)
               VALUES ({client}, (SELECT max(id) FROM import_run), 'test', '{external_id}', 1, {deposited},
                       {converted}, {left}, 5)"""


MOVED_OVER: list[tuple[str, list[str], str, str | None]] = [
    ("a move of nothing", [MOVE.format(sats=0, fee=0)], CHECK, "treasury_move_sats_check"),
    ("a move at a negative fee", [MOVE.format(sats=5, fee=-1)], CHECK, "treasury_move_fee_sats_check"),
    (
        "two moves by one entry",
        [MOVE.format(sats=5, fee=0), MOVE.format(sats=5, fee=0)],
        UNIQUE,
        "treasury_move_entry_id_key",
    ),
    (
        "a client imported twice",
        [RUN, opening("{a}", "x"), opening("{b}", "x")],
        UNIQUE,
        "client_opening_source_external_id_key",
    ),
    ("two openings of one client", [RUN, opening("{a}", "x"), opening("{a}", "y")], UNIQUE, "client_opening_pkey"),
    ("an opening that does not add up", [RUN, opening("{a}", "x", left=7)], CHECK, "client_opening_check"),
    (
        "an opening below zero",
        [RUN, opening("{a}", "x", converted=11, left=-1)],
        CHECK,
        "client_opening_left_minor_check",
    ),
    ("a move that is changed", [MOVE.format(sats=5, fee=0), "UPDATE treasury_move SET sats = 6"], RESTRICT, None),
    ("an opening that is changed", ["UPDATE client_opening SET received_sats = 0"], RESTRICT, None),
    ("an import that is deleted", [RUN, "DELETE FROM import_run"], RESTRICT, None),
]


@pytest.mark.parametrize(
    ("statements", "sqlstate", "constraint"), [c[1:] for c in MOVED_OVER], ids=[c[0] for c in MOVED_OVER]
)
def test_moves_and_imports_refuse(
    filled: FilledBooks, statements: list[str], sqlstate: str, constraint: str | None
) -> None:
    refused(filled, statements, sqlstate, constraint)


def test_a_whole_distribution_by_hand_is_no_refusal(filled: FilledBooks) -> None:
    """So the statements above are refused for their fault, not for how they are made."""
    with psycopg.connect(filled.dsn) as conn:
        for statement in [*NEW_CASH_OUT, copy_records()]:
            conn.execute(statement.format(**asdict(filled.ids)).encode())
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        conn.rollback()


def test_a_whole_payout_by_hand_is_no_refusal(filled: FilledBooks) -> None:
    with psycopg.connect(filled.dsn) as conn:
        for statement in [payout("{b}", OF_B), paid_by_new("{owed_record}")]:
            conn.execute(statement.format(**asdict(filled.ids)).encode())
        conn.execute("SET CONSTRAINTS ALL IMMEDIATE")
        conn.rollback()


async def test_what_was_refused_has_left_nothing(filled: FilledBooks) -> None:
    db = Database(sqlalchemy_url(filled.dsn))
    assert [check for check in await verify(db) if not check.holds] == []
    await db.close()
