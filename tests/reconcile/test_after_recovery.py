"""Books restored from an old dump: what differs is told, and a recovery makes it agree."""

from __future__ import annotations

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.ledger.db import Database
from dca_daemon.services.reconciliation.findings import Kind
from dca_daemon.services.recovery import Search
from tests.fixtures.postgres import PostgresServer, TestDb
from tests.reconcile.conftest import Three
from tests.services.builders import value


async def test_a_recovery_makes_it_agree(three: Three, books_db: TestDb, postgres_server: PostgresServer) -> None:
    await three.cash_out()
    await three.db.close()
    with postgres_server.clone(books_db.database) as dump:
        await three.world.payer().drain()
        await three.db.close()
        three.db = three.world.db = Database(sqlalchemy_url(postgres_server.dsn(dump)))
        assert [one.kind for one in await three.differences()] == [Kind.PAYMENT_UNKNOWN] * 2

        search = Search(three.db, three.wallet, three.world.keys)
        assert len([found async for found in search.run()]) == 2
        for _ in range(2):
            await three.world.due_now()
            await three.world.payer().drain()
        covered = "SELECT count(*) FROM payout WHERE state = 'settled' AND payment_hash IS NULL"
        assert await value(three.db, covered) == 2, "the credits have paid what was owed"
        found = await three.reconcile()
        assert found.agrees and not found.notes
        assert found.compared["settled_payouts"] == found.compared["received"] == 2
        await three.db.close()
