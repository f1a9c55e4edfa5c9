"""The Grafana dashboard in deploy/grafana, made here so that what repeats is said once.

`alert_files.py` writes it; a test compares, and has Prometheus read every expression in it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_WIDTH = 24
_DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
_RATE = "$__rate_interval"
_JOB = 'job=~"$job"'


@dataclass(frozen=True, slots=True)
class Panel:
    """`queries`: expression and legend of each. `unit` is Grafana's; `bad`: red from that value on."""

    title: str
    meaning: str
    queries: Sequence[tuple[str, str]]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    height: int = 7
    bad: float | None = None
    calm: str = "green"


def _stat(
    title: str,
    meaning: str,
    expression: str,
    unit: str = "short",
    *,
    bad: float | None = None,
    calm: str = "green",
    legend: str = "",
) -> Panel:
    return Panel(title, meaning, [(expression, legend)], "stat", unit, 4, 4, bad, calm)


_OPEN = 'state=~"reserved|invoiced|submitted|unknown|held"'
_STEPS = r'event=~"payout\\..+"'
_LATENCY = "dca_distribution_latency_seconds_bucket"
_LOUD = 'level=~"warning|error|critical"'

_ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Money",
        (
            _stat(
                "Owed", "To receivers, not yet settled, in satoshis.", "max(dca_owed_sats)", "locale", calm="blue"
            ),
            _stat(
                "Waits since",
                "Age of the oldest record that is not paid.",
                "max(dca_oldest_owed_seconds)",
                "s",
                bad=3600,
            ),
            _stat(
                "Source wallet",
                "Its balance in satoshis.",
                "max(dca_source_wallet_balance_sats)",
                "locale",
                calm="blue",
            ),
            _stat(
                "Gathered commission",
                "Not payable yet, in satoshis.",
                "max(dca_gathered_sats)",
                "locale",
                calm="blue",
            ),
            _stat(
                "Settled in a day",
                "Payouts that were settled in the last 24 hours.",
                'max(dca_payouts{state="settled"}) - max(dca_payouts{state="settled"} offset 1d)',
                calm="blue",
            ),
            _stat(
                "Differences",
                "What differed when the books were last compared with LNbits and Lamassu.",
                "sum(max by (kind) (dca_reconcile_differences))",
                bad=1,
            ),
            Panel(
                "Source wallet and what is owed",
                "Where the lines meet, payouts wait.",
                [("max(dca_source_wallet_balance_sats)", "source wallet"), ("max(dca_owed_sats)", "owed")],
                unit="locale",
                width=12,
            ),
            Panel(
                "Age of what is owed, and of the last comparison",
                "Of the oldest record that is not paid; since everything could be compared.",
                [
                    ("max(dca_oldest_owed_seconds)", "oldest owed"),
                    ("min(dca_reconcile_age_seconds)", "last comparison"),
                ],
                unit="s",
                width=12,
            ),
        ),
    ),
    (
        "Intake",
        (
            _stat("In review", "Cash-outs that wait for a person.", 'max(dca_cash_outs{state="review"})', bad=1),
            _stat(
                "Scan lag", "Since Lamassu's database was last read.", "min(dca_scan_lag_seconds)", "s", bad=600
            ),
            _stat("Queue", "Read, and not booked yet.", "max(dca_queue_length)", bad=500),
            _stat(
                "Notifications get through",
                "1: cash-outs are seen at once; 0: by polling.",
                'max(dca_listener_mode{mode="listen"})',
                calm="blue",
            ),
            _stat(
                "Booked in a day",
                "Cash-outs that were distributed in the last 24 hours.",
                'max(dca_cash_outs{state="distributed"}) - max(dca_cash_outs{state="distributed"} offset 1d)',
                calm="blue",
            ),
            _stat(
                "Duplicates in a day",
                "Attempts to book again what was booked; harmless.",
                'sum(increase(dca_log_events_total{event="cash-out.duplicate"}[1d]))',
                calm="blue",
            ),
            Panel(
                "From seen to booked",
                "How long a successful cash-out takes to be distributed.",
                [
                    (
                        f"histogram_quantile({q}, sum by (le) (rate({_LATENCY}[{_RATE}])))",
                        name,
                    )
                    for q, name in (("0.5", "half of them"), ("0.95", "95 %"), ("1", "slowest"))
                ],
                unit="s",
                width=12,
            ),
            Panel(
                "Cash-outs by state",
                "All that are on the books, but for those before the baseline.",
                [('max by (state) (dca_cash_outs{state!="before-baseline"})', "{{state}}")],
                width=12,
            ),
        ),
    ),
    (
        "Payouts",
        (
            _stat("Held", "Payouts that wait for a person.", 'max(dca_payouts{state="held"})', bad=1),
            _stat("Unknown", "Of which it can't be told yet.", 'max(dca_payouts{state="unknown"})', bad=1),
            _stat("Fixed runs that wait", "Their time has come.", "max(dca_fixed_waiting_runs)", bad=1),
            _stat("Next fixed run", "In so long.", "max(dca_fixed_next_run_seconds)", "s", calm="blue"),
            _stat("Last fixed run", "So long ago.", "min(dca_fixed_last_run_age_seconds)", "s", calm="blue"),
            _stat(
                "Failed in a day",
                "No money moved; they are owed again.",
                'sum(increase(dca_log_events_total{event="payout.failed"}[1d]))',
                bad=1,
            ),
            Panel(
                "Payouts under way",
                "Those that have not ended.",
                [(f"max by (state) (dca_payouts{{{_OPEN}}})", "{{state}}")],
                width=12,
            ),
            Panel(
                "Steps of payouts",
                "How many were made, by kind.",
                [(f"sum by (event) (increase(dca_log_events_total{{{_STEPS}}}[{_RATE}]))", "{{event}}")],
                width=12,
            ),
        ),
    ),
    (
        "Partners and alerts",
        (
            _stat(
                "Last good backup",
                "So long ago.",
                "time() - max(dca_backup_last_success_timestamp_seconds)",
                "s",
                bad=36 * 3600,
            ),
            _stat("Tunnel", "1 while the SSH tunnel to Lamassu stands.", "max(dca_tunnel_up)", calm="blue"),
            Panel(
                "Open problems",
                "What lasts at the moment, by the event that began it: docs/alerts.md.",
                [("max by (event) (dca_open_problems) > 0", "{{event}}")],
                "state-timeline",
                width=12,
            ),
            Panel(
                "Warnings and errors",
                "Log lines by event.",
                [(f"sum by (event) (increase(dca_log_events_total{{{_LOUD}}}[{_RATE}])) > 0", "{{event}}")],
                width=12,
            ),
            Panel(
                "Differences by kind",
                "Of the last comparison: docs/reconcile.md.",
                [("max by (kind) (dca_reconcile_differences) > 0", "{{kind}}")],
                width=12,
            ),
            Panel(
                "Notifications",
                "The daemon's own: attempts to send.",
                [(f"sum by (result) (increase(dca_notifications_total[{_RATE}]))", "{{result}}")],
                width=12,
            ),
        ),
    ),
    (
        "Process",
        (
            _stat("Active daemons", "One, whatever the number of standbys.", "sum(dca_leader)", calm="blue"),
            _stat("Version", "Of each daemon.", "dca_build_info", calm="blue", legend="{{version}}"),
            _stat(
                "Up for",
                "The youngest one.",
                f"time() - max(process_start_time_seconds{{{_JOB}}})",
                "s",
                calm="blue",
            ),
            Panel(
                "Memory", "Resident.", [(f"process_resident_memory_bytes{{{_JOB}}}", "{{instance}}")], unit="bytes"
            ),
            Panel(
                "CPU",
                "Seconds a second.",
                [(f"rate(process_cpu_seconds_total{{{_JOB}}}[{_RATE}])", "{{instance}}")],
            ),
            Panel("Open files", "Sockets too.", [(f"process_open_fds{{{_JOB}}}", "{{instance}}")]),
        ),
    ),
)


def dashboard() -> str:
    """deploy/grafana/dca-daemon.json."""
    panels: list[dict[str, Any]] = []
    top = 0
    for title, members in _ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
            }
        )
        top = _place(members, top + 1, panels)
    document = {
        "uid": "dca-daemon",
        "title": "dca-daemon",
        "description": "Money, intake, payouts, partners and process of dca-daemon.",
        "tags": ["dca-daemon"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "timezone": "browser",
        "refresh": "1m",
        "time": {"from": "now-24h", "to": "now"},
        "templating": {"list": _variables()},
        "annotations": {"list": []},
        "links": [],
        "panels": panels,
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _place(members: Sequence[Panel], top: int, panels: list[dict[str, Any]]) -> int:
    """From left to right, a new line where one is full; where the next row begins."""
    left = height = 0
    for panel in members:
        if left + panel.width > _WIDTH:
            top, left, height = top + height, 0, 0
        panels.append(_panel(panel, len(panels) + 1, {"x": left, "y": top, "w": panel.width, "h": panel.height}))
        left, height = left + panel.width, max(height, panel.height)
    return top + height


def _panel(panel: Panel, number: int, place: dict[str, int]) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": panel.calm, "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    made: dict[str, Any] = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _DATASOURCE,
        "gridPos": place,
        "targets": [
            {"refId": chr(ord("A") + at), "datasource": _DATASOURCE, "expr": expression, "legendFormat": legend}
            for at, (expression, legend) in enumerate(panel.queries)
        ],
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
    }
    if panel.kind == "stat":
        made["options"] = {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "name" if panel.queries[0][1] else "auto",
            "colorMode": "value",
        }
    return made


def _variables() -> list[dict[str, Any]]:
    return [
        {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
        {
            "name": "job",
            "label": "Job",
            "type": "query",
            "datasource": _DATASOURCE,
            "query": {"query": "label_values(dca_build_info, job)", "refId": "job"},
            "refresh": 1,
            "multi": True,
            "includeAll": True,
        },
    ]
