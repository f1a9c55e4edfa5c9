"""The daemon compares at its set time, keeps the result, and shows it; its other work goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.runtime import daemon as daemon_module
from dca_daemon.runtime import reconciler, wiring
from dca_daemon.runtime.daemon import Daemon
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services import adjustments
from dca_daemon.services.reconcile import ReconcileConfig
from dca_daemon.services.reconciliation import runs
from dca_daemon.services.reconciliation.findings import Kind
from tests.e2e.conftest import Installation, eventually, set_up
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import sql, value

Logged = Callable[[], list[dict[str, Any]]]


def metric(rendered: bytes, name: str) -> dict[str, float]:
    """A metric's values, by the value of its label."""
    return {
        "".join(sample.labels.values()): sample.value
        for family in text_string_to_metric_families(rendered.decode())
        for sample in family.samples
        if sample.name == name
    }


class Clock:
    """What the daemon takes for the time of day."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return (datetime.now(UTC) + self.ahead).astimezone()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """It looks at the clock without delay, and at ours; its payer looks at nothing by itself."""
    made = Clock()
    monkeypatch.setattr(reconciler, "START_DELAY_SECONDS", 0)
    monkeypatch.setattr(reconciler, "LOOK_SECONDS", 0.05)
    begin: Any = reconciler.Reconciler.__init__
    monkeypatch.setitem(begin.__kwdefaults__, "now", made)
    monkeypatch.setattr(daemon_module, "_COMPARISON", ReconcileConfig(grace_seconds=0.5))
    payer_config = wiring.payer_config
    monkeypatch.setattr(wiring, "payer_config", lambda s: replace(payer_config(s), idle_poll_seconds=3600))
    return made


async def test_at_its_time_the_daemon_compares_and_tells(
    tmp_path: Path, books_db: TestDb, lamassu_db: LamassuDb, lnbits: LnbitsAdmin, clock: Clock, logged: Logged
) -> None:
    async with set_up(tmp_path, books_db, lamassu_db, lnbits) as installation:
        with installation.config_path.open("a") as config:
            config.write('[reconcile]\ntimes = ["00:00"]\n')
        daemon = Daemon(load_settings(installation.config_path))
        stop = asyncio.Event()
        running = asyncio.create_task(daemon.run(stop))
        try:
            await _story(installation, daemon, clock)
        finally:
            stop.set()
            await running
    assert not [line for line in logged() if line["event"] == "service.crashed"]


async def _story(installation: Installation, daemon: Daemon, clock: Clock) -> None:
    db = installation.db
    await eventually(lambda: value(db, "SELECT count(*) FROM baseline"))
    atm_scenarios.run(installation.atm, "on-chain")
    await installation.distributed(1)
    await installation.all_settled()
    by_hand = adjustments.Wish("2", "rounded badly", sats="+1500")
    await adjustments.apply(db, by_hand, actor="user:ana")  # in another process, as far as the daemon knows
    await installation.all_settled()
    assert await runs.last(db) is None
    rendered = await daemon.board.render_metrics()
    assert not metric(rendered, "dca_reconcile_differences")
    assert not metric(rendered, "dca_reconcile_age_seconds")

    clock.ahead = timedelta(days=1)
    first = await eventually(lambda: runs.last(db))
    assert (first.actor, first.complete, first.agrees) == ("daemon", True, True)
    assert datetime.now(UTC) - timedelta(days=36) < first.since < datetime.now(UTC) - timedelta(days=34)

    await sql(db, "ALTER TABLE payout DISABLE TRIGGER payout_protect")
    await sql(db, "UPDATE payout SET fee_msat = 7 WHERE client_id = 1")
    clock.ahead = timedelta(days=2)

    async def second() -> Any:
        found = await runs.last(db)
        return found if found is not None and found.counts else None

    found = await eventually(second)
    assert found.complete and dict(found.counts) == {Kind.PAYMENT_AMOUNT: 1}
    assert await value(db, "SELECT count(*) FROM reconcile_run") == 2
    await eventually(lambda: _shown(daemon))
    status: Any = await daemon.board.status()
    assert status["reconcile"]["counts"] == {"payment-amount": 1}
    assert status["reconcile"]["at"] == found.at


async def _shown(daemon: Daemon) -> bool:
    rendered = await daemon.board.render_metrics()
    differences = metric(rendered, "dca_reconcile_differences")
    if differences.get("payment-amount") != 1:
        return False
    assert differences == {str(kind): float(kind is Kind.PAYMENT_AMOUNT) for kind in Kind}
    assert 0 <= metric(rendered, "dca_reconcile_age_seconds")[""] < 120
    counted = metric(rendered, "dca_log_events_total")
    return {"reconcile.agreesinfo", "reconcile.differserror", "reconcile.differenceerror"} <= counted.keys()
