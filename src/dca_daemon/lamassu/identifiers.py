"""Names that go into SQL as names: checked first, then quoted. They come from an operator's settings."""

from __future__ import annotations

import re

from dca_daemon.domain.errors import ConfigError

_MAX_BYTES = 63  # PostgreSQL cuts longer names off, silently
_CHANNEL = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*\Z")
_ROLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.@-]*\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RESERVED_CHANNELS = frozenset({"reload"})  # the Lamassu server itself listens there


def quote_identifier(name: str) -> str:
    """A name as SQL writes it: `"a""b"`. Raises `ConfigError` for what can't be a name."""
    if not name or _CONTROL.search(name) or len(name.encode()) > _MAX_BYTES:
        raise ConfigError(
            f"{name!r} can't be a name in PostgreSQL", remedy="use 1 to 63 bytes, no control characters"
        )
    return '"' + name.replace('"', '""') + '"'


def quote_literal(text: str) -> str:
    """A text as SQL writes it. Raises `ConfigError` for a backslash, whose meaning depends on the server."""
    if _CONTROL.search(text) or "\\" in text:
        raise ConfigError(f"{text!r} can't be used in SQL", remedy="leave out backslashes and control characters")
    return "'" + text.replace("'", "''") + "'"


def check_channel(channel: str) -> str:
    """The channel's name, if it may be used for LISTEN and NOTIFY. Raises `ConfigError`."""
    if not _CHANNEL.match(channel) or len(channel.encode()) > _MAX_BYTES:
        raise ConfigError(
            f"lamassu.channel {channel!r} can't be a channel's name",
            remedy='use letters, digits and _ (at most 63), such as "dca_cash_out"',
        )
    if channel.lower() in _RESERVED_CHANNELS:
        raise ConfigError(
            f"lamassu.channel {channel!r} is used by the Lamassu server itself",
            remedy='choose another, such as "dca_cash_out"',
        )
    return channel


def check_role(role: str) -> str:
    """A role's name that may go into our SQL. Raises `ConfigError`."""
    if not _ROLE.match(role) or len(role.encode()) > _MAX_BYTES:
        raise ConfigError(
            f"{role!r} can't be the reader's role",
            remedy='use letters, digits and _ (at most 63), such as "dca_reader"',
        )
    return role
