"""The settings of the SSH tunnel to Lamassu's database."""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from dca_daemon.domain.errors import ConfigError
from dca_daemon.lamassu.host_keys import HostKey, parse_host_keys
from dca_daemon.runtime.settings_base import Int, Seconds, Section, secret_file

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


class TunnelSettings(Section):
    """The SSH tunnel to Lamassu's database, which the daemon keeps up by itself; without `host` there is none."""

    section_name: ClassVar[str] = "tunnel"
    host: str | None = Field(
        default=None,
        min_length=1,
        description="Name or address of the SSH server. `lamassu.dsn` then names the database as seen from there.",
        examples=["lamassu.example.com"],
    )
    port: Int = Field(default=22, ge=1, le=65_535, description="Port of the SSH server.")
    user: str | None = Field(
        default=None,
        validate_default=True,
        description="Account on the SSH server.",
        examples=["dca-tunnel"],
    )
    host_key: str | None = Field(
        default=None,
        validate_default=True,
        description="Host key that the SSH server must have: a line of known_hosts, the line of its .pub file, or "
        "its SHA256 fingerprint; several one a line. Never skipped.",
        examples=["SHA256:NJ0E7yfUCTtDKsSdfYvQTOwQfEKMKXnV5mR3dZrOOHw"],
    )
    agent: Path | None = Field(
        default=None,
        description="Socket of an ssh-agent that holds the private key, instead of `key`.",
        examples=["/run/dca-agent/socket"],
    )
    key: SecretStr | None = Field(
        default=None,
        validate_default=True,
        description="The private key itself, without a passphrase; better in a file of its own (`key_file`).",
        examples=["-----BEGIN OPENSSH PRIVATE KEY-----…"],
    )
    key_file: Path | None = secret_file("tunnel.key")
    connect_timeout_seconds: Seconds = Field(
        default=10, ge=1, le=60, description="How long the SSH connection may take to open."
    )
    keepalive_seconds: Seconds = Field(
        default=3, ge=1, le=60, description="A server that is silent for three times as long is taken for gone."
    )

    @field_validator("user")
    @classmethod
    def _user_is_given(cls, value: str | None, info: ValidationInfo) -> str | None:
        _given(value, info)
        if value is not None and not re.fullmatch(r"[^\s:@]{1,64}", value):
            raise ValueError("must be the name of an account, without blanks, @ and :")
        return value

    @field_validator("host_key")
    @classmethod
    def _host_key_is_one(cls, value: str | None, info: ValidationInfo) -> str | None:
        _given(value, info)
        if value is not None:
            try:
                parse_host_keys(value)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return value

    @field_validator("key")
    @classmethod
    def _key_is_private(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if info.data.get("agent") is None:
            _given(value, info)
        if value is not None and not _PRIVATE_KEY.match(value.get_secret_value()):
            raise ValueError("must be the private key as ssh-keygen writes it (BEGIN … PRIVATE KEY)")
        return value

    @property
    def host_keys(self) -> tuple[HostKey, ...]:
        """`host_key` as such."""
        return parse_host_keys(self.host_key or "")


def _given(value: object, info: ValidationInfo) -> None:
    """What a tunnel can't do without counts as missing, once there is to be a tunnel."""
    if value is None and info.data.get("host") is not None:
        raise PydanticCustomError("missing", "needed for the tunnel")
