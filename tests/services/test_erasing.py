"""A client's personal data can be erased everywhere, and nothing else: the books and other people stay."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import IntegrityError

from dca_daemon.domain.errors import ConflictError, DcaError, InputError
from dca_daemon.domain.rights import Scope
from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.ledger.one_transaction import OneTransaction
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.services import (
    adjustments,
    api_tokens,
    cash,
    client_access,
    clients,
    commission,
    deposits,
    destinations,
    erasing,
    fixed_amounts,
    reversals,
)
from dca_daemon.services.clients import Mode, Status
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.fixtures.postgres import TestDb
from tests.ledger.filled import invoice, reserve, settle, submit
from tests.services.builders import sql, success, value

NAME, FORMER, ADDRESS, PHONE = "José Núñez", 'Pepe "el (tío)" 50%', "pepe@pay.example", "+502 5555-1234"
WORDS = (NAME, FORMER, ADDRESS, PHONE, "4ae2wallet")
OTHER = "José Núñez Soto"  # another person, whose name contains his
ME = "os:operator"


async def add(db: Database, keys: KeyRing, name: str, to: Destination, answers: str) -> int:
    view = await clients.add_checked(
        db, keys, name=name, mode=Mode.FLOW, destination=to, info=DestinationInfo(answers), actor=ME
    )
    return view.client_id


async def two_clients(db: Database, keys: KeyRing) -> tuple[int, int]:
    """Him, with everything that can be kept of somebody; and the other, of whom nothing may change."""
    wallet = Destination(DestinationKind.LNBITS, wallet_id="4ae2wallet", invoice_key="his-invoice-key")
    him = await add(db, keys, FORMER, wallet, FORMER)
    other = await add(db, keys, OTHER, Destination(DestinationKind.LIGHTNING_ADDRESS, address="o@x.example"), "o")
    await clients.rename(db, str(him), NAME, actor=ME, reason=f"{FORMER} married, call {PHONE}")
    address = Destination(DestinationKind.LIGHTNING_ADDRESS, address=ADDRESS)
    for client_id in (him, other):
        recorded = await deposits.record(
            db, client=str(client_id), amount="1000", currency=None, note=f"from {NAME}, {PHONE}", actor=ME
        )
        await deposits.confirm(db, recorded.deposit_id, actor=ME)
    void = await deposits.record(db, client=str(him), amount="5", currency=None, note=None, actor=ME)
    await deposits.void(db, void.deposit_id, reason=f"{NAME} never brought it", actor=ME)
    # One cash-out that stays and is paid, one that was taken back.
    await Intake(db, IntakeConfig()).process([success(fiat=Decimal(100), crypto_atoms=Decimal(12800))])
    payout_id = await reserve(db, him)
    assert payout_id is not None
    await invoice(db, payout_id)
    await submit(db, payout_id)
    await settle(db, payout_id)
    await Intake(db, IntakeConfig()).process([success(fiat=Decimal(100), crypto_atoms=Decimal(12800))])
    last = await value(db, "SELECT max(id) FROM distribution")
    await reversals.reverse(db, last, reason=f"{NAME} and {OTHER} were mixed up", actor=ME)
    await clients.set_checked_destination(db, keys, str(him), address, DestinationInfo(ADDRESS), actor=ME)
    await client_access.make_link(db, str(him), actor=ME)
    await client_access.allow(db, str(him), switch_mode=True, actor=ME)
    await api_tokens.add(db, name="jose-phone", scopes=[Scope.CLIENT], days=None, client_id=him, actor=ME)
    await fixed_amounts.change(db, str(him), per_day="10", actor=f"client:{him}")
    wish = adjustments.Wish(str(other), f"was {NAME.upper()}'s, see {PHONE}; not {OTHER}'s", sats="7")
    await adjustments.apply(db, wish, actor=ME)
    await sql(
        db,
        """INSERT INTO webhook (name, url, secret_encrypted, kinds, after_event_id, created_by)
           VALUES ('w', 'https://x.example', '', '{*}', 0, 'os:ana')""",
    )
    for state, ended in (("pending", "NULL"), ("delivered", "now()")):
        await sql(
            db,
            f"""INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, ended_at)
                SELECT 1, id * CASE WHEN :state = 'pending' THEN 1000 ELSE 1 END, kind, :body, :state, {ended}
                  FROM event WHERE subject = :subject""",
            state=state,
            body=json.dumps({"name": NAME}),
            subject=f"client:{him}",
        )
    return him, other


async def give_back_rest(db: Database, client_id: int) -> None:
    left = await value(
        db, "SELECT -sum(balance) FROM account WHERE client_id = :c AND purpose = 'client-fiat'", c=client_id
    )
    await cash.give_back(
        db, str(client_id), f"{Decimal(left) / 100:f}", machine=None, pool=None, reason=f"{NAME} leaves", actor=ME
    )


async def share_commission(
    db: Database, shares: tuple[tuple[str, str], ...], inactive: tuple[str, ...] = ()
) -> None:
    wish = commission.Wish(shares=shares, inactive=inactive)
    before = (await commission.preview(db, wish)).before
    await commission.apply(db, wish, seen=before, reason=None, actor=ME)


async def whole(db: Database) -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    async with db.transaction() as conn:
        tables = await rows(
            conn, "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        )
        return {
            r[0]: [x[0] for x in await rows(conn, f"SELECT to_jsonb(x) FROM {r[0]} x ORDER BY x::text")]
            for r in tables
        }


def of(found: dict[str, list[dict[str, Any]]], table: str, *leave_out: str) -> list[str]:
    kept = [{k: v for k, v in row.items() if k not in leave_out} for row in found[table]]
    return sorted(json.dumps(row, sort_keys=True) for row in kept)


async def test_erasing(books: Database, keys: KeyRing, books_db: TestDb) -> None:
    him, other = await two_clients(books, keys)
    await share_commission(books, ((str(him), "5"),), inactive=(str(him),))
    pending = await deposits.record(books, client=str(him), amount="5", currency=None, note=None, actor=ME)
    before = await whole(books)
    with pytest.raises(ConflictError) as refused:
        await erasing.erase(books, NAME, reason="asked for", actor=ME)
    for text in (
        "a share of the commission",
        "GTQ in the pool",
        f"pending ({pending.deposit_id})",
        "give-back",
        "deposit void",
    ):
        assert text in str(refused.value)
    await deposits.void(books, pending.deposit_id, reason="not brought", actor=ME)
    await share_commission(books, ())
    await give_back_rest(books, him)
    for reason, words, field in (
        (" ", (), "reason"),
        (f"letter of {NAME.lower()}", (), "reason"),
        ("x", ("ab",), "words"),
        ("x", ("a\x1bb",), "words"),
        ("x", ("abc",) * 51, "words"),
    ):
        with pytest.raises(InputError) as wrong:
            await erasing.erase(books, NAME, reason=reason, words=words, actor=ME)
        assert wrong.value.field == field
    before = await whole(books)
    rehearsed = await erasing.erase(books, NAME, reason="asked for", words=[PHONE], actor=ME, rehearse=True)
    assert await whole(books) == before

    done = await erasing.erase(books, NAME, reason="asked for", words=[PHONE], actor=ME)
    assert done == rehearsed
    assert (done.client_id, done.name, done.name_after) == (him, NAME, f"client-{him} (erased)")
    assert (done.destinations, done.personal_links, done.tokens) == (2, 1, 1)
    after = await whole(books)

    # Nowhere a word of his: but in another's name, which stands where it stood.
    text = json.dumps(after, ensure_ascii=False).replace(OTHER, "")
    assert [word for word in (*WORDS, "jose-phone") if word.lower() in text.lower()] == []
    assert "his-invoice-key" not in text and await value(books, "SELECT count(*) FROM client_link") == 0
    assert (await clients.show(books, OTHER)).client_id == other
    gone = f"client-{him} (erased)"
    reasons = {row["reason"] for row in after["distribution"] + after["adjustment"] if row["reason"]}
    assert reasons == {f"was {gone}'s, see {gone}; not {OTHER}'s"}
    causes = [row["cause"] for row in after["journal_entry"] if row["template"] == "reversal"]
    assert causes == [f"distribution 2: {gone} and {OTHER} were mixed up"]
    # What was sent of him is gone; what has still to be sent tells no name.
    assert {row["body"] for row in after["webhook_delivery"]} == {json.dumps({"name": gone})}

    # The books: every amount, id, time and sum as it was.
    for table in ("account", "posting", "distribution_record", "payout_record", "fixed_amount", "machine"):
        assert after[table] == before[table], table
    for table, texts in {
        "journal_entry": ("cause",),
        "cash_out": ("reason_text",),
        "distribution": ("reason",),
        "deposit": ("note", "void_reason"),
        "adjustment": ("reason",),
        "cash_movement": ("reason",),
        "payout": ("bolt11", "receiver_wallet_id"),
    }.items():
        assert of(after, table, *texts) == of(before, table, *texts), table
    assert [check for check in await verify(books) if not check.holds] == []
    others = [
        row for row in before["audit_log"] if row["subject"] == f"client:{other}" and row["action"] == "client.add"
    ]
    assert others[0] in after["audit_log"]
    new = [row for row in after["audit_log"] if row["id"] not in {row["id"] for row in before["audit_log"]}]
    assert [(row["action"], row["actor"], row["reason"], row["subject"]) for row in new] == [
        ("client.erase", ME, "asked for", f"client:{him}")
    ]

    # It is history: nothing of it changes any more, and who comes back is another client.
    with pytest.raises(ConflictError, match="was erased"):
        await erasing.erase(books, str(him), reason="again", actor=ME)
    for attempt in (
        lambda: clients.set_status(books, str(him), Status.ACTIVE, actor=ME),
        lambda: deposits.record(books, client=str(him), amount="5", currency=None, note=None, actor=ME),
        lambda: client_access.make_link(books, str(him), actor=ME),
        lambda: fixed_amounts.change(books, str(him), per_day="5", actor=ME),
        lambda: adjustments.apply(books, adjustments.Wish(str(him), "x", sats="5"), actor=ME),
    ):
        with pytest.raises(DcaError, match="was erased"):
            await attempt()
    assert await destinations.check_keys(books, keys) == 0
    await add(books, keys, NAME, Destination(DestinationKind.LIGHTNING_ADDRESS, address=ADDRESS), "x")
    with psycopg.connect(books_db.dsn) as direct, pytest.raises(psycopg.errors.RestrictViolation):
        direct.execute(
            "INSERT INTO api_token (name, token_hash, hint, scopes, client_id, created_by)"
            " VALUES ('x', 'x', 'x', '{client}', %s, 'x')",
            (him,),
        )


# Each within a transaction that erases a client, and that has rightly said so.
TAMPERING = (
    "UPDATE audit_log SET reason = 'another story'",
    "UPDATE audit_log SET reason = erased_name(:him)",  # also of what is not his
    "UPDATE audit_log SET reason = NULL",
    "UPDATE audit_log SET actor = erased_name(:him)",
    "UPDATE audit_log SET at = now()",
    'UPDATE audit_log SET after = \'{"mode": "fixed"}\'',
    "UPDATE audit_log SET after = after || '{\"more\": 1}' WHERE subject = 'client:' || :him",
    "DELETE FROM audit_log",
    "UPDATE journal_entry SET cause = 'deposit 99'",
    "UPDATE journal_entry SET happened_at = now()",
    "UPDATE posting SET amount = amount + 1",
    "UPDATE account SET balance = 0",
    "UPDATE adjustment SET amount_sats = 70",
    "UPDATE adjustment SET reason = erased_name(:him)",
    "UPDATE cash_movement SET reason = 'x'",
    "UPDATE distribution SET reason = 'x', total_sats = 1",
    "UPDATE distribution SET reason = 'x'",
    "UPDATE distribution_record SET sats = 1",
    "UPDATE deposit SET amount_minor = 1",
    "UPDATE payout SET bolt11 = 'lnbc1'",
    "UPDATE payout SET payment_hash = NULL",
    "DELETE FROM payout",
    "DELETE FROM erasure",
    "INSERT INTO deposit (client_id, pool_id, amount_minor) SELECT :him, 1, 5",
    "SELECT 1",  # what was begun must be done: the client's data are still there at the end
)


async def test_an_erasure_is_no_way_to_edit_the_books(books: Database, keys: KeyRing) -> None:
    him, _ = await two_clients(books, keys)
    await give_back_rest(books, him)
    begun = "INSERT INTO erasure (client_id, actor) VALUES (:him, 'x')"
    words = "SELECT set_config('dca.erasing', '{\"words\": [\"José Núñez\"]}', true)"
    before = await whole(books)
    for statement in TAMPERING:
        with pytest.raises(Exception, match=r"refused|erase|final|only postings|append-only") as error:
            async with books.transaction() as conn:
                await execute(conn, begun, him=him)
                await scalar(conn, words)
                if statement.startswith("INSERT"):
                    await execute(conn, "UPDATE client SET erased_at = now() WHERE id = :him", him=him)
                await execute(conn, statement, **({"him": him} if ":him" in statement else {}))
        assert "IntegrityError" in type(error.value).__name__, (statement, error.value)
    # And without one nothing at all, not even of no row.
    for statement in (
        "UPDATE audit_log SET reason = erased_text(reason, 1)",
        "UPDATE audit_log SET reason = '' WHERE false",
        "UPDATE client SET erased_at = now()",
    ):
        with pytest.raises(Exception, match=r"append-only|no erasure"):
            await sql(books, statement)
    # Nor can somebody be erased who has something in.
    with pytest.raises(Exception, match="still has something"):
        await sql(books, "INSERT INTO erasure (client_id, actor) SELECT client_id, 'x' FROM adjustment")
    assert await whole(books) == before

    # What begins meanwhile waits, and is refused then.
    async with books.transaction() as conn:
        await erasing.erase(OneTransaction(books, conn), str(him), reason="asked for", actor=ME)
        late = asyncio.create_task(
            deposits.record(books, client=str(him), amount="5", currency=None, note=None, actor=ME)
        )
        waiting = """SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                        AND wait_event_type = 'Lock' AND query LIKE '%INTO deposit%'"""
        async with asyncio.timeout(60):
            while not await value(books, waiting):  # noqa: ASYNC110 - PostgreSQL has no event for it
                await asyncio.sleep(0.01)
    with pytest.raises(IntegrityError, match="is history"):
        await late
    assert [check for check in await verify(books) if not check.holds] == []
