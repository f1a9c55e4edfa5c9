"""The time zone that this computer keeps."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_LINK = Path("/etc/localtime")
_MARK = "zoneinfo/"


def local_zone() -> ZoneInfo:
    """By TZ, else by /etc/localtime; where neither names one that is known: UTC."""
    for name in (os.environ.get("TZ", "").lstrip(":"), str(_LINK.resolve()).partition(_MARK)[2]):
        try:
            if name:
                return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            continue
    return ZoneInfo("UTC")
