"""`dca-daemon run` as a real process: from the commit in Lamassu to settled sats."""

from __future__ import annotations

import signal
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca_daemon.demo import atm_scenarios
from dca_daemon.domain.cash_out import CashOutState, Verdict
from dca_daemon.services import baseline, cash_outs, clients, fixed_amounts, fixed_schedules
from tests.e2e.conftest import Installation, eventually, get, terminate_backends
from tests.services.builders import value


async def test_every_kind_of_cash_out_in_listen_mode(installation: Installation) -> None:
    history = atm_scenarios.run(installation.atm, "on-chain")
    late = atm_scenarios.begin(installation.atm, "on-chain")  # created before, successful after the baseline
    await installation.install_trigger()
    installation.start(DCA_LAMASSU__SCAN_INTERVAL_SECONDS="3600")
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    ids = {late.run(): CashOutState.DISTRIBUTED}
    expected = {Verdict.SUCCESS: CashOutState.DISTRIBUTED}
    for name, scenario in atm_scenarios.SCENARIOS.items():
        ids[atm_scenarios.run(installation.atm, name, Decimal(300))] = expected.get(
            scenario.verdict, CashOutState(scenario.verdict.replace("success", "distributed"))
        )
    successes = sum(state is CashOutState.DISTRIBUTED for state in ids.values())
    await installation.distributed(successes)
    # Failures make no notification: a scan mirrors them.
    terminate_backends(installation.lamassu_db.admin_dsn, "dca-daemon%")
    await eventually(lambda: _count_is(installation, len(ids) + 1))
    for external_id, state in ids.items():
        view = await cash_outs.show(installation.db, external_id)
        assert view.summary.state is state, view.summary
        assert view.summary.machine_name
    left_out = await cash_outs.show(installation.db, history)
    assert left_out.summary.state is CashOutState.BEFORE_BASELINE and left_out.split is None
    await installation.all_settled()
    await installation.assert_agrees()


async def _count_is(installation: Installation, count: int) -> bool:
    return bool(await value(installation.db, "SELECT count(*) FROM cash_out") == count)


async def test_polling_alone_finds_everything(installation: Installation) -> None:
    installation.start()
    await installation.has_logged("baseline.set")
    for name in ("on-chain", "lightning", "late", "cancelled"):
        atm_scenarios.run(installation.atm, name)
    await installation.distributed(3)
    await installation.all_settled()
    await installation.assert_agrees()
    status = get(f"{installation.url()}/status").json()
    assert status["mode"] == "poll" and "trigger" in status["mode_reason"]


async def test_notifications_alone_find_successes_at_once(installation: Installation) -> None:
    await installation.install_trigger()
    installation.start(DCA_LAMASSU__SCAN_INTERVAL_SECONDS="3600")
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    external_id = atm_scenarios.run(installation.atm, "lightning")
    await installation.distributed(1)
    assert (await cash_outs.show(installation.db, external_id)).summary.state is CashOutState.DISTRIBUTED
    await installation.all_settled()
    await installation.assert_agrees()


async def test_killed_and_started_again_it_catches_up_and_pays_once(installation: Installation) -> None:
    await installation.install_trigger()
    first = installation.start()
    await installation.has_logged("baseline.set")
    for round_number in range(3):
        for _ in range(4):
            atm_scenarios.run(installation.atm, "lightning", Decimal(500))
        await installation.has_logged("payout.submitted", round_number + 1)
        first.kill()
        first.wait()
        atm_scenarios.run(installation.atm, "on-chain", Decimal(500))  # while nobody looks
        first = installation.start()
    await installation.distributed(15)
    await installation.all_settled()
    await installation.assert_agrees()


async def test_of_two_daemons_one_works_and_the_other_takes_over(installation: Installation) -> None:
    await installation.install_trigger()
    first = installation.start()
    await installation.has_logged("baseline.set")
    installation.start()
    await installation.has_logged("leader.standby")
    assert get(f"{installation.url()}/readyz").json()["role"] == "standby"
    atm_scenarios.run(installation.atm, "lightning")
    await installation.distributed(1)
    first.kill()
    await installation.has_logged("daemon.active", 2)
    atm_scenarios.run(installation.atm, "lightning")
    await installation.distributed(2)
    await installation.all_settled()
    await installation.assert_agrees()


async def test_a_leader_that_was_frozen_wakes_up_and_harms_nothing(installation: Installation) -> None:
    await installation.install_trigger()
    first = installation.start()
    await installation.has_logged("baseline.set")
    installation.start()
    await installation.has_logged("leader.standby")
    for _ in range(6):
        atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    first.send_signal(signal.SIGSTOP)
    assert terminate_backends(installation.books_db.dsn, "dca-daemon%")  # so does a network that drops it
    await installation.has_logged("daemon.active", 2)
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(7)
    first.send_signal(signal.SIGCONT)
    await installation.has_logged("leader.lost")
    await installation.all_settled()
    await installation.assert_agrees()


async def test_sigterm_ends_it_cleanly_within_seconds(installation: Installation) -> None:
    await installation.install_trigger()
    daemon = installation.start()
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "lightning")
    await installation.has_logged("payout.reserved")
    daemon.terminate()
    assert daemon.wait(timeout=10) == 0
    assert installation.logged("daemon.stopped")
    assert not installation.logged("service.cancelled")
    installation.start()
    await installation.all_settled()
    await installation.assert_agrees()


async def test_lost_connections_to_every_database_are_made_good(installation: Installation) -> None:
    await installation.install_trigger()
    installation.start()
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    for _ in range(4):
        atm_scenarios.run(installation.atm, "lightning", Decimal(500))
        terminate_backends(installation.books_db.dsn, "dca-daemon%")
        terminate_backends(installation.lamassu_db.admin_dsn, "dca-daemon%")
    await installation.distributed(4)
    await installation.all_settled()
    await installation.assert_agrees()
    await eventually(lambda: get(f"{installation.url()}/readyz").status_code == 200)


async def test_status_ready_and_metrics_tell_how_it_stands(installation: Installation) -> None:
    await installation.install_trigger()
    installation.start()
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "on-chain")
    await installation.all_settled()
    await installation.distributed(1)
    await installation.all_settled()
    await eventually(lambda: get(f"{installation.url()}/status").json()["books"]["payouts"] == {"settled": 2})
    status = get(f"{installation.url()}/status").json()
    assert status["mode"] == "listen" and status["role"] == "active"
    assert status["books"]["owed_sats"] == 0
    assert get(f"{installation.url()}/healthz").status_code == 200
    assert get(f"{installation.url()}/readyz").json()["ready"] is True
    metrics = get(f"{installation.url()}/metrics").text
    assert 'dca_payouts{state="settled"} 2.0' in metrics
    assert 'dca_log_events_total{event="cash-out.distributed",level="info"} 1.0' in metrics


async def test_fixed_runs_that_were_missed_are_made_and_paid_once_there_is_a_rate(
    installation: Installation,
) -> None:
    db, now = installation.db, datetime.now(UTC)
    await clients.set_mode(db, "Beto", clients.Mode.FIXED, actor="test")
    await fixed_amounts.change(db, "Beto", per_day="250", actor="test")
    await fixed_schedules.change(db, zone="UTC", times=["00:00"], actor="test", at=now - timedelta(days=2))
    installation.start()
    await installation.has_logged("fixed.no-rate")  # LNbits says 0
    status = get(f"{installation.url()}/status").json()["fixed"]
    assert (status["waiting"], status["last_state"]) == (2, None)
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "lightning")
    await installation.has_logged("fixed.run", 2)
    await installation.all_settled()
    await installation.assert_agrees()
    assert {line["rate_source"] for line in installation.logged("fixed.run")} == {"ticker"}
    bought = "SELECT sum(fiat_minor) FROM distribution_record WHERE type = 'fixed' AND state = 'settled'"
    assert await value(db, bought) == 50_000
    await eventually(lambda: get(f"{installation.url()}/status").json()["fixed"]["waiting"] == 0)
    status = get(f"{installation.url()}/status").json()["fixed"]
    assert status["last_state"] == "done" and datetime.fromisoformat(status["next_due_at"]) > now
    metrics = get(f"{installation.url()}/metrics").text
    assert "dca_fixed_waiting_runs 0.0" in metrics and "dca_fixed_next_run_seconds" in metrics


async def test_a_moved_baseline_releases_what_was_left_out(installation: Installation) -> None:
    external_id = atm_scenarios.run(installation.atm, "on-chain")
    installation.start()
    await installation.has_logged("baseline.set")
    first = await baseline.show(installation.db)
    assert first is not None and first.left_out == 1
    from dca_daemon.lamassu.connection import SourceConfig
    from dca_daemon.lamassu.source import LamassuSource

    source = LamassuSource(SourceConfig(dsn=installation.lamassu_db.reader_dsn))
    earlier = (await cash_outs.show(installation.db, external_id)).source_row["created_at"]
    await baseline.set_to(installation.db, source, earlier, actor="test", reason="the first day counts too")
    await source.close()
    await installation.distributed(1)
    await installation.all_settled()
    await installation.assert_agrees()
