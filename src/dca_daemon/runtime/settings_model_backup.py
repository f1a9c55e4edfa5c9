"""The settings of backups: where they go, who can read them, how many are kept."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from dca_daemon.domain.errors import InputError
from dca_daemon.runtime.settings_base import Int, Section, Words, conninfo, plain_url, secret_file


class BackupSettings(Section):
    """Backups of our own database (`dca-daemon backup`)."""

    section_name: ClassVar[str] = "backup"
    folder: Path | None = Field(
        default=None,
        description="Folder that backups are written to; it must be there. Without it there are none.",
        examples=["/var/lib/dca-backup"],
    )
    unencrypted: bool = Field(
        default=False,
        description="`true`: without any `recipients`, write backups that whoever gets hold of them can read.",
    )
    recipients: Words = Field(
        default=(),
        description="Public age keys: whoever has the secret key of one of them can read the backups. "
        "Make one: `dca-daemon backup new-key`. Required with `folder`, but for `unencrypted`.",
        examples=[["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]],
    )
    keep_daily: Int = Field(default=7, ge=1, le=3660, description="Of so many days the last backup is kept.")
    keep_weekly: Int = Field(default=5, ge=0, le=520, description="Of so many weeks the last backup is kept.")
    keep_monthly: Int = Field(default=12, ge=0, le=120, description="Of so many months the last backup is kept.")
    max_age_hours: Int = Field(
        default=36,
        ge=1,
        le=8760,
        description="How old the last backup may be; `doctor` finds fault with an older one.",
    )
    timeout_seconds: Int = Field(
        default=7200, ge=10, le=86_400, description="How long a run of pg_dump or pg_restore may take."
    )
    pg_bin: Path | None = Field(
        default=None,
        description="Folder of the pg_dump and pg_restore to use. Default: the oldest that is not older than the "
        "server, of those in PATH and those that Linux distributions install.",
        examples=["/usr/lib/postgresql/17/bin"],
    )
    drill_url: SecretStr | None = Field(
        default=None,
        description="Server, and a role that may create databases there, for drills. Default: `database.url`.",
        examples=["postgresql://dca_drill:secret@127.0.0.1:5432/postgres"],
    )
    drill_url_file: Path | None = secret_file("backup.drill_url")

    @field_validator("recipients")
    @classmethod
    def _recipients_are_public_keys(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if value:
            from dca_daemon.services.backups.keys import read_recipient

            try:
                for one in value:
                    read_recipient(one)
            except InputError as error:
                raise ValueError(error.message) from None
        if value and info.data.get("unencrypted"):
            raise ValueError("must be empty with unencrypted = true: it would not be used")
        return value

    @field_validator("folder", "pg_bin")
    @classmethod
    def _paths_are_absolute(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be a whole path, from / on")
        return value

    @field_validator("drill_url")
    @classmethod
    def _drill_url_parses(cls, value: SecretStr | None) -> SecretStr | None:
        return None if value is None else conninfo(SecretStr(plain_url(value)))

    @property
    def drill_dsn(self) -> str | None:
        """`drill_url` for libpq: `postgresql://…`."""
        return None if self.drill_url is None else plain_url(self.drill_url)
