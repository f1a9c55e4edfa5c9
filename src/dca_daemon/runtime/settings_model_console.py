"""The settings of the console: the pages, the API, and the clients' own pages."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationInfo, field_validator

from dca_daemon.domain.hosts import is_loopback
from dca_daemon.runtime.settings_base import Int, Section, Words


class ConsoleSettings(Section):
    """The console: a process of its own (`dca-daemon console`) with pages for people and an API for programs."""

    section_name: ClassVar[str] = "console"
    base_url: str | None = Field(
        default=None,
        description="How browsers reach it, e.g. through a proxy that speaks TLS. Default: its own address.",
        examples=["https://dca.example.com"],
    )
    allow_remote: bool = Field(
        default=False, description="Allows a `host` that other computers can reach; `base_url` must be https then."
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="Address to listen on.")
    port: Int = Field(default=8018, ge=0, le=65_535, description="Port to listen on; 0: any that is free.")
    allowed_hosts: Words = Field(
        default=(),
        description="Further names by which it may be called (Host header), besides that of `base_url`.",
        examples=[["dca.example.com"]],
    )
    behind_proxy: bool = Field(
        default=False,
        description="Whether a proxy on this computer tells the visitor's address (X-Forwarded-For).",
    )
    zone: str | None = Field(
        default=None,
        description="Time zone of the pages. Default: that of this computer.",
        examples=["America/Guatemala"],
    )
    session_idle_minutes: Int = Field(
        default=60, ge=1, le=1440, description="A session that is not used for so long is over."
    )
    session_hours: Int = Field(
        default=12, ge=1, le=168, description="A session is over after so long, however much it is used."
    )
    daemon_url: str | None = Field(
        default=None,
        description="Where the daemon's own HTTP server answers. Default: as [http] says.",
        examples=["http://127.0.0.1:8017"],
    )
    allow_private_webhooks: bool = Field(
        default=False, description="Whether webhooks may lead to private or loopback addresses, and to http://."
    )

    @property
    def address(self) -> str:
        """Where browsers reach it, as far as the settings tell."""
        if self.base_url:
            return self.base_url
        host = f"[{self.host}]" if ":" in self.host and not self.host.startswith("[") else self.host
        return f"http://{host}:{self.port}"

    @field_validator("base_url", "daemon_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        if not usable or "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("must be like https://dca.example.com, without a path, user or password")
        return value.rstrip("/")

    @field_validator("host")
    @classmethod
    def _host_is_loopback(cls, value: str, info: ValidationInfo) -> str:
        if is_loopback(value):
            return value
        if not info.data.get("allow_remote"):
            raise ValueError("must be a loopback address (or set console.allow_remote = true)")
        if not str(info.data.get("base_url") or "").startswith("https://"):
            raise ValueError("passwords would cross the network in the open: set console.base_url = https://… too")
        return value

    @field_validator("zone")
    @classmethod
    def _zone_is_known(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (ZoneInfoNotFoundError, ValueError, OSError):
                raise ValueError("must be the name of a time zone like America/Guatemala") from None
        return value
