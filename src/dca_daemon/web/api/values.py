"""How the API writes values, as the command line's JSON does: sats as integers, fiat as decimal strings, times
with their zone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from dca_daemon.domain.money import from_minor


class Out(BaseModel):
    """Base of all that the API answers."""

    model_config = ConfigDict(frozen=True)


def fiat(minor: int, currency: str) -> str:
    """A decimal string with the currency's own digits."""
    return format(from_minor(minor, currency), "f")
