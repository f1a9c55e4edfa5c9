"""LNbits, and the source wallet there."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dca_daemon.domain.errors import WalletError, WalletRefusedError, WalletReplyError
from dca_daemon.domain.hosts import is_loopback
from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.payouts.lnbits import LnbitsProbe
from dca_daemon.services import payout_health as payouts
from dca_daemon.services import status
from dca_daemon.services.doctor.findings import (
    CLOCK_SECONDS,
    SYNCHRONISE,
    Finding,
    Level,
    Subject,
    books_fit,
    clocks_apart,
    judged,
)

_OLDEST_LNBITS = (1, 0)
_DEFAULT_RATE_LIMIT = 200
_IDS_SINCE = (1, 5, 5)  # from here on LNbits keeps our payout id on both records


async def check_lnbits(subject: Subject) -> list[Finding]:
    """LNbits answers, the key can pay, the version is known, and the wallet holds what clients are owed."""
    if subject.lnbits is None:
        return []
    try:
        probe = await subject.lnbits.probe()
    except WalletRefusedError as error:
        return [
            Finding("lnbits", "reachable", Level.OK, f"{subject.lnbits_url} answers"),
            Finding("lnbits", "admin-key", Level.FAIL, error.message, error.remedy or "check lnbits.admin_key"),
        ]
    except WalletError as error:
        return [Finding("lnbits", "reachable", Level.FAIL, error.message, error.remedy or "check lnbits.url")]
    return [
        Finding("lnbits", "reachable", Level.OK, f"{subject.lnbits_url} answers"),
        Finding("lnbits", "admin-key", Level.OK, f"the key can pay from wallet {probe.wallet_name!r}"),
        _version(probe.version),
        *await _same_wallet(subject, probe),
        *_clock(probe),
        _pace(subject),
        *await _limits(subject),
        *_transport(subject.lnbits_url),
        *await _balance(subject, probe),
    ]


def _version(version: str | None) -> Finding:
    numbers = tuple(int(n) for n in re.findall(r"\d+", version or "")[:3])
    if not numbers:
        return Finding("lnbits", "version", Level.WARN, "LNbits hides its version", "it must be 1.0 or newer")
    if numbers < _OLDEST_LNBITS:
        text = f"LNbits {version} is too old to prove what was paid"
        return Finding("lnbits", "version", Level.FAIL, text, "upgrade LNbits to 1.0 or newer")
    if numbers < _IDS_SINCE:
        text = f"LNbits {version} does not keep our payout ids"
        return Finding("lnbits", "version", Level.WARN, text, "upgrade LNbits to 1.5.5 or newer when you can")
    return Finding("lnbits", "version", Level.OK, f"LNbits {version}")


async def _same_wallet(subject: Subject, probe: LnbitsProbe) -> list[Finding]:
    """Whether the wallet's own records have the payment that the books have made last."""
    if not await books_fit(subject):
        return []
    assert subject.books is not None and subject.lnbits is not None
    last = await payouts.last_settled(subject.books)
    if last is None:
        return [Finding("lnbits", "wallet", Level.OK, "the books have paid from no wallet yet")]
    try:
        record = await subject.lnbits.sent(last.payment_hash)
    except WalletReplyError:  # it has never had a payment
        record = None
    if record is not None:
        return [Finding("lnbits", "wallet", Level.OK, "it is the one that the last payout was paid from")]
    text = f"wallet {probe.wallet_name!r} ({probe.wallet_id}) did not pay payout {last.payout_id}, the last one"
    remedy = "set the admin key of the wallet that did; if you changed it on purpose: docs/reconcile.md"
    if last.open_count:
        text = f"{text}, and {last.open_count} payouts that are under way would be looked up in it"
        return [Finding("lnbits", "wallet", Level.FAIL, text, remedy)]
    return [Finding("lnbits", "wallet", Level.WARN, text, remedy)]


def _clock(probe: LnbitsProbe) -> list[Finding]:
    away_seconds = probe.clock_apart_seconds
    if away_seconds is None:
        return []
    agrees = away_seconds <= CLOCK_SECONDS
    text = "its clock and ours agree" if agrees else clocks_apart("its", away_seconds)
    return [judged("lnbits", "clock", agrees, text, SYNCHRONISE, or_else=Level.WARN)]


def _pace(subject: Subject) -> Finding:
    pace = subject.requests_per_minute
    text = f"at most {pace:,} requests a minute on each path"
    if pace > _DEFAULT_RATE_LIMIT:
        text = f"{text}, more than LNbits lets through unless its rate limit was raised ({_DEFAULT_RATE_LIMIT})"
        remedy = "lower lnbits.requests_per_minute, or raise LNBITS_RATE_LIMIT_NO there"
        return Finding("lnbits", "pace", Level.WARN, text, remedy)
    return Finding("lnbits", "pace", Level.OK, text)


async def _limits(subject: Subject) -> list[Finding]:
    """LNbits tells its limits to nobody: what it refused for one is in the payouts' own log."""
    if not await books_fit(subject):
        return []
    assert subject.books is not None
    refused = await payouts.refused_for_a_limit(subject.books)
    if not refused:
        return [Finding("lnbits", "limits", Level.OK, "it refused no payment for a limit of its own lately")]
    text = f"it refused {len(refused)} payouts for a limit of its own lately, the last: {refused[0]}"
    remedy = "raise the limit in LNbits' settings (wallet limits, funding); payouts are tried again meanwhile"
    return [Finding("lnbits", "limits", Level.WARN, text, remedy)]


def _transport(url: str) -> list[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return []
    text = f"{url} is not encrypted: the admin key can be read on the way"
    return [Finding("lnbits", "transport", Level.WARN, text, "use https, or a tunnel")]


async def _balance(subject: Subject, probe: LnbitsProbe) -> list[Finding]:
    has_sats = probe.balance_msat // MSATS_PER_SAT
    has = f"the wallet holds {sats_text(has_sats)}"
    if not await books_fit(subject):
        return [Finding("lnbits", "balance", Level.OK, has)]
    assert subject.books is not None
    books = await status.status(subject.books)
    # What is on its way may have been paid already: only what is owed is certain to be needed still.
    missing_sats = books.owed_sats + subject.reserve_sats - has_sats
    text = f"{has}; {sats_text(books.owed_sats)} are owed, {sats_text(books.in_payout_sats)} are on their way"
    if missing_sats > 0:
        text = f"{text}: {sats_text(missing_sats)} are missing, payouts wait"
        return [Finding("lnbits", "balance", Level.FAIL, text, "top up the source wallet")]
    if missing_sats + books.in_payout_sats > 0:  # LNbits has taken some of that from the balance, perhaps
        text = f"{text}: if these are not paid yet, {sats_text(missing_sats + books.in_payout_sats)} are missing"
        return [
            Finding("lnbits", "balance", Level.WARN, text, "look again in a minute, or top up the source wallet")
        ]
    return [Finding("lnbits", "balance", Level.OK, text)]
