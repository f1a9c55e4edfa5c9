"""Looks at everything that the daemon depends on, and says of each thing whether it is well, and what to do.

A check never raises: what it can't look at is its finding. To add one, write a function that takes a `Subject`
and returns findings, and put it into `CHECKS`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

from sqlalchemy.exc import DBAPIError

from dca_daemon.domain.errors import DcaError, WalletError
from dca_daemon.domain.money import MSATS_PER_SAT, sats_text
from dca_daemon.lamassu.check import check_source
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database, first_line, is_pooled, one, rows
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsProbe, LnbitsWallet
from dca_daemon.services import baseline, destinations, fixed_doctor, status
from dca_daemon.services.rates import Rates

CHECK_SECONDS = 30.0
_OLDEST_POSTGRESQL = 140000
_OLDEST_LNBITS = (1, 0)
_IDS_SINCE = (1, 5, 5)  # from here on LNbits keeps our payout id on both records


class Level(StrEnum):
    """How a finding is meant."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` is empty where there is nothing to do."""

    area: str
    name: str
    level: Level
    text: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at; what the configuration does not tell is None, and left out."""

    books: Database | None = None
    currency: str | None = None
    keys: KeyRing | None = None
    source: SourceConfig | None = None
    lnbits: LnbitsWallet | None = None
    lnbits_url: str = ""
    reserve_sats: int = 0
    rates: Rates | None = None


Check = Callable[[Subject], Awaitable[list[Finding]]]


async def examine(subject: Subject) -> list[Finding]:
    """All findings, in the order of `CHECKS`."""
    findings: list[Finding] = []
    for area, check in CHECKS:
        findings += await _safely(area, check, subject)
    return findings


async def _safely(area: str, check: Check, subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(subject)
    except DcaError as error:
        return [Finding(area, "reachable", Level.FAIL, error.message, error.remedy or "")]
    except DBAPIError as error:
        text = f"our database refuses: {first_line(error)}"
        return [Finding(area, "readable", Level.FAIL, text, "check the rights of database.url's role")]
    except TimeoutError:
        return [Finding(area, "in-time", Level.FAIL, f"no answer within {CHECK_SECONDS:g} s", "look at its load")]
    except Exception as error:  # noqa: BLE001 - one check's fault must not hide what the others find
        text = f"the check itself failed: {type(error).__name__}: {first_line(error) if str(error) else ''}"
        return [Finding(area, "check", Level.FAIL, text.rstrip(": "), "report it: this is a fault of ours")]


async def check_books(subject: Subject) -> list[Finding]:
    """Our own database: reachable, at our schema, durable, with a role that is ours alone."""
    if subject.books is None:
        return []
    async with subject.books.transaction() as conn:
        found = await one(
            conn,
            """SELECT current_user AS role, current_setting('server_version') AS version,
                      current_setting('server_version_num')::integer AS number, pg_is_in_recovery() AS standby,
                      current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS sync,
                      (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser""",
        )
        pooled = await is_pooled(conn)
    revision = await migrate.revision(subject.books)
    where = f"connected as {found.role}, PostgreSQL {found.version}"
    durable = found.fsync == "on" and found.sync != "off"
    return [
        _finding("database", "reachable", found.number >= _OLDEST_POSTGRESQL, where, "use PostgreSQL 14 or newer"),
        _finding(
            "database",
            "direct",
            not pooled,
            "a connection pooler answers" if pooled else "PostgreSQL itself answers",
            "give its own address in database.url: through a pooler two daemons may hold the same lock",
        ),
        _finding(
            "database",
            "schema",
            revision.fits,
            f"the schema is at revision {revision.current or 'none'}, needed is {revision.wanted}",
            revision.remedy,
        ),
        _finding("database", "writable", not found.standby, "it takes writes", "use the primary, not a standby"),
        _finding(
            "database",
            "durable",
            durable,
            f"fsync is {found.fsync}, synchronous_commit is {found.sync}",
            "a crash could forget a payment that was made: set both to on",
            or_else=Level.WARN,
        ),
        _finding(
            "database",
            "role",
            not found.superuser,
            f"{found.role} is a superuser" if found.superuser else f"{found.role} is no superuser",
            "use a role of its own that owns only this database",
            or_else=Level.WARN,
        ),
    ]


async def check_pool(subject: Subject) -> list[Finding]:
    """The pool is open, in the currency of the configuration."""
    if not await _books_fit(subject):
        return []
    assert subject.books is not None
    async with subject.books.transaction() as conn:
        pools = await rows(conn, "SELECT name, currency FROM pool ORDER BY id")
    if not pools:
        text = "no pool has been opened"
        return [
            Finding("pool", "currency", Level.FAIL, text, "set pool.currency, then run: dca-daemon db upgrade")
        ]
    default = pools[0]
    fits = subject.currency in (None, default.currency)
    text = f"pool {default.name!r} is in {default.currency}"
    if fits:
        return [Finding("pool", "currency", Level.OK, text)]
    text = f"{text}, but pool.currency is {subject.currency}"
    return [Finding("pool", "currency", Level.FAIL, text, f'set pool.currency = "{default.currency}"')]


async def check_keys(subject: Subject) -> list[Finding]:
    """Everything that is kept encrypted can be decrypted with the keys that are configured."""
    if subject.keys is None or not await _books_fit(subject):
        return []
    assert subject.books is not None
    found = await destinations.look_at_sealed(subject.books, subject.keys)
    if lost := [one for one in found if one.lost]:
        remedy = "put the key that they were encrypted with back, as a further line of security.encryption_keys"
        texts = [f"{one.lost} of {one.count} stored {one.kind} can't be decrypted" for one in lost]
        return [Finding("keys", "decrypt", Level.FAIL, text, remedy) for text in texts]
    counts = ", ".join(f"{one.count} {one.kind}" for one in found)
    return [Finding("keys", "decrypt", Level.OK, f"all that is stored encrypted can be decrypted: {counts}")]


async def check_lamassu(subject: Subject) -> list[Finding]:
    """Lamassu's database, as `dca-daemon lamassu check` looks at it."""
    if subject.source is None:
        return []
    levels = {True: Level.OK, False: Level.FAIL, None: Level.WARN}
    return [
        Finding("lamassu", found.name, levels[found.ok], found.text, found.remedy)
        for found in await check_source(subject.source)
    ]


async def check_baseline(subject: Subject) -> list[Finding]:
    """From when on cash-outs count."""
    if not await _books_fit(subject):
        return []
    assert subject.books is not None
    found = await baseline.show(subject.books)
    if found is None:
        text = "there is no baseline yet: the daemon sets it at its first look"
        return [Finding("baseline", "set", Level.WARN, text, "start the daemon: dca-daemon run")]
    text = f"cash-outs count from {found.at.isoformat()} on; {found.left_out} from before are left out"
    return [Finding("baseline", "set", Level.OK, text)]


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
    if not await _books_fit(subject):
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


async def check_fixed(subject: Subject) -> list[Finding]:
    """Where Fixed Mode has a schedule: a bitcoin's price can be had, and each of its clients has an amount."""
    if subject.rates is None or not await _books_fit(subject):
        return []
    assert subject.books is not None
    return [
        _finding("fixed", found.name, found.good, found.text, found.remedy, or_else=Level(found.or_else))
        for found in await fixed_doctor.look(subject.books, subject.rates)
    ]


async def _books_fit(subject: Subject) -> bool:
    """Whether our tables can be read at all; where not, `check_books` says so."""
    try:
        return subject.books is not None and (await migrate.revision(subject.books)).fits
    except (DcaError, DBAPIError):
        return False


def _finding(area: str, name: str, good: bool, text: str, remedy: str, *, or_else: Level = Level.FAIL) -> Finding:
    return Finding(area, name, Level.OK if good else or_else, text, "" if good else remedy)


CHECKS: tuple[tuple[str, Check], ...] = (
    ("database", check_books),
    ("pool", check_pool),
    ("keys", check_keys),
    ("lamassu", check_lamassu),
    ("baseline", check_baseline),
    ("lnbits", check_lnbits),
    ("fixed", check_fixed),
)
