"""What an audit entry or an event is about, as the page that shows it."""

from __future__ import annotations

from urllib.parse import quote

_PAGES = {
    "client": "/clients",
    "deposit": "/deposits",
    "cash-out": "/cash-outs",
    "payout": "/payouts",
    "webhook": "/webhooks",
    "reconcile-run": "/reconciliation",
}


def subject_path(subject: str) -> str | None:
    """The page of `client:3`; None for what has no page of its own."""
    kind, _, which = subject.partition(":")
    return f"{_PAGES[kind]}/{quote(which, safe='')}" if which and kind in _PAGES else None
