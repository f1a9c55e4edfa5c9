"""Whether an answer works: each connection is tried as `doctor` tries it, as soon as it is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from dca_daemon.domain.errors import DcaError, WalletError, WalletRefusedError
from dca_daemon.ledger import migrate
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.runtime import wiring
from dca_daemon.runtime.setting_up.folder import Document, without_secrets
from dca_daemon.runtime.setting_up.questions import ADMIN_KEY, CURRENCY, DATABASE, KEYS, LAMASSU, LNBITS
from dca_daemon.runtime.settings import Settings, settings_from
from dca_daemon.services import destinations
from dca_daemon.services.doctor import Finding, Level, Subject, examine

_PATIENCE_SECONDS = 10.0
# What comes later: `db upgrade`, sats.
_NOT_YET = {("database", "schema"), ("pool", "open"), ("lnbits", "balance")}
_NO_SUCH_PATH = 404


def settings_with(document: Document, answers: Mapping[str, str]) -> Settings:
    """The settings as they would be with these answers. Raises `ConfigError`."""
    trial = without_secrets(document)
    for key, text in answers.items():
        section, _, name = key.partition(".")
        trial.setdefault(section, {})[name] = text
    return settings_from(trial, with_environment=False)  # what was given there is among the answers


async def try_out(settings: Settings, key: str) -> list[Finding]:
    """What is found out about the answer to one question. What fails keeps it from being taken."""
    try:
        found = await _TRIALS[key](settings)
    except DcaError as error:
        found = [Finding(key.partition(".")[0], "answer", Level.FAIL, error.message, error.remedy or "")]
    return [_later(finding) for finding in found]


def failed(findings: Collection[Finding]) -> list[Finding]:
    """Those that speak against an answer."""
    return [finding for finding in findings if finding.level is Level.FAIL]


def _later(finding: Finding) -> Finding:
    if (finding.area, finding.name) not in _NOT_YET or finding.level is Level.OK:
        return finding
    return Finding(finding.area, finding.name, Level.WARN, finding.text, finding.remedy)


async def _database(settings: Settings) -> list[Finding]:
    books = wiring.open_database(settings, pool_size=2)
    try:
        await migrate.check_upgradable(books)
        return await examine(Subject(books=books), ("database",))
    finally:
        await books.close()


async def _currency(settings: Settings) -> list[Finding]:
    books = wiring.open_database(settings, pool_size=2)
    try:
        return await examine(Subject(books=books, currency=settings.pool.currency), ("pool",))
    finally:
        await books.close()


async def _lamassu(settings: Settings) -> list[Finding]:
    return await examine(Subject(source=wiring.source_config(settings)), ("lamassu",))


async def _lnbits(settings: Settings) -> list[Finding]:
    """Asked without a key, an LNbits refuses by name; anything else does not know what was asked for."""
    url = settings.lnbits_without_key.url
    config = LnbitsConfig(url=url, admin_key="", read_timeout_seconds=_PATIENCE_SECONDS, max_connections=1)
    wallet = LnbitsWallet(config, pacer=Pacer(settings.lnbits_without_key.requests_per_minute))
    try:
        await wallet.probe()
    except WalletRefusedError as error:
        if error.status == _NO_SUCH_PATH:
            text = f"{url} answers, but not as LNbits does"
            return [
                Finding("lnbits", "address", Level.FAIL, text, "give the address of LNbits itself, without a path")
            ]
    except WalletError as error:
        return [Finding("lnbits", "address", Level.FAIL, error.message, error.remedy or "check the address")]
    finally:
        await wallet.close()
    return [Finding("lnbits", "address", Level.OK, f"{url} answers")]


async def _admin_key(settings: Settings) -> list[Finding]:
    wallet = wiring.wallet(settings)
    subject = Subject(lnbits=wallet, lnbits_url=settings.lnbits.url)
    try:
        return await examine(subject, ("lnbits",))
    finally:
        await wallet.close()


async def _keys(settings: Settings) -> list[Finding]:
    books = wiring.open_database(settings, pool_size=2)
    try:
        return await examine(Subject(books=books, keys=wiring.key_ring(settings)), ("keys",))
    finally:
        await books.close()


async def needs_old_keys(settings: Settings) -> bool:
    """Whether the books may hold what was encrypted with keys of before, so that new ones would be of no use."""
    books = wiring.open_database(settings, pool_size=2)
    try:
        found = await migrate.revision(books)
        if not found.fits:
            return found.current is not None
        sealed = await destinations.look_at_sealed(books, KeyRing(KeyRing.generate()))
        return any(one.count for one in sealed)
    finally:
        await books.close()


_TRIALS = {
    DATABASE: _database,
    CURRENCY: _currency,
    LAMASSU: _lamassu,
    LNBITS: _lnbits,
    ADMIN_KEY: _admin_key,
    KEYS: _keys,
}
