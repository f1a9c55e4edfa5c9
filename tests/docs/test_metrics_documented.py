"""Every metric of ours is in docs/metrics.md with its type and labels; every one in it exists."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.payout import PayoutState
from dca_daemon.runtime.metrics import Metrics, Snapshot

TEXT = (Path(__file__).parents[2] / "docs/metrics.md").read_text()


def documented() -> dict[str, tuple[str, str, str]]:
    rows = re.findall(r"^\| `(dca_\w+)` \| (\w+) \| ([^|]*) \| (.*) \|$", TEXT, re.MULTILINE)
    return {name: (kind, labels, meaning) for name, kind, labels, meaning in rows}


def full_snapshot() -> Snapshot:
    """With a value for everything there is."""
    return Snapshot(
        cash_outs={"failed": 1},
        payouts={"held": 1},
        owed_sats=1,
        gathered_sats=1,
        oldest_owed_seconds=1,
        source_wallet_balance_sats=1,
        tunnel_up=True,
        listener_mode="listen",
        scan_lag_seconds=1,
        queue_length=1,
        leader=True,
        reconcile_differences={"payment-missing": 1},
        reconcile_age_seconds=1,
        fixed_waiting_runs=0,
        fixed_next_run_seconds=1,
        fixed_last_run_age_seconds=1,
        open_problems={"lnbits.lost": 1},
        backup_last_success_timestamp_seconds=1,
    )


def exported() -> dict[str, tuple[str, str]]:
    metrics = Metrics(full_snapshot, version="1")
    metrics.count_event("an.event", "info")
    metrics.observe_distribution_latency(1)
    found = {}
    for family in text_string_to_metric_families(metrics.render().decode()):
        if family.name.startswith("dca_"):
            labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
            name = f"{family.name}_total" if family.type == "counter" else family.name
            found[name] = (family.type, ", ".join(f"`{label}`" for label in labels) or "–")
    return found


def test_the_document_lists_exactly_what_is_exported() -> None:
    assert {name: row[:2] for name, row in documented().items()} == exported()


def test_the_document_lists_every_state() -> None:
    for name, states in (("dca_cash_outs", CashOutState), ("dca_payouts", PayoutState)):
        meaning = documented()[name][2]
        assert re.findall(r"`([a-z-]+)`", meaning) == [state.value for state in states]


def test_the_alerts_name_metrics_that_exist() -> None:
    assert set(re.findall(r"dca_\w+", TEXT)) <= set(exported())
