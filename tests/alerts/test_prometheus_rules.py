"""Every rule for Prometheus fires when it should and clears: by promtool, Prometheus' own evaluator."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dca_daemon.runtime.alert_rules import Rule, rules
from dca_daemon.runtime.metrics import Metrics
from tests.docs.sources import ROOT
from tests.docs.test_metrics_documented import full_snapshot

FILE = ROOT / "deploy/alerts/prometheus/dca-daemon.rules.yml"
pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is missing"
)

RULES = [rule for _, members in rules() for rule in members]
QUIET, FIRING, CLEAR = 20, 45, 80  # minutes at which it is looked
A = 'instance="a", job="dca"'
# What is there until minute 30, from then until minute 50, and after it.
SERIES = {
    "DcaDaemonDown": [("dca_build_info{version=\"1\"}", "1x29 _x20 1x40")],
    "DcaNoActiveDaemon": [(f"dca_leader{{{A}}}", "1x29 0x19 1x40"), ('dca_leader{instance="b"}', "0x90")],
    "DcaSeveralActiveDaemons": [(f"dca_leader{{{A}}}", "1x90"), ('dca_leader{instance="b"}', "0x29 1x19 0x40")],
    "DcaRestarts": [
        (f"process_start_time_seconds{{{A}}}", "1x29 2 3 4 5 6 7 8 9 10 11 12 12x60"),
        (f"dca_build_info{{{A}}}", "1x99"),
        ('process_start_time_seconds{instance="other"}', "1+1x99"),
    ],
    "DcaScanLag": [
        (f"dca_scan_lag_seconds{{{A}}}", "60x29 900x19 60x40"),
        (f"dca_leader{{{A}}}", "1x99"),
        ('dca_scan_lag_seconds{instance="standby"}', "90000x99"),
        ('dca_leader{instance="standby"}', "0x99"),
    ],
    "DcaSomebodyWaitsForSats": [("dca_oldest_owed_seconds", "30x29 4000x19 0x40")],
    "DcaFixedRunsWait": [("dca_fixed_waiting_runs", "0x29 1x19 0x40")],
    "DcaNotCompared": [("dca_reconcile_age_seconds", "3600x29 180000x19 60x40")],
}  # fmt: skip

# These read the same metrics, so that each needs a world of its own; it would take long for all.
SHARED = {"DcaDaemonDown", "DcaNoActiveDaemon", "DcaSeveralActiveDaemons", "DcaRestarts", "DcaScanLag"}


def series_of(rule: Rule) -> list[tuple[str, str]]:
    if rule.name in SERIES:
        return SERIES[rule.name]
    if counted := re.search(r'dca_log_events_total\{event="([^"]+)"\}', rule.expression):
        return [(f'dca_log_events_total{{event="{counted[1]}", level="x"}}', "3x35 4x60")]
    gauge = re.search(r"dca_\w+(\{[^}]*\})?", rule.expression)
    assert gauge, rule.name
    return [(gauge[0], "0x29 2x19 0x40")]


def case(rule: Rule, series: list[tuple[str, str]], looks: dict[int, bool]) -> dict[str, Any]:
    labels = {"severity": str(rule.severity)}
    if rule.name == "DcaRestarts":
        labels |= {"instance": "a", "job": "dca"}
    firing = {"exp_labels": labels, "exp_annotations": {"summary": rule.summary, "description": rule.remedy}}
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series],
        "alert_rule_test": [
            {"eval_time": f"{minute}m", "alertname": rule.name, "exp_alerts": [firing] if fires else []}
            for minute, fires in looks.items()
        ],
    }


def cases() -> list[dict[str, Any]]:
    looks = {QUIET: False, FIRING: True, CLEAR: False}
    apart = [case(rule, series_of(rule), looks) for rule in RULES if rule.name in SHARED]
    together = [case(rule, series_of(rule), looks) for rule in RULES if rule.name not in SHARED]
    merged = {
        name: [part for one in together for part in one[name]] for name in ("input_series", "alert_rule_test")
    }
    found = [*apart, {"interval": "1m", **merged}]
    held = next(rule for rule in RULES if rule.name == "DcaPayoutFailed")
    name = 'dca_log_events_total{event="payout.failed", level="error"}'
    # The first of all, in a counter that was not there before; and a restart, after which it counts from 0.
    found.append(case(held, [(name, "_x35 1x60")], {QUIET: False, FIRING: True, CLEAR: False}))
    found.append(case(held, [(name, "5x29 0x60")], {QUIET: False, FIRING: False, CLEAR: False}))
    lost = next(rule for rule in RULES if rule.name == "DcaLnbitsLost")
    blip = [('dca_open_problems{event="lnbits.lost"}', "0x29 1 0x50")]
    found.append(case(lost, blip, {30: False, 31: False}))
    return found


def promtool(*arguments: str, stdin: bytes | None = None) -> None:
    done = subprocess.run(["promtool", *arguments], input=stdin, capture_output=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()[-4000:]


def test_every_rule_fires_and_clears(tmp_path: Path) -> None:
    test = {"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": cases()}
    (tmp_path / "test.yml").write_text(json.dumps(test))
    promtool("test", "rules", str(tmp_path / "test.yml"))


def test_a_test_that_expects_too_much_fails(tmp_path: Path) -> None:
    lost = next(rule for rule in RULES if rule.name == "DcaLnbitsLost")
    test = {"rule_files": [str(FILE)], "evaluation_interval": "1m", "tests": [case(lost, [], {FIRING: True})]}
    (tmp_path / "test.yml").write_text(json.dumps(test))
    with pytest.raises(AssertionError, match="DcaLnbitsLost"):
        promtool("test", "rules", str(tmp_path / "test.yml"))


def test_the_metrics_follow_the_conventions() -> None:
    metrics = Metrics(full_snapshot, version="1")
    metrics.count_event("an.event", "info")
    metrics.observe_distribution_latency(1)
    promtool("check", "metrics", stdin=metrics.render())
