"""Lamassu's database."""

from __future__ import annotations

from dca_daemon.lamassu.check import check_source
from dca_daemon.services.doctor.findings import Finding, Level, Subject


async def check_lamassu(subject: Subject) -> list[Finding]:
    """Lamassu's database, as `dca-daemon lamassu check` looks at it."""
    if subject.source is None:
        return []
    levels = {True: Level.OK, False: Level.FAIL, None: Level.WARN}
    return [
        Finding("lamassu", found.name, levels[found.ok], found.text, found.remedy)
        for found in await check_source(subject.source)
    ]
