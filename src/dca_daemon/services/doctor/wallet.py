"""LNbits, and the source wallet there."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from dca_daemon.domain.errors import WalletError
from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.payouts.lnbits import LnbitsProbe
from dca_daemon.services import status
from dca_daemon.services.doctor.findings import Finding, Level, Subject, books_fit

_OLDEST_LNBITS = (1, 0)
_IDS_SINCE = (1, 5, 5)  # from here on LNbits keeps our payout id on both records


async def check_lnbits(subject: Subject) -> list[Finding]:
    """LNbits answers, the key can pay, the version is known, and the wallet holds what clients are owed."""
    if subject.lnbits is None:
        return []
    try:
        probe = await subject.lnbits.probe()
    except WalletError as error:
        return [Finding("lnbits", "reachable", Level.FAIL, error.message, error.remedy or "check lnbits.url")]
    return [
        Finding("lnbits", "reachable", Level.OK, f"{subject.lnbits_url} answers"),
        Finding("lnbits", "admin-key", Level.OK, f"the key can pay from wallet {probe.wallet_name!r}"),
        _version(probe.version),
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


def _transport(url: str) -> list[Finding]:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname in ("localhost", "127.0.0.1", "::1"):
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
