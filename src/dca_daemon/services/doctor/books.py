"""Our own database: reachable, at our schema, durable; its pool, its baseline, and the keys to what it keeps."""

from __future__ import annotations

from datetime import UTC, datetime

from dca_daemon.domain.moments import apart_seconds
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import is_pooled, one, rows
from dca_daemon.services import baseline, destinations
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

_OLDEST_POSTGRESQL = 140000


async def check_books(subject: Subject) -> list[Finding]:
    """Our own database: reachable, at our schema, durable, with a role that is ours alone."""
    if subject.books is None:
        return []
    async with subject.books.transaction() as conn:
        before = datetime.now(UTC)
        found = await one(
            conn,
            """SELECT current_user AS role, current_setting('server_version') AS version,
                      current_setting('server_version_num')::integer AS number, pg_is_in_recovery() AS standby,
                      clock_timestamp() AS now, current_setting('fsync') AS fsync,
                      current_setting('synchronous_commit') AS sync,
                      (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser""",
        )
        away_seconds = apart_seconds(before, found.now, datetime.now(UTC))
        pooled = await is_pooled(conn)
    revision = await migrate.revision(subject.books)
    where = f"connected as {found.role}, PostgreSQL {found.version}"
    durable = found.fsync == "on" and found.sync != "off"
    return [
        judged("database", "reachable", found.number >= _OLDEST_POSTGRESQL, where, "use PostgreSQL 14 or newer"),
        judged(
            "database",
            "direct",
            not pooled,
            "a connection pooler answers" if pooled else "PostgreSQL itself answers",
            "give its own address in database.url: through a pooler two daemons may hold the same lock",
        ),
        judged(
            "database",
            "schema",
            revision.fits,
            f"the schema is at revision {revision.current or 'none'}, needed is {revision.wanted}",
            revision.remedy,
        ),
        judged("database", "writable", not found.standby, "it takes writes", "use the primary, not a standby"),
        judged(
            "database",
            "durable",
            durable,
            f"fsync is {found.fsync}, synchronous_commit is {found.sync}",
            "a crash could forget a payment that was made: set both to on",
            or_else=Level.WARN,
        ),
        judged(
            "database",
            "clock",
            away_seconds <= CLOCK_SECONDS,
            "its clock and ours agree" if away_seconds <= CLOCK_SECONDS else clocks_apart("its", away_seconds),
            SYNCHRONISE,
            or_else=Level.WARN,
        ),
        judged(
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
    if not await books_fit(subject):
        return []
    assert subject.books is not None
    async with subject.books.transaction() as conn:
        pools = await rows(conn, "SELECT name, currency FROM pool ORDER BY id")
    if not pools:
        text = "no pool has been opened"
        return [Finding("pool", "open", Level.FAIL, text, "set pool.currency, then run: dca-daemon db upgrade")]
    default = pools[0]
    fits = subject.currency in (None, default.currency)
    text = f"pool {default.name!r} is in {default.currency}"
    if fits:
        return [Finding("pool", "currency", Level.OK, text)]
    text = f"{text}, but pool.currency is {subject.currency}"
    return [Finding("pool", "currency", Level.FAIL, text, f'set pool.currency = "{default.currency}"')]


async def check_keys(subject: Subject) -> list[Finding]:
    """Everything that is kept encrypted can be decrypted with the keys that are configured."""
    if subject.keys is None or not await books_fit(subject):
        return []
    assert subject.books is not None
    found = await destinations.look_at_sealed(subject.books, subject.keys)
    if lost := [one for one in found if one.lost]:
        remedy = "put the key that they were encrypted with back, as a further line of security.encryption_keys"
        texts = [f"{one.lost} of {one.count} stored {one.kind} can't be decrypted" for one in lost]
        return [Finding("keys", "decrypt", Level.FAIL, text, remedy) for text in texts]
    counts = ", ".join(f"{one.count} {one.kind}" for one in found)
    return [Finding("keys", "decrypt", Level.OK, f"all that is stored encrypted can be decrypted: {counts}")]


async def check_baseline(subject: Subject) -> list[Finding]:
    """From when on cash-outs count."""
    if not await books_fit(subject):
        return []
    assert subject.books is not None
    found = await baseline.show(subject.books)
    if found is None:
        text = "there is no baseline yet: the daemon sets it at its first look"
        return [Finding("baseline", "set", Level.WARN, text, "start the daemon: dca-daemon run")]
    text = f"cash-outs count from {found.at.isoformat()} on; {found.left_out} from before are left out"
    return [Finding("baseline", "set", Level.OK, text)]
