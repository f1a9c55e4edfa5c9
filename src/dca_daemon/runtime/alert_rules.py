"""The ready rules in deploy/alerts, made from the catalogue: for Prometheus, for Loki, for the journal's mailer.

`alert_files.py` writes them; a test fails while what is committed differs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dca_daemon.domain.alerts import CATALOGUE, ELSEWHERE, GROUPS, Alert, Severity

_HEAD = "# Written by `python -m dca_daemon.runtime.alert_files` from the catalogue; see docs/alerts.md.\n"
_WINDOW = "15m"
_DAY_SECONDS = 86_400

# Where the books tell it by a gauge, which a restart does not forget.
_BY_GAUGE = {
    "reconcile.differs": "sum(max by (kind) (dca_reconcile_differences)) > 0",
    "cash-out.review": 'max(dca_cash_outs{state="review"}) > 0',
    "payout.held": 'max(dca_payouts{state="held"}) > 0',
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One alerting rule of Prometheus. `lasting`: how long it must hold."""

    name: str
    expression: str
    severity: Severity
    summary: str
    remedy: str
    lasting: str = "0m"


_STATE_RULES = (
    Rule(
        "DcaDaemonDown",
        "absent(dca_build_info)",
        Severity.PAGE,
        "No daemon answers: cash-outs are not seen, and nobody is paid.",
        "systemctl status dca-daemon; journalctl -u dca-daemon.",
        "3m",
    ),
    Rule(
        "DcaNoActiveDaemon",
        "sum(dca_leader) == 0",
        Severity.PAGE,
        "A daemon runs, but none is the active one.",
        "journalctl -u dca-daemon: why does it wait?",
        "2m",
    ),
    Rule(
        "DcaSeveralActiveDaemons",
        "sum(dca_leader) > 1",
        Severity.WARN,
        "Two daemons hold themselves for the active one; no money is at risk.",
        "See that database.url leads to PostgreSQL itself.",
        "5m",
    ),
    Rule(
        "DcaRestarts",
        "changes(process_start_time_seconds[30m]) > 3 and on (job, instance) dca_build_info",
        Severity.PAGE,
        "The daemon is started again and again.",
        "journalctl -u dca-daemon: the last error before each start.",
    ),
    Rule(
        "DcaScanLag",
        "max(dca_scan_lag_seconds and on (job, instance) dca_leader == 1) > 600",
        Severity.PAGE,
        "Lamassu's database was not read for ten minutes: cash-outs are not seen.",
        "dca-daemon lamassu check.",
        "1m",
    ),
    Rule(
        "DcaSomebodyWaitsForSats",
        "max(dca_oldest_owed_seconds) > 3600",
        Severity.PAGE,
        "Somebody has waited for an hour to be paid.",
        "dca-daemon payout list: LNbits away, the wallet short, or payouts held?",
        "5m",
    ),
    Rule(
        "DcaFixedRunsWait",
        "max(dca_fixed_waiting_runs) > 0",
        Severity.PAGE,
        "A fixed run's time has come, and it was not run.",
        "dca-daemon fixed preview says why.",
        "10m",
    ),
    Rule(
        "DcaNotCompared",
        f"min(dca_reconcile_age_seconds) > {2 * _DAY_SECONDS}",
        Severity.WARN,
        "The books were not compared with LNbits and Lamassu for two days.",
        "dca-daemon reconcile says what can't be compared.",
        "10m",
    ),
)


def rules() -> list[tuple[str, list[Rule]]]:
    """All rules for Prometheus, by group. What other processes log it does not hear; the journal and Loki do."""
    groups = [("dca-daemon state", list(_STATE_RULES))]
    groups += [
        (f"dca-daemon events: {heading}", [_event_rule(alert) for alert in alerts])
        for heading, alerts in GROUPS.items()
        if heading != ELSEWHERE
    ]
    return groups


def rule_name(event: str) -> str:
    """`DcaLnbitsLost` of `lnbits.lost`."""
    return "Dca" + "".join(word.capitalize() for word in event.replace(".", "-").split("-"))


def _event_rule(alert: Alert) -> Rule:
    counted = f'dca_log_events_total{{event="{alert.event}"}}'
    lasting = "0m"
    if alert.event in _BY_GAUGE:
        expression = _BY_GAUGE[alert.event]
    elif alert.clears:
        expression = f'max(dca_open_problems{{event="{alert.event}"}}) > 0'
        lasting = "1m"
    else:
        # A counter that has just appeared has no increase yet: the second half sees its first count.
        expression = (
            f"sum(increase({counted}[{_WINDOW}])) > 0 or sum({counted} unless {counted} offset {_WINDOW}) > 0"
        )
    return Rule(rule_name(alert.event), expression, alert.severity, alert.meaning, alert.remedy, lasting)


def prometheus() -> str:
    """deploy/alerts/prometheus/dca-daemon.rules.yml."""
    return _HEAD + "groups:\n" + "".join(_group(name, members) for name, members in rules())


def _group(name: str, members: Iterable[Rule]) -> str:
    return f"  - name: {_quoted(name)}\n    rules:\n" + "".join(map(_rule, members))


def _rule(rule: Rule) -> str:
    lasting = "" if rule.lasting == "0m" else f"        for: {rule.lasting}\n"
    return (
        f"      - alert: {rule.name}\n"
        f"        expr: {_quoted(rule.expression)}\n"
        f"{lasting}"
        f"        labels:\n          severity: {rule.severity}\n"
        f"        annotations:\n"
        f"          summary: {_quoted(rule.summary)}\n"
        f"          description: {_quoted(rule.remedy)}\n"
    )


def loki() -> str:
    """deploy/alerts/loki/dca-daemon.rules.yml: a rule for each severity; the label `event` says which it is."""
    return _HEAD + "groups:\n  - name: dca-daemon\n    rules:\n" + "".join(map(_loki_rule, Severity))


def _loki_rule(severity: Severity) -> str:
    events = sorted(alert.event for alert in CATALOGUE.values() if alert.severity is severity)
    pattern = "|".join(event.replace(".", r"\.") for event in events)
    expression = (
        'sum by (event) (count_over_time({unit=~"dca-(daemon|console|backup)\\\\.service"}'
        f' | json event="event" | event=~`{pattern}` [{_WINDOW}])) > 0'
    )
    return (
        f"      - alert: DcaDaemon{severity.capitalize()}\n"
        f"        expr: {_quoted(expression)}\n"
        f"        labels:\n          severity: {severity}\n"
        f"        annotations:\n"
        f"          summary: {_quoted('dca-daemon: {{ $labels.event }}')}\n"
        f"          description: {_quoted('What it means and what to do: docs/alerts.md')}\n"
    )


def journal() -> str:
    """deploy/alerts/journald/events.tsv: what the mailer reads."""
    return "".join(f"{line}\n" for line in _journal_lines())


def _journal_lines() -> Iterator[str]:
    yield _HEAD.strip()
    yield "# event, severity, subject's field, all-clears, meaning, what to do"
    for alert in CATALOGUE.values():
        yield "\t".join(
            (
                alert.event,
                alert.severity,
                alert.subject or "-",
                ",".join(alert.clears) or "-",
                alert.meaning,
                alert.remedy,
            )
        )


def _quoted(text: str) -> str:
    """A text as YAML takes it; JSON's spelling is YAML's."""
    return json.dumps(text, ensure_ascii=False)
