"""Every setting: its section, key, type, bounds, default, meaning and an example.

Here are the sections about what is outside of the daemon; `settings_model_daemon.py` has those about itself,
`settings_model_console.py` that of the console, `settings_model_backup.py`, `settings_model_notify.py` and
`settings_model_tunnel.py` those of backups, notifications and the tunnel.
docs/configuration.md and config.example.toml are generated from this file (`settings_reference.py`).
Each secret key `x` has a companion `x_file`; `settings_sources.py` says where values come from.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import minor_digits
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.runtime.settings_base import (
    Int,
    Seconds,
    Section,
    conninfo,
    plain_url,
    secret_file,
)
from dca_daemon.runtime.settings_model_backup import BackupSettings
from dca_daemon.runtime.settings_model_console import ConsoleSettings
from dca_daemon.runtime.settings_model_daemon import (
    FixedSettings,
    HttpSettings,
    IntakeSettings,
    LogSettings,
    PayoutsSettings,
    ReconcileSettings,
    RetentionSettings,
    SecuritySettings,
    WatchSettings,
)
from dca_daemon.runtime.settings_model_notify import NotifySettings
from dca_daemon.runtime.settings_model_tunnel import TunnelSettings


class DatabaseSettings(Section):
    """The daemon's own PostgreSQL database: the books."""

    section_name: ClassVar[str] = "database"
    url: SecretStr = Field(
        description="Where our own database is.", examples=["postgresql://dca:secret@127.0.0.1:5432/dca"]
    )
    url_file: Path | None = secret_file("database.url")
    pool_size: Int = Field(default=5, ge=1, le=100, description="Connections kept open at most.")
    statement_timeout_seconds: Int = Field(
        default=60, ge=1, le=120, description="How long one statement of the daemon may take."
    )

    @field_validator("url")
    @classmethod
    def _url_is_postgresql(cls, value: SecretStr) -> SecretStr:
        if not re.match(r"postgres(ql)?(\+psycopg)?://", value.get_secret_value()):
            raise ValueError("must be a URL that starts with postgresql://")
        conninfo(SecretStr(plain_url(value)))
        return value

    @property
    def dsn(self) -> str:
        """For psycopg and libpq: `postgresql://…`."""
        return plain_url(self.url)

    @property
    def sqlalchemy_url(self) -> str:
        """For SQLAlchemy: `postgresql+psycopg://…`."""
        return self.dsn.replace("postgresql://", "postgresql+psycopg://", 1)


class NewMachines(StrEnum):
    """What becomes of a machine that is seen for the first time."""

    DEFAULT = "default"
    WAIT = "wait"


class PoolSettings(Section):
    """The default pool of machines that the clients' cash is in, and what becomes of new machines."""

    section_name: ClassVar[str] = "pool"
    currency: str = Field(description="Currency of the machines' cash, ISO 4217.", examples=["GTQ"])
    name: str = Field(default="default", min_length=1, max_length=64, description="Name of the pool.")
    new_machines: NewMachines = Field(
        default=NewMachines.DEFAULT,
        description="A machine that is seen for the first time: `default` puts it into the default pool; with "
        "`wait` its cash-outs wait until somebody has decided on its pool (`machine accept`, `machine move`).",
    )

    @field_validator("currency")
    @classmethod
    def _currency_is_known(cls, value: str) -> str:
        try:
            minor_digits(value)
        except InputError as error:
            raise ValueError(f"{error.message}: must be an ISO 4217 code") from None
        return value

    @property
    def new_machines_wait(self) -> bool:
        return self.new_machines is NewMachines.WAIT


class LamassuSettings(Section):
    """Lamassu's database: where cash-outs are seen. It is only ever read."""

    section_name: ClassVar[str] = "lamassu"
    dsn: SecretStr = Field(
        description="Lamassu's database, with the role that `dca-daemon lamassu grants` prints.",
        examples=["postgresql://dca_reader:secret@127.0.0.1:5433/lamassu"],
    )
    dsn_file: Path | None = secret_file("lamassu.dsn")
    listen_dsn: SecretStr | None = Field(
        default=None,
        description="A direct connection for LISTEN, where `dsn` goes through a pooler. Default: `dsn`.",
        examples=["postgresql://dca_reader:secret@127.0.0.1:5434/lamassu"],
    )
    listen_dsn_file: Path | None = secret_file("lamassu.listen_dsn")
    channel: str = Field(default="dca_cash_out", description="Channel on which the trigger notifies.")
    split_method: SplitMethod = Field(
        default=SplitMethod.RECORDED,
        description="Where the commission is taken from: `recorded` (the row's own percentage and discount) "
        "or `ticker` (the fiat at the row's ticker price; right for fixed fees and old machines).",
    )
    charge: Charge = Field(
        default=Charge.PRINCIPAL,
        description="What clients are charged in fiat: `principal` (fiat less its commission part) or "
        "`dispensed` (all the notes that left the machine).",
    )
    window_days: Int = Field(
        default=7, ge=1, le=366, description="How far back each scan looks, by Lamassu's clock."
    )
    scan_interval_seconds: Seconds = Field(
        default=60, ge=1, le=3600, description="Time between scans while notifications work."
    )
    poll_interval_seconds: Seconds = Field(
        default=5, ge=0.1, le=300, description="Time between scans while there are no notifications."
    )
    sweep_interval_seconds: Seconds = Field(
        default=3600, ge=60, le=86_400, description="Time between sweeps over everything since the baseline."
    )
    connect_timeout_seconds: Int = Field(
        default=5, ge=1, le=60, description="How long a connection to Lamassu may take to open."
    )
    statement_timeout_seconds: Int = Field(
        default=30, ge=1, le=600, description="How long one query on Lamassu may take."
    )

    _dsn_parses = field_validator("dsn")(conninfo)

    @field_validator("listen_dsn")
    @classmethod
    def _listen_dsn_parses(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else conninfo(value)

    @field_validator("channel")
    @classmethod
    def _channel_is_usable(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", value):
            raise ValueError("must be lower case letters, digits and _ (at most 63)")
        if value == "reload":
            raise ValueError("must not be reload: Lamassu itself listens there")
        return value

    @property
    def listen_dsn_or_dsn(self) -> str:
        return (self.listen_dsn or self.dsn).get_secret_value()


class LnbitsSettings(Section):
    """LNbits, and the wallet there that payouts are paid from."""

    section_name: ClassVar[str] = "lnbits"
    url: str = Field(description="Where LNbits answers.", examples=["https://lnbits.example.com"])
    admin_key: SecretStr = Field(
        description="Admin key of the wallet that pays.", examples=["0123456789abcdef0123456789abcdef"]
    )
    admin_key_file: Path | None = secret_file("lnbits.admin_key")
    source_wallet_id: str | None = Field(
        default=None,
        description="Where the paying wallet is shared by its owner: the owner's wallet id, under which LNbits "
        "records its payments. Default: the wallet of `admin_key`.",
        examples=["0123456789abcdef0123456789abcdef"],
    )
    timeout_seconds: Seconds = Field(
        default=60, ge=10, le=600, description="How long to wait for an answer of LNbits."
    )
    requests_per_minute: Int = Field(
        default=180, ge=1, le=100_000, description="Pace per path; keep it below LNbits' own limit (200)."
    )

    @field_validator("url")
    @classmethod
    def _url_is_http(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must be an http:// or https:// address without user, password or ?query")
        return value.rstrip("/")

    @field_validator("admin_key")
    @classmethod
    def _key_is_a_word(cls, value: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[\x21-\x7e]{8,256}", value.get_secret_value()):
            raise ValueError("must be the key alone: 8 to 256 characters without blanks")
        return value


SECTIONS: dict[str, type[Section]] = {
    section.section_name: section
    for section in (
        DatabaseSettings,
        PoolSettings,
        LamassuSettings,
        TunnelSettings,
        LnbitsSettings,
        PayoutsSettings,
        SecuritySettings,
        IntakeSettings,
        ReconcileSettings,
        BackupSettings,
        FixedSettings,
        WatchSettings,
        NotifySettings,
        RetentionSettings,
        HttpSettings,
        ConsoleSettings,
        LogSettings,
    )
}
