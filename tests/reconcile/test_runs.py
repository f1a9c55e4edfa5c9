"""What is kept of a comparison, and which of them count."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dca_daemon.demo import atm_scenarios
from dca_daemon.services.reconciliation import runs
from tests.reconcile.conftest import Two
from tests.services.builders import value


async def test_a_persons_look_at_a_part_does_not_count(two: Two) -> None:
    whole = await two.reconcile()
    await runs.save(two.db, whole, actor="os:ana", routine=True)
    atm_scenarios.run(two.atm, "on-chain")
    part = await two.reconcile(datetime.now(UTC) - timedelta(days=1))
    await runs.save(two.db, part, actor="os:ana", routine=False)
    last = await runs.last(two.db)
    assert last is not None and last.agrees
    began = await value(two.db, "SELECT created_at FROM installation")
    assert await runs.daemon_done_at(two.db) == began, "the daemon itself has not compared yet"
    await runs.save(two.db, whole, actor=runs.DAEMON, routine=True)
    assert await runs.daemon_done_at(two.db) > began
    told = await value(two.db, "SELECT string_agg(kind, ' ' ORDER BY id) FROM event WHERE kind ~ '^reconcile'")
    assert told == "reconcile.agrees reconcile.differs reconcile.agrees"
