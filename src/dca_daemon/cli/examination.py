"""What `doctor` examines: the configuration, section by section, and whatever it makes reachable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dca_daemon.domain.errors import ConfigError
from dca_daemon.runtime import wiring
from dca_daemon.runtime.logging import configure_logging
from dca_daemon.runtime.notify_targets import open_targets
from dca_daemon.runtime.secrecy import exposed
from dca_daemon.runtime.settings import Settings, load_settings
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.services.doctor import Finding, Level, Subject, examine
from dca_daemon.services.rates import Rates, utc_now

T = TypeVar("T")
_AREA = "configuration"


def examine_all(config: Path | None) -> list[Finding]:
    """Every finding. A configuration that can't be read at all leaves nothing else to look at."""
    configure_logging(level="error")
    try:
        settings = load_settings(config)
    except ConfigError as error:
        return [_wrong("file", line, error.remedy) for line in error.message.splitlines()]
    configure_logging(level="error", secrets=settings.secrets())
    path = settings.config_path
    where = f"read from {path}" if path else "no file: environment and credentials only"
    findings = [Finding(_AREA, "file", Level.OK, where)]
    findings += [
        Finding(_AREA, "renamed", Level.WARN, f"{one.old} is called {one.new} now (from {one.where})", one.remedy)
        for one in settings.renamed
    ]
    for section in SECTIONS:
        findings += _section(settings, section)
    findings += _secrecy(settings)
    return findings + asyncio.run(_examine(settings))


def _section(settings: Settings, name: str) -> list[Finding]:
    try:
        settings.require(name)
        if name == "notify":
            open_targets(settings.notify.addresses)
    except ConfigError as error:
        return [_wrong(name, line, error.remedy) for line in error.message.splitlines()]
    return [Finding(_AREA, name, Level.OK, f"[{name}] is complete")]


def _secrecy(settings: Settings) -> list[Finding]:
    found = list(exposed(settings))
    if not found:
        return [Finding(_AREA, "secrecy", Level.OK, "no secret of ours stands in a file that others can read")]
    return [
        Finding(
            _AREA,
            "secrecy",
            Level.FAIL,
            f"{path} can be read by every account of this computer, and holds {', '.join(keys)}",
            f"chmod 600 {path}, or put them into files of their own (docs/configuration.md); then renew them",
        )
        for path, keys in found
    ]


def _wrong(name: str, text: str, remedy: str | None) -> Finding:
    return Finding(_AREA, name, Level.FAIL, text, remedy or "correct the configuration: docs/configuration.md")


async def _examine(settings: Settings) -> list[Finding]:
    wallet = _if_complete(lambda: wiring.wallet(settings))
    books = _if_complete(lambda: wiring.open_database(settings))
    feed = _if_complete(lambda: wiring.price_feed(settings))
    rates_config = _if_complete(lambda: wiring.rates_config(settings))
    pool = _if_complete(lambda: settings.pool)
    payouts = _if_complete(lambda: settings.payouts)
    backups = _if_complete(lambda: wiring.expected_backups(settings))
    folder = None if backups is None else backups.config.folder
    subject = Subject(
        books=books,
        currency=None if pool is None else pool.currency,
        keys=_if_complete(lambda: wiring.key_ring(settings)),
        source=_if_complete(lambda: wiring.source_config(settings)),
        split_method=_if_complete(lambda: settings.lamassu.split_method),
        lnbits=wallet,
        requests_per_minute=0 if wallet is None else settings.lnbits.requests_per_minute,
        lnbits_url="" if wallet is None else settings.lnbits.url,
        reserve_sats=0 if payouts is None else payouts.wallet_reserve_sats,
        folders=() if folder is None else (("our backups", folder),),
        backups=backups,
        rates=Rates(books, feed, rates_config, now=utc_now) if books and feed and rates_config else None,
    )
    try:
        return await examine(subject)
    finally:
        for part in (wallet, feed, books):
            if part is not None:
                await part.close()
        if subject.source is not None:
            await subject.source.close()


def _if_complete(make: Callable[[], T]) -> T | None:
    """None where the configuration lacks what it takes; that is a finding already."""
    try:
        return make()
    except ConfigError:
        return None
