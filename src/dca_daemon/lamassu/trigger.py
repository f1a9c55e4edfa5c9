"""The trigger that tells us of a successful cash-out at the commit that makes it one. It must never hurt the ATM.

* It runs inside the ATM's own transaction: whatever goes wrong in it is caught there, or notes would be out that
  the server does not know of. It takes no lock, reads nothing, and does no more than one `pg_notify` of an id.
* It fires on the false→true edge of `dispense_confirmed` only; other writes do not even call the function.
* The server's own search_path may name a schema that does not exist: everything is schema-qualified.

SQL for PostgreSQL 9.5 and up. The scan does the same work when the trigger is absent: losing it loses only speed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import psycopg
from psycopg import AsyncConnection

from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu.connection import SourceConfig, open_connection, source_error
from dca_daemon.lamassu.identifiers import check_channel, quote_literal
from dca_daemon.lamassu.tunnel import Tunnel

FUNCTION = "dca_daemon_notify"
INSERT_TRIGGER = "dca_daemon_cash_out_insert"
UPDATE_TRIGGER = "dca_daemon_cash_out_update"
PROBE_PREFIX = "dca-probe:"
_TABLE = "public.cash_out_txs"
_LOCK_TIMEOUT = "1s"  # while the lock is waited for, the ATM's writes queue behind us

_NOTIFY = re.compile(r"pg_catalog\.pg_notify\('((?:[^']|'')*)', ")
_WHEN = {
    INSERT_TRIGGER: "new.dispense_confirmed is true",
    UPDATE_TRIGGER: "(new.dispense_confirmed is true) and (old.dispense_confirmed is not true)",
}


@dataclass(frozen=True, slots=True)
class TriggerStatus:
    """What is installed. `trouble` says in one sentence why it can't be relied on; None when it can."""

    installed: bool
    enabled: bool
    channel: str | None
    unchanged: bool
    trouble: str | None

    @property
    def works(self) -> bool:
        """Whether successful cash-outs are notified on the channel that was asked about."""
        return self.trouble is None


def function_body(channel: str) -> str:
    """The body of the trigger's function (between the dollar quotes)."""
    return f"""
BEGIN
  BEGIN
    PERFORM pg_catalog.pg_notify({quote_literal(channel)}, NEW.id::pg_catalog.text);
  EXCEPTION WHEN OTHERS THEN
    NULL; -- the scan of dca-daemon finds it all the same; the ATM's write must never fail for our sake
  END;
  RETURN NULL;
END
"""


def install_sql(channel: str) -> str:
    """SQL that installs the trigger, or renews it. Raises `ConfigError` for a channel that can't be used."""
    body = function_body(check_channel(channel))
    return f"""\
-- Wakes dca-daemon at the commit of a successful cash-out. Run it as the owner of {_TABLE} or as a superuser.
BEGIN;
SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
CREATE OR REPLACE FUNCTION public.{FUNCTION}() RETURNS trigger
  LANGUAGE plpgsql SET search_path = pg_catalog
AS $dca${body}$dca$;
DROP TRIGGER IF EXISTS {INSERT_TRIGGER} ON {_TABLE};
CREATE TRIGGER {INSERT_TRIGGER} AFTER INSERT ON {_TABLE}
  FOR EACH ROW WHEN (NEW.dispense_confirmed IS TRUE)
  EXECUTE PROCEDURE public.{FUNCTION}();
DROP TRIGGER IF EXISTS {UPDATE_TRIGGER} ON {_TABLE};
CREATE TRIGGER {UPDATE_TRIGGER} AFTER UPDATE ON {_TABLE}
  FOR EACH ROW WHEN (NEW.dispense_confirmed IS TRUE AND OLD.dispense_confirmed IS NOT TRUE)
  EXECUTE PROCEDURE public.{FUNCTION}();
COMMIT;
"""


def remove_sql() -> str:
    """SQL that removes all that `install_sql` made. Harmless where there is nothing."""
    return f"""\
BEGIN;
SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}';
DROP TRIGGER IF EXISTS {INSERT_TRIGGER} ON {_TABLE};
DROP TRIGGER IF EXISTS {UPDATE_TRIGGER} ON {_TABLE};
DROP FUNCTION IF EXISTS public.{FUNCTION}();
COMMIT;
"""


async def install(dsn: str, channel: str, *, tunnel: Tunnel | None = None) -> bool:
    """Installs the trigger with an owner's or superuser's DSN. False: it was there already, as it should be.

    Raises `SourceError` when it can't; then nothing has changed.
    """
    text = install_sql(channel)
    config = SourceConfig(dsn=dsn, channel=channel, tunnel=tunnel)
    async with await _connect_owner(config) as conn:
        try:
            if (await inspect(conn, channel)).works:
                return False
            await conn.execute(text)
        except psycopg.Error as exc:
            raise _refused(exc, config, "install") from None
    return True


async def remove(dsn: str, *, tunnel: Tunnel | None = None) -> bool:
    """Removes the trigger and its function. False: there was none. Raises `SourceError`: nothing has changed."""
    config = SourceConfig(dsn=dsn, tunnel=tunnel)
    async with await _connect_owner(config) as conn:
        try:
            before = await _exists(conn)
            if before:
                await conn.execute(remove_sql())
        except psycopg.Error as exc:
            raise _refused(exc, config, "remove") from None
    return before


async def inspect(conn: AsyncConnection, channel: str) -> TriggerStatus:
    """Looks at what is installed, and compares it with what we would install. Needs no rights on the table."""
    rows = await (await conn.execute(_INSPECT_SQL)).fetchall()
    found = {name: (enabled, kind, definition) for name, enabled, kind, definition, *_ in rows}
    if not found:
        return TriggerStatus(False, False, None, False, "the trigger is not installed")
    bodies = {(body, tuple(settings or ())) for *_, body, settings in rows}
    channels = {_channel_of(body) for body, _ in bodies}
    actual = channels.pop() if len(channels) == 1 else None
    enabled = all(flag in ("O", "A") for flag, _, _ in found.values())
    unchanged = _unchanged(found, bodies, actual)
    return TriggerStatus(True, enabled, actual, unchanged, _trouble(enabled, unchanged, actual, channel))


_INSPECT_SQL = f"""
SELECT t.tgname::text, t.tgenabled::text, t.tgtype::integer, pg_catalog.pg_get_triggerdef(t.oid, true),
       p.prosrc, p.proconfig
FROM pg_catalog.pg_trigger t
JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
WHERE n.nspname = 'public' AND c.relname = 'cash_out_txs' AND NOT t.tgisinternal
  AND t.tgname IN ('{INSERT_TRIGGER}', '{UPDATE_TRIGGER}')
"""  # noqa: S608 - constants
_EXISTS_SQL = """
SELECT 1 FROM pg_catalog.pg_trigger WHERE tgname = ANY (%s) AND NOT tgisinternal
UNION ALL
SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = 'public' AND p.proname = %s
"""
_AFTER_ROW_INSERT, _AFTER_ROW_UPDATE = 1 | 4, 1 | 16  # pg_trigger.tgtype: row, insert, update


def _unchanged(
    found: dict[str, tuple[str, int, str]], bodies: set[tuple[str, tuple[str, ...]]], channel: str | None
) -> bool:
    if set(found) != {INSERT_TRIGGER, UPDATE_TRIGGER} or channel is None:
        return False
    kinds = {name: kind for name, (_, kind, _) in found.items()}
    return (
        bodies == {(function_body(channel), ("search_path=pg_catalog",))}
        and kinds == {INSERT_TRIGGER: _AFTER_ROW_INSERT, UPDATE_TRIGGER: _AFTER_ROW_UPDATE}
        and all(_condition(definition) == _WHEN[name] for name, (_, _, definition) in found.items())
    )


def _condition(definition: str) -> str:
    """The WHEN of a definition as `pg_get_triggerdef` prints it; parentheses differ between releases."""
    match = re.search(r"WHEN \((.*)\) EXECUTE", definition, re.DOTALL)
    text = re.sub(r"\s+", " ", match[1]).lower() if match else ""
    bare = text.replace("(", "").replace(")", "")
    return next((known for known in _WHEN.values() if known.replace("(", "").replace(")", "") == bare), text)


def _channel_of(body: str) -> str | None:
    match = _NOTIFY.search(body)
    return match[1].replace("''", "'") if match else None


def _trouble(enabled: bool, unchanged: bool, actual: str | None, wanted: str) -> str | None:
    if not enabled:
        return "the trigger is disabled"
    if actual is not None and actual != wanted:
        return f"the trigger notifies on the channel {actual!r}, not on {wanted!r}"
    if not unchanged:
        return "the trigger is not as this release installs it"
    return None


async def _exists(conn: AsyncConnection) -> bool:
    names = [INSERT_TRIGGER, UPDATE_TRIGGER]
    return await (await conn.execute(_EXISTS_SQL, (names, FUNCTION))).fetchone() is not None


async def _connect_owner(config: SourceConfig) -> AsyncConnection:
    """Without our reader's session settings: this connection is here to write."""
    return await open_connection(
        config,
        config.dsn,
        autocommit=True,
        application_name="dca-daemon",
        connect_timeout=config.connect_timeout_seconds,
    )


def _refused(exc: psycopg.Error, config: SourceConfig, verb: str) -> SourceError:
    by_hand = f"or run the SQL of `dca-daemon lamassu {verb}-trigger --print` there"
    if isinstance(exc, psycopg.errors.LockNotAvailable):
        return SourceError(
            "cash_out_txs is in use, and its writers must not wait for us: nothing was changed",
            remedy="try again in a moment",
        )
    if isinstance(exc, psycopg.errors.InsufficientPrivilege | psycopg.errors.ReadOnlySqlTransaction):
        return SourceError(
            f"this role may not {verb} the trigger; nothing was changed",
            remedy=f"use the DSN of the table's owner or of a superuser, {by_hand}",
        )
    return source_error(exc, config)
