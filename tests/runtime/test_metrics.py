"""What Prometheus gets to read."""

from __future__ import annotations

import structlog
from prometheus_client.parser import text_string_to_metric_families

from dca_daemon.runtime.logging import count_events_with
from dca_daemon.runtime.metrics import Metrics, Snapshot


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_snapshot_is_taken_at_each_scrape() -> None:
    now = Snapshot(cash_outs={"distributed": 3, "review": 1}, owed_sats=12, listener_mode="poll", leader=True)
    metrics = Metrics(lambda: now, version="1.2.3")
    found = samples(metrics)
    assert found["dca_cash_outs", (("state", "distributed"),)] == 3
    assert found["dca_owed_sats", ()] == 12
    assert found["dca_listener_mode", (("mode", "poll"),)] == 1
    assert found["dca_listener_mode", (("mode", "listen"),)] == 0
    assert found["dca_leader", ()] == 1
    assert found["dca_build_info", (("version", "1.2.3"),)] == 1
    now = Snapshot(cash_outs={"distributed": 4}, payouts={"settled": 2})
    found = samples(metrics)
    assert found["dca_cash_outs", (("state", "distributed"),)] == 4
    assert found["dca_payouts", (("state", "settled"),)] == 2
    assert found["dca_leader", ()] == 0


def test_what_is_not_known_is_not_shown_as_zero() -> None:
    names = {name for name, _ in samples(Metrics(Snapshot, version="1"))}
    assert not names & {"dca_owed_sats", "dca_source_wallet_balance_sats", "dca_scan_lag_seconds"}


def test_log_lines_and_latencies_are_counted(logged: object) -> None:
    metrics = Metrics(Snapshot, version="1")
    count_events_with(metrics.count_event)
    for _ in range(3):
        structlog.get_logger().warning("payout.held")
    metrics.observe_distribution_latency(0.007)
    found = samples(metrics)
    assert found["dca_log_events_total", (("event", "payout.held"), ("level", "warning"))] == 3
    assert found["dca_distribution_latency_seconds_bucket", (("le", "0.005"),)] == 0
    assert found["dca_distribution_latency_seconds_bucket", (("le", "0.01"),)] == 1


def test_two_daemons_in_one_process_do_not_mix() -> None:
    first, second = Metrics(Snapshot, version="1"), Metrics(Snapshot, version="1")
    first.count_event("a", "info")
    assert not any(name == "dca_log_events_total" for name, _ in samples(second))
