"""How the API writes values, as the command line's JSON does: sats as integers, fiat as decimal strings, times
with their zone."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field

from dca_daemon.domain.money import from_minor

Amount = Annotated[str, Field(description="A decimal number in the currency.", examples=["1000.50"])]
Next = Annotated[str | None, Field(description="To be given as `after`; null: that was all.")]


class Out(BaseModel):
    """Base of all that the API answers."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def from_view(cls, view: object, **given: Any) -> Self:
        """With what is given; every other field is what the view has by the same name."""
        same = {name: getattr(view, name) for name in cls.model_fields if name not in given}
        return cls.model_validate({**same, **given})


def fiat(minor: int, currency: str) -> str:
    """A decimal string with the currency's own digits."""
    return format(from_minor(minor, currency), "f")
