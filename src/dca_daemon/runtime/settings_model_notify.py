"""The settings of the daemon's own notifications."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote

from pydantic import Field, SecretStr, field_validator

from dca_daemon.domain.alerts import Severity
from dca_daemon.runtime.settings_base import Int, Section, secret_file

_LONG = 20
_SHORT = 8


class NotifySettings(Section):
    """Messages by e-mail, ntfy, Telegram, Nostr and others, sent by the daemon itself when something alerts."""

    section_name: ClassVar[str] = "notify"
    urls: SecretStr | None = Field(
        default=None,
        description="Where to, one address of apprise a line; lines that begin with # are left out.",
        examples=["ntfys://ntfy.example.com/dca"],
    )
    urls_file: Path | None = secret_file("notify.urls")
    severity: Severity = Field(
        default=Severity.WARN, description="Least urgent that is sent: `page`, `warn` or `info`."
    )
    name: str = Field(
        default="dca-daemon", min_length=1, max_length=64, description="What each message's title begins with."
    )
    group_seconds: Int = Field(
        default=60,
        ge=1,
        le=3600,
        description="How long a problem must last before it is sent, and all that comes meanwhile goes with it; "
        "also how long it must be well for the all-clear.",
    )
    repeat_hours: Int = Field(
        default=24, ge=0, le=168, description="How often what lasts is sent again; 0: never."
    )

    @field_validator("urls")
    @classmethod
    def _each_is_an_address(cls, value: SecretStr | None) -> SecretStr | None:
        for number, line in enumerate(_lines(value), 1):
            scheme, separator, rest = line.partition("://")
            if not separator or not scheme.isalnum() or not rest or any(c.isspace() for c in line):
                raise ValueError(f"line {number} must be an address like ntfys://ntfy.example.com/topic")
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """`urls`, one by one."""
        return tuple(_lines(self.urls))


def _lines(value: SecretStr | None) -> list[str]:
    lines = [line.strip() for line in value.get_secret_value().splitlines()] if value is not None else []
    return [line for line in lines if line and not line.startswith("#")]


def secret_words(urls: str) -> Iterator[str]:
    """What must not be shown of these addresses: each as a whole, its password, and whatever looks like a token.

    Ordinary words are left out: one that is a topic's name would be masked in every line of the log."""
    for url in urls.split():
        yield url
        rest = url.partition("://")[2]
        if password := re.match(r"[^/@]*:([^/@]+)@", rest):
            yield from (password[1], unquote(password[1]))
        for word in re.split(r"[/:@?&=,]+", rest):
            if len(word) >= _LONG or (len(word) >= _SHORT and not re.fullmatch(r"[a-z.-]*", word)):
                yield from (word, unquote(word))
