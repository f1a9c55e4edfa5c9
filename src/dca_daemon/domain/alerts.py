"""The catalogue: of which log events one is told. The one place that says so.

docs/alerts.md, the rules in deploy/alerts and the dashboard are written from it (`runtime/alert_files.py`); the
notifier sends by it. A new alert goes into `alert_texts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from dca_daemon.domain import alert_texts
from dca_daemon.domain.alert import Alert, Severity

__all__ = ["CATALOGUE", "ELSEWHERE", "GROUPS", "SILENT", "Alert", "Severity"]

# What other processes log: the daemon neither counts it nor sends it.
ELSEWHERE = "The console, webhooks and backups"
GROUPS: Mapping[str, tuple[Alert, ...]] = {
    "The daemon and this computer": alert_texts.DAEMON,
    "Seeing and booking cash-outs": alert_texts.CASH_OUTS,
    "Paying": alert_texts.PAYING,
    "Comparing and recovering": alert_texts.COMPARING,
    ELSEWHERE: alert_texts.ELSEWHERE,
}
CATALOGUE: Mapping[str, Alert] = {alert.event: alert for group in GROUPS.values() for alert in group}

# Events of level warning or above that alert nobody, and why.
SILENT: Mapping[str, str] = {
    "service.cancelled": "what was cut off is taken up at the next start",
    "health.page-failed": "the database's own alerts tell of its reason",
    "library": "its consequences have events of their own",
    "listener.odd-payload": "it is ignored, and does no harm",
    "source.odd-ids": "they are ignored, and do no harm",
    "source.dispense-times-unread": "another time is used",
    "payout.unknown": "it is looked up within moments; `payout.unknown-long` tells when it is not",
    "payout.overtaken": "it is part of a recovery, which alerts",
    "payout.held-by-hand": "a person did it",
    "payout.resolved": "a person did it",
    "recovery.waits": "it passes by itself",
    "reconcile.difference": "`reconcile.differs` tells their sum",
    "backup.not-recorded": "the failure itself alerts",
    "events.unread": "the database's own alerts tell of its reason",
    "console.failed": "whoever asked was told; the partner's own alerts tell of its reason",
    "daemon.schema-newer": "an upgrade is under way",
    "settings.renamed": "the old name counts; `doctor` tells of it too",
    "console.login-failed": "people mistype; `console.login-limited` tells when it is many",
    "webhook.sender-waits": "the database's own alerts tell of its reason",
}
