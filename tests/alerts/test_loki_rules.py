"""The rules for Loki, read back and evaluated on real log lines of ours by the few operators that they use.

There is no Loki here: its own parser has not seen them.
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from typing import Any

import pytest
import structlog
import yaml

from dca_daemon.domain.alerts import CATALOGUE, Severity
from dca_daemon.runtime.logging import configure_logging
from tests.docs.sources import ROOT

FILE = ROOT / "deploy/alerts/loki/dca-daemon.rules.yml"
EXPRESSION = re.compile(
    r'sum by \(event\) \(count_over_time\(\{unit=~"((?:[^"\\]|\\.)*)"\}'
    r' \| json event="event" \| event=~`([^`]*)` \[(\d+)m\]\)\) > 0'
)
Line = tuple[float, str, str]  # minute, unit, text


def loaded() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(FILE.read_text())
    (group,) = document["groups"]
    return {rule["labels"]["severity"]: rule for rule in group["rules"]}


def firing(expression: str, lines: list[Line], minute: float) -> set[str]:
    """The events for which it fires: Loki's regular expressions match as a whole, RE2 as Python's for these."""
    found = EXPRESSION.fullmatch(expression)
    assert found, expression
    unit = json.loads(f'"{found[1]}"')
    counted: Counter[str] = Counter()
    for at, stream, text in lines:
        event = json.loads(text).get("event", "")
        if minute - int(found[3]) < at <= minute and re.fullmatch(unit, stream) and re.fullmatch(found[2], event):
            counted[event] += 1
    return {event for event, number in counted.items() if number > 0}


def line(event: str, **fields: Any) -> str:
    stream = io.StringIO()
    configure_logging(level="info", format="json", stream=stream)
    structlog.get_logger().error(event, **fields)
    return stream.getvalue().strip()


@pytest.mark.parametrize("severity", list(Severity))
def test_each_event_of_that_severity_fires_and_clears(severity: Severity) -> None:
    rule = loaded()[severity]
    lines = [(10.0, "dca-daemon.service", line(event, client_id=1)) for event in CATALOGUE]
    lines.append((10.0, "dca-console.service", line("cash-out.distributed")))
    expected = {event for event, alert in CATALOGUE.items() if alert.severity is severity}
    assert firing(rule["expr"], lines, 9) == set()
    assert firing(rule["expr"], lines, 12) == firing(rule["expr"], lines, 24) == expected
    assert firing(rule["expr"], lines, 26) == set()


def test_other_units_and_texts_that_only_look_alike_do_not_fire() -> None:
    lines = [
        (1.0, "other.service", line("lnbits.lost")),
        (1.0, "dca-daemonXservice", line("lnbits.lost")),
        (1.0, "dca-daemon.service", line("library", message="lnbits.lost")),
        (1.0, "dca-daemon.service", line("lnbitsXlost")),
    ]
    assert all(firing(rule["expr"], lines, 2) == set() for rule in loaded().values())
    assert firing(loaded()["page"]["expr"], [(1.0, "dca-daemon.service", line("lnbits.lost"))], 2) == {
        "lnbits.lost"
    }
