"""The settings of the daemon itself: how it pays, books, encrypts, answers and logs."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, time
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from dca_daemon.domain.hosts import is_loopback
from dca_daemon.domain.money import MAX_SATS
from dca_daemon.runtime.settings_base import Int, Seconds, Section, Words, secret_file


class PayoutsSettings(Section):
    """How clients are paid."""

    section_name: ClassVar[str] = "payouts"
    enabled: bool = Field(default=True, description="`false`: book everything, pay nothing.")
    concurrency: Int = Field(
        default=4, ge=1, le=16, description="Payouts under way at once; LNbits gains nothing above 4."
    )
    invoice_expiry_seconds: Int = Field(
        default=604_800, ge=86_400, le=31_536_000, description="Life of an invoice (a day or more)."
    )
    max_payout_sats: Int = Field(
        default=10_000_000, ge=1, le=MAX_SATS, description="Largest single payment (LNbits: 10,000,000)."
    )
    lookup_after_timeout_seconds: Seconds = Field(
        default=90,
        ge=30,
        le=3600,
        description="How long after a pay request without an answer its absence in LNbits' records counts.",
    )
    trust_external_failures: bool = Field(
        default=False,
        description="Whether a payment to elsewhere that LNbits calls failed is taken for failed; "
        "`false`: it waits for a person.",
    )
    allow_private_lnurl: bool = Field(
        default=False, description="Whether Lightning addresses may lead to private or loopback addresses."
    )
    wallet_reserve_sats: Int = Field(
        default=0, ge=0, le=MAX_SATS, description="Balance of the source wallet that payouts never touch."
    )


class SecuritySettings(Section):
    """Encryption of the receivers' invoice keys in our database."""

    section_name: ClassVar[str] = "security"
    encryption_keys: SecretStr = Field(
        description="Fernet keys, one a line: the first encrypts, all decrypt (so keys can be rotated). "
        "Make one: `dca-daemon db new-key`. Lines that begin with # are left out.",
        examples=["one key a line, each of 44 characters"],
    )
    encryption_keys_file: Path | None = secret_file("security.encryption_keys")

    @field_validator("encryption_keys")
    @classmethod
    def _keys_are_fernet_keys(cls, value: SecretStr) -> SecretStr:
        lines = _key_lines(value)
        if not lines:
            raise ValueError("must be one or more Fernet keys, one a line")
        for number, line in enumerate(lines, 1):
            try:
                raw = base64.b64decode(line, altchars=b"-_", validate=True)
            except binascii.Error:
                raw = b""
            if len(raw) != 32:
                raise ValueError(f"line {number} is not a Fernet key (32 bytes in URL-safe base64)")
        return value

    @property
    def fernet_keys(self) -> tuple[str, ...]:
        """The keys in order: the first encrypts, all decrypt."""
        return tuple(_key_lines(self.encryption_keys))


def _key_lines(value: SecretStr) -> list[str]:
    lines = [line.strip() for line in value.get_secret_value().splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


class IntakeSettings(Section):
    """From a cash-out seen to a cash-out booked."""

    section_name: ClassVar[str] = "intake"
    batch_size: Int = Field(default=200, ge=1, le=10_000, description="Cash-outs booked in one transaction.")
    queue_size: Int = Field(
        default=2000, ge=1, le=100_000, description="Cash-outs read ahead of the books at most."
    )


class ReconcileSettings(Section):
    """Comparing the books with LNbits and Lamassu, by the daemon itself."""

    section_name: ClassVar[str] = "reconcile"
    times: Words = Field(
        default=("04:10",),
        description="When, in the local time of this computer; an empty list: never.",
        examples=[["04:10", "16:10"]],
    )
    window_days: Int = Field(default=35, ge=1, le=3660, description="How far back it looks then.")
    since: str | None = Field(
        default=None,
        description="Nothing that happened before this time is compared, neither by the command: set it when "
        "the source wallet was changed.",
        examples=["2026-01-31T00:00:00-06:00"],
    )

    @field_validator("times")
    @classmethod
    def _times_are_of_a_day(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", one):
                raise ValueError("must be times of the day like 04:10")
        return value

    @field_validator("since")
    @classmethod
    def _since_has_a_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                zone = datetime.fromisoformat(value).tzinfo
            except ValueError:
                zone = None
            if zone is None:
                raise ValueError("must be a time with its zone")
        return value

    @property
    def times_of_day(self) -> tuple[time, ...]:
        """`times` as such."""
        return tuple(time.fromisoformat(one) for one in self.times)

    @property
    def since_time(self) -> datetime | None:
        """`since` as such."""
        return None if self.since is None else datetime.fromisoformat(self.since)


class FixedSettings(Section):
    """What a bitcoin costs, for runs of Fixed Mode. When they are is in the database: `dca-daemon fixed set`."""

    section_name: ClassVar[str] = "fixed"
    lnbits_rate_max_age_seconds: Seconds = Field(
        default=300, ge=10, le=3600, description="How old LNbits' own rate may be when it is booked."
    )
    ticker_max_age_seconds: Seconds = Field(
        default=86_400,
        ge=60,
        le=604_800,
        description="How old the latest cash-out's ticker may be, which is used where LNbits has no rate.",
    )
    max_deviation_percent: Seconds = Field(
        default=15,
        gt=0,
        le=1000,
        description="How far LNbits' rate may be from that ticker; further apart, nothing is bought.",
    )
    retry_seconds: Seconds = Field(
        default=60, ge=1, le=3600, description="Time between tries while there is no rate."
    )


class WatchSettings(Section):
    """What the daemon looks at every minute so that it can alert in time."""

    section_name: ClassVar[str] = "watch"
    wallet_low_sats: Int = Field(
        default=0, ge=0, le=MAX_SATS, description="Balance of the source wallet below which it is low; 0: never."
    )
    unknown_minutes: Int = Field(
        default=15, ge=1, le=10_080, description="How long a payment's outcome may be unknown."
    )
    clock_seconds: Seconds = Field(
        default=5, ge=1, le=3600, description="How far this computer's clock and the databases' may differ."
    )
    disk_paths: Words = Field(
        default=("/",),
        description="Where there must be room: a path on each file system that matters, for example that of "
        "PostgreSQL; an empty list: nowhere.",
        examples=[["/", "/var/lib/postgresql"]],
    )
    disk_free_percent: Int = Field(default=10, ge=1, le=99, description="How much of each must be free.")

    @field_validator("disk_paths")
    @classmethod
    def _paths_are_absolute(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(one.startswith("/") for one in value):
            raise ValueError("must be paths that begin with /")
        return value


class RetentionSettings(Section):
    """How long what is no part of the books is kept; the daemon forgets it every six hours (privacy.md)."""

    section_name: ClassVar[str] = "retention"
    logins_days: Int = Field(
        default=30, ge=1, le=3660, description="Sessions and login links of the console, after their end."
    )
    failed_logins_days: Int = Field(
        default=1, ge=1, le=366, description="Failed logins: the name that was typed, and from where."
    )
    offers_days: Int = Field(
        default=1, ge=1, le=30, description="What was entered for a confirmation, encrypted, after its end."
    )
    answers_days: Int = Field(
        default=7, ge=7, le=366, description="What the API answered to an Idempotency-Key, encrypted."
    )
    events_days: Int = Field(
        default=90, ge=1, le=3660, description="The feed of events. What it is made of is in the books."
    )
    deliveries_days: Int = Field(
        default=30, ge=1, le=3660, description="Deliveries to webhooks, with what was sent, after their end."
    )
    access_days: Int = Field(
        default=365, ge=1, le=3660, description="Personal links and tokens of clients, after they ended."
    )


class HttpSettings(Section):
    """The daemon's own HTTP server: health, metrics, status."""

    section_name: ClassVar[str] = "http"
    allow_remote: bool = Field(
        default=False, description="Allows a `host` that other computers can reach (there is no login)."
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: Int = Field(default=8017, ge=0, le=65_535, description="Port to listen on; 0: no HTTP server.")
    allowed_hosts: Words = Field(
        default=(),
        description="Further names by which the server may be called (Host header), e.g. behind a proxy.",
        examples=[["dca.example.com"]],
    )

    @field_validator("host")
    @classmethod
    def _host_is_loopback(cls, value: str, info: ValidationInfo) -> str:
        if not info.data.get("allow_remote") and not is_loopback(value):
            raise ValueError(
                "must be a loopback address: who reaches it needs no login (or set http.allow_remote = true)"
            )
        return value


class LogSettings(Section):
    """What the daemon tells on stderr."""

    section_name: ClassVar[str] = "log"
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level shown: `debug`, `info`, `warning` or `error`."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="`console` for people, `json` for machines, `auto`: console on a terminal, else json.",
    )
