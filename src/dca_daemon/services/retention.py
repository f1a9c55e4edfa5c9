"""What is forgotten after a time: nothing of the books and nothing of the audit log, whose triggers refuse it.

Each rule removes rows that nothing depends on any more, in small transactions and at most so many in one pass.
docs/privacy.md says which tables are never pruned, and why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dca_daemon.ledger.db import Database, execute

AT_ONCE = 5_000
PASS_MAX = 500_000  # rows of one kind in one pass: the next pass goes on


@dataclass(frozen=True, slots=True)
class Keep:
    """For how many days each is kept."""

    logins_days: int = 30
    failed_logins_days: int = 1
    offers_days: int = 1
    answers_days: int = 7
    events_days: int = 90
    deliveries_days: int = 30
    access_days: int = 365


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of `table` that `over` holds for are removed. `days`: which of `Keep` counts."""

    table: str
    over: str
    days: str | None


RULES: Mapping[str, Rule] = {
    "sessions": Rule("console_session", "expires_at < :until", "logins_days"),
    "login_links": Rule("login_link", "expires_at < :until", "logins_days"),
    "failed_logins": Rule("login_failure", "at < :until", "failed_logins_days"),
    "offers": Rule("intent", "expires_at < :until", "offers_days"),
    "answers": Rule("idempotency_key", "created_at < :until", "answers_days"),
    "deliveries": Rule("webhook_delivery", "ended_at < :until", "deliveries_days"),
    # But none that a webhook has still to be sent.
    "events": Rule(
        "event",
        "at < :until AND id <= coalesce((SELECT min(after_event_id) FROM webhook WHERE disabled_at IS NULL), id)",
        "events_days",
    ),
    # Of clients only: the names of the others' tokens are actors of the audit log, and are not given again.
    "personal_links": Rule("client_link", "revoked_at < :until", "access_days"),
    "tokens": Rule("api_token", "client_id IS NOT NULL AND least(revoked_at, expires_at) < :until", "access_days"),
    # A former destination that was never paid to belongs to nobody: no row leads from it to its client. Just after
    # a change a payout may still be about to be reserved for the old one.
    "destinations": Rule(
        "destination",
        """NOT EXISTS (SELECT FROM client c WHERE c.destination_id = destination.id)
           AND NOT EXISTS (SELECT FROM payout p WHERE p.destination_id = destination.id)
           AND NOT EXISTS (SELECT FROM audit_log WHERE action = 'client.set-destination'
                               AND at > clock_timestamp() - interval '1 hour')""",
        None,
    ),
}


async def forget(db: Database, keep: Keep | None = None) -> dict[str, int]:
    """Forgets what is over; how many rows of each kind, where there were any."""
    keep = keep or Keep()
    gone = {}
    for name, rule in RULES.items():
        if count := await _in_portions(db, rule, 0 if rule.days is None else getattr(keep, rule.days)):
            gone[name] = count
    return gone


async def _in_portions(db: Database, rule: Rule, days: int) -> int:
    """Small transactions: who reads the feed of events waits for each."""
    over = rule.over.replace(":until", "clock_timestamp() - make_interval(days => :days)")
    sql = f"""DELETE FROM {rule.table} WHERE ctid = ANY(ARRAY(
                  SELECT ctid FROM {rule.table} WHERE {over} LIMIT :portion))"""  # noqa: S608 - our own rules
    total = 0
    given = {"days": days} if ":days" in over else {}
    while total < PASS_MAX:
        async with db.transaction() as conn:
            count = await execute(conn, sql, portion=AT_ONCE, **given)
        total += count
        if count < AT_ONCE:
            break
    return total
