"""Writes what is made from the catalogue of alerts: the tables in docs/alerts.md, the rules, the dashboard.

`python -m dca_daemon.runtime.alert_files` renews them; a test fails while they differ.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from dca_daemon.domain.alerts import GROUPS, SILENT, Alert
from dca_daemon.runtime import alert_rules
from dca_daemon.runtime.dashboard import dashboard

DOCUMENT = "docs/alerts.md"
_BEGIN = "<!-- catalogue: written by `python -m dca_daemon.runtime.alert_files` -->\n"
_END = "<!-- /catalogue -->\n"


def document(text: str) -> str:
    """docs/alerts.md with its tables made anew."""
    before, _, rest = text.partition(_BEGIN)
    after = rest.partition(_END)[2]
    return f"{before}{_BEGIN}{''.join(_tables())}{_END}{after}"


def _tables() -> Iterator[str]:
    for heading, alerts in GROUPS.items():
        yield f"\n### {heading}\n\n"
        yield "| event | severity | meaning | what to do | all-clear |\n|---|---|---|---|---|\n"
        yield from map(_row, sorted(alerts, key=lambda alert: alert.severity.rank))
    yield "\n### What alerts nobody\n\n| event | because |\n|---|---|\n"
    yield from (f"| `{event}` | {why} |\n" for event, why in SILENT.items())
    yield "\n"


def _row(alert: Alert) -> str:
    clears = ", ".join(f"`{event}`" for event in alert.clears) or "–"
    return f"| `{alert.event}` | {alert.severity} | {alert.meaning} | {alert.remedy} | {clears} |\n"


def files(root: Path) -> Mapping[str, str]:
    """Path below the project's folder → what it must hold."""
    return {
        DOCUMENT: document((root / DOCUMENT).read_text(encoding="utf-8")),
        "deploy/alerts/prometheus/dca-daemon.rules.yml": alert_rules.prometheus(),
        "deploy/alerts/loki/dca-daemon.rules.yml": alert_rules.loki(),
        "deploy/alerts/journald/events.tsv": alert_rules.journal(),
        "deploy/grafana/dca-daemon.json": dashboard(),
    }


def main() -> int:
    """Writes them into the folder named on the command line (default: the current one)."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, text in files(root).items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
