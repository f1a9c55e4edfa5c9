"""When the daemon waits before it pays, and which payments count for whom: on real books, with a made-up list."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from dca_daemon.domain.errors import WalletRefusedError, WalletReplyError, WalletUnknownError
from dca_daemon.ledger import which_copy
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.books import SqlPayoutBooks
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.payouts.wallet import TAG, Destination, RecordStatus, WalletRecord
from dca_daemon.runtime.recoverer import Recoverer
from dca_daemon.services import payouts
from dca_daemon.services.recovery import Fate, Found, Search
from tests.e2e.conftest import eventually
from tests.fixtures.postgres import PostgresServer, TestDb
from tests.payouts.stub_wallet import StubWallet
from tests.services.builders import sql, value

NOW = datetime.now(UTC)


@dataclass
class ListedPayments:
    """What LNbits lists, and the hashes that some receiver's wallet shows."""

    records: list[WalletRecord] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)
    fails: Exception | None = None
    asked_since: list[datetime] = field(default_factory=list)

    async def payments_tagged(self, since: datetime) -> AsyncIterator[WalletRecord]:
        self.asked_since.append(since)
        for record in list(self.records):
            yield record
        if self.fails is not None:
            raise self.fails

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        if "key gone" in (destination.invoice_key or ""):
            raise WalletRefusedError("404", status=404)
        return next(
            (r for r in self.records if r.payment_hash == payment_hash and payment_hash in self.shown), None
        )


class Setting:
    """Books with an LNbits client 1 and a client 2 at a Lightning address, and a list of payments."""

    def __init__(self, db: Database, keys: KeyRing) -> None:
        self.db, self.keys, self.lnbits = db, keys, ListedPayments()

    async def begin(self) -> None:
        await sql(
            self.db,
            """INSERT INTO destination (kind, address, invoice_key_encrypted)
               VALUES ('lnbits', NULL, :key), ('lightning-address', 'beto@example.com', NULL)""",
            key=self.keys.encrypt("key"),
        )
        await sql(
            self.db,
            "INSERT INTO client (name, mode, destination_id) VALUES ('Ana', 'flow', 1), ('Beto', 'flow', 2)",
        )
        self.installation = str(await value(self.db, "SELECT id FROM installation"))

    def paid(self, client: object = 1, *, amount_msat: int = -5_000, shown: bool = True, **extra: object) -> str:
        """LNbits lists another payment of ours; its hash."""
        payment_hash = f"{len(self.lnbits.records):064x}"
        status = RecordStatus(str(extra.pop("status", "success")))
        full = {"client": client, "installation": self.installation, "payout_id": str(uuid.uuid4()), **extra}
        self.lnbits.records.append(
            WalletRecord(payment_hash, "source", amount_msat, 0, status, True, None, TAG, NOW, full, "ln1")
        )
        if shown:
            self.lnbits.shown.add(payment_hash)
        return payment_hash

    async def search(self, **options: Any) -> list[Found]:
        return [found async for found in Search(self.db, self.lnbits, self.keys, **options).run()]

    def recoverer(self, patience_seconds: float = 60) -> Recoverer:
        made = Recoverer(self.db, self.lnbits, self.keys, patience_seconds=patience_seconds)
        made.begin()
        return made

    async def wait(self, recoverer: Recoverer) -> float:
        return await recoverer.seconds_to_wait(lambda: None)


@pytest.fixture
async def setting(books: Database, keys: KeyRing) -> Setting:
    made = Setting(books, keys)
    await made.begin()
    return made


async def test_a_lightning_address_is_told_by_what_the_payment_carries(setting: Setting) -> None:
    setting.paid(2, to="beto@example.com")
    setting.paid(2, to="somebody@example.com")
    setting.paid(2)
    fates = [(found.fate, found.text) for found in await setting.search()]
    assert fates[0] == (Fate.ADOPTED, "")
    assert fates[1] == (
        Fate.HELD,
        "it was paid to somebody@example.com, where client 2 is not paid by these books",
    )
    assert fates[2] == (Fate.HELD, "no wallet of client 2 that these books know shows this payment")


async def test_a_held_one_at_a_lightning_address_can_only_be_resolved(setting: Setting) -> None:
    setting.paid(2, to="somebody@example.com")
    await setting.search()
    (held,) = await payouts.list_all(setting.db)
    with pytest.raises(Exception, match="no look-up can tell whether it reached this client"):
        await payouts.release(setting.db, held.payout_id, reason="go on", actor="op")


async def test_pending_and_failed_ones_are_adopted_too_and_look_ups_decide(setting: Setting) -> None:
    setting.paid(status="pending")
    setting.paid(status="failed")
    assert [found.fate for found in await setting.search()] == [Fate.ADOPTED] * 2


async def test_what_is_not_ours_is_left_alone(setting: Setting) -> None:
    setting.paid(installation="another")
    setting.paid(amount_msat=5_000)  # came in: the source wallet is somebody's receiver too
    assert await setting.search() == []


@pytest.mark.parametrize("client", [None, "1", 1.5, -1, 0, 2**40])
async def test_one_that_names_no_client_is_a_stray_and_harms_nobody(setting: Setting, client: object) -> None:
    setting.paid(client)
    (found,) = await setting.search()
    assert found.fate is Fate.STRAY
    assert await value(setting.db, "SELECT last_value FROM client_id_seq") == 2


async def test_one_with_an_odd_payout_id_or_of_an_amount_that_is_none(setting: Setting) -> None:
    setting.paid(payout_id="no uuid")
    setting.paid(payout_id=7)
    setting.paid(amount_msat=-5_001)
    assert [found.fate for found in await setting.search()] == [Fate.ADOPTED, Fate.ADOPTED, Fate.STRAY]
    assert await setting.search() == [found for found in await setting.search() if found.fate is Fate.STRAY]


async def test_two_payments_of_one_payout_id_are_two_payouts(setting: Setting) -> None:
    payout_id = str(uuid.uuid4())
    setting.paid(payout_id=payout_id)
    setting.paid(payout_id=payout_id, amount_msat=-7_000)
    await setting.search()
    found = {p.payout_id: p.amount_sats for p in await payouts.list_all(setting.db)}
    assert len(found) == 2 and found[payout_id] == 5


async def test_an_empty_installation_looks_from_its_beginning_and_later_from_its_newest_payout(
    setting: Setting,
) -> None:
    await setting.search()
    began: datetime = await value(setting.db, "SELECT created_at FROM installation")
    assert setting.lnbits.asked_since == [began - timedelta(days=1)]
    setting.paid()
    await setting.search()
    await setting.search()
    assert setting.lnbits.asked_since[-1] == NOW - timedelta(days=1)  # LNbits' time, not when it was adopted


async def test_the_usual_start_asks_once_and_pays_at_once(setting: Setting) -> None:
    for _ in range(2):
        with capture_logs() as logs:
            assert await setting.wait(setting.recoverer()) == 0
        assert logs == []
    assert len(setting.lnbits.asked_since) == 2


async def test_whoever_adopted_waits_and_looks_again(setting: Setting) -> None:
    setting.paid()
    recoverer = setting.recoverer(0.2)
    with capture_logs() as logs:
        assert 0 < await setting.wait(recoverer) <= 0.2
        assert 0 < await setting.wait(recoverer) <= 0.2  # asked too early: it does not look again
        setting.paid()  # a request of the lost process ran late
        await asyncio.sleep(0.2)
        assert await setting.wait(recoverer) == 0
    assert [line["event"] for line in logs] == [
        "recovery.adopted",
        "recovery.waits",
        "recovery.adopted",
        "recovery.done",
    ]
    assert logs[-1]["adopted"] == 2 and logs[-1]["adopted_sats"] == 10
    assert len(setting.lnbits.asked_since) == 2


async def test_a_stray_is_told_once_and_nobody_waits_for_it(setting: Setting) -> None:
    setting.paid(9)
    with capture_logs() as logs:
        assert await setting.wait(setting.recoverer()) == 0
    assert [line["event"] for line in logs] == ["recovery.stray", "recovery.done"]
    assert "recover --as 9=CLIENT" in logs[0]["reason"]
    assert await value(setting.db, "SELECT last_value FROM client_id_seq") == 9


async def test_another_copy_of_the_books_waits_even_when_nothing_is_found(
    setting: Setting, postgres_server: PostgresServer, books_db: TestDb
) -> None:
    assert await setting.wait(setting.recoverer()) == 0
    await setting.db.close()
    with postgres_server.clone(books_db.database) as database:
        copy = Database(TestDb(database, postgres_server.dsn(database)).sqlalchemy_url)
        setting.db = copy
        recoverer = setting.recoverer(0.2)
        with capture_logs() as logs:
            assert await setting.wait(recoverer) > 0
        assert logs[0]["event"] == "recovery.waits" and logs[0]["another_copy"]
        await asyncio.sleep(0.2)
        assert await setting.wait(recoverer) == 0
        assert await setting.wait(setting.recoverer()) == 0  # now these are the ones
        await copy.close()


async def test_a_dump_restored_over_the_old_tables_is_another_copy(setting: Setting) -> None:
    await setting.wait(setting.recoverer())
    await sql(setting.db, "ALTER TABLE payout RENAME TO payout_before")
    await sql(setting.db, "CREATE TABLE payout AS TABLE payout_before")
    async with setting.db.transaction() as conn:
        assert await which_copy.is_another(conn)


async def test_an_ordinary_role_can_tell_the_copies_apart(books: Database) -> None:
    await sql(books, "DROP ROLE IF EXISTS dca_plain_test")
    await sql(books, "CREATE ROLE dca_plain_test")
    await sql(books, "GRANT USAGE ON SCHEMA public TO dca_plain_test")
    async with books.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL ROLE dca_plain_test")
        parts = (await which_copy.fingerprint(conn)).split("/")
        assert len(parts) == 4 and all(part.isalnum() for part in parts)
    await sql(books, "REVOKE USAGE ON SCHEMA public FROM dca_plain_test")
    await sql(books, "DROP ROLE dca_plain_test")


def payer(setting: Setting, preparation: Recoverer) -> Payer:
    wallet = StubWallet(balance_msat=10**9)
    return Payer(
        SqlPayoutBooks(setting.db), wallet, setting.keys, PayerConfig(idle_poll_seconds=0.05), preparation
    )


async def run_until(running: Payer, seconds: float) -> list[Any]:
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    with capture_logs() as logs:
        async with asyncio.timeout(seconds + 5):
            await running.run(stop)
    return [line["event"] for line in logs]


async def test_nothing_is_paid_while_lnbits_does_not_tell(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.lnbits.fails = WalletReplyError("LNbits' list is not what was asked for")
    made = payer(setting, setting.recoverer())

    async def too_early(*_: object) -> int:
        raise AssertionError("nothing may be paid yet")

    monkeypatch.setattr(made, "_start_tasks", too_early)
    assert await run_until(made, 0.5) == ["recovery.failed"]
    assert made.outage is not None


async def test_a_fault_of_ours_pays_nothing_and_is_told(setting: Setting) -> None:
    setting.lnbits.fails = RuntimeError("a fault")
    assert await run_until(payer(setting, setting.recoverer()), 0.5) == ["recovery.error"]


async def test_it_goes_on_when_lnbits_answers_again(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dca_daemon.payouts.payer.OUTAGE_INTERVAL_MAX_SECONDS", 0.05)
    setting.lnbits.fails = WalletUnknownError("502")
    made = payer(setting, setting.recoverer())
    stop = asyncio.Event()

    async def mend() -> None:
        await eventually(lambda: made.outage is not None)
        setting.lnbits.fails = None
        await eventually(lambda: made.outage is None)
        stop.set()

    with capture_logs() as logs:
        async with asyncio.timeout(20):
            await asyncio.gather(made.run(stop), mend())
    assert [line["event"] for line in logs] == ["recovery.failed"]


async def test_a_stop_does_not_wait_for_a_search(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    recoverer = setting.recoverer()

    async def endless(beat: object) -> float:
        await asyncio.sleep(3600)
        return 0

    monkeypatch.setattr(recoverer, "seconds_to_wait", endless)
    assert await run_until(payer(setting, recoverer), 0.3) == []
