"""What a look at Lamassu's database finds."""

from __future__ import annotations

from dataclasses import dataclass

GRANTS = "see `dca-daemon lamassu grants --print`"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `ok` None is a warning. `remedy` is empty where there is nothing to do."""

    name: str
    ok: bool | None
    text: str
    remedy: str = ""
