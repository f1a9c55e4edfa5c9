"""Grafana can read the dashboard, as far as that can be told without it, and it asks for what there is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from itertools import combinations
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dca_daemon.runtime.alert_rules import rules
from dca_daemon.runtime.dashboard import dashboard
from dca_daemon.runtime.metrics import Metrics
from tests.docs.test_metrics_documented import full_snapshot

PANELS: list[dict[str, Any]] = json.loads(dashboard())["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel.get("targets", [])]


def exported() -> set[str]:
    metrics = Metrics(full_snapshot, version="1")
    metrics.count_event("an.event", "info")
    metrics.observe_distribution_latency(1)
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name for family in families for sample in family.samples}


def named(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"\b(?:dca|process)_\w+", text)}


def test_every_metric_of_the_dashboard_and_the_rules_exists() -> None:
    assert named(EXPRESSIONS) - exported() == set()
    assert named([rule.expression for _, members in rules() for rule in members]) - exported() == set()


def test_every_metric_of_ours_is_shown() -> None:
    ours = {name for name in exported() if name.startswith("dca_") and not name.endswith(("_sum", "_count"))}
    assert ours - named(EXPRESSIONS) == set()


def test_it_has_what_grafana_needs() -> None:
    document = json.loads(dashboard())
    assert {"title", "uid", "schemaVersion", "panels", "time", "templating"} <= document.keys()
    variables = {variable["name"] for variable in document["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", dashboard())) <= variables | {"__rate_interval"}
    assert [panel["title"] for panel in PANELS if panel["type"] == "row"] == [
        "Money", "Intake", "Payouts", "Partners and alerts", "Process",
    ]  # fmt: skip
    assert sorted(panel["id"] for panel in PANELS) == list(range(1, len(PANELS) + 1))
    for panel in PANELS:
        assert panel["type"] in {"row", "stat", "timeseries", "state-timeline"}
        if panel["type"] != "row":
            assert panel["targets"] and panel["description"].endswith(".")
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_no_panel_lies_over_another() -> None:
    def apart(one: dict[str, int], other: dict[str, int]) -> bool:
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        return beside or one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]

    places = [panel["gridPos"] for panel in PANELS]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    assert all(apart(one, other) for one, other in combinations(places, 2))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (Debian: prometheus) is missing")
def test_prometheus_reads_every_expression() -> None:
    plain = [text.replace("$__rate_interval", "5m").replace("$job", "dca") for text in EXPRESSIONS]
    recorded = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(plain)]
    document = json.dumps({"groups": [{"name": "panels", "rules": recorded}]})
    command = ["promtool", "check", "rules", "--lint=none", "/dev/stdin"]
    done = subprocess.run(command, input=document.encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
