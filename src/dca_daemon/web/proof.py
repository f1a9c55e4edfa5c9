"""The books summed up again: by one at a time, for it reads all of them."""

from __future__ import annotations

from dca_daemon.domain.errors import ConflictError
from dca_daemon.ledger.verify import Check, verify
from dca_daemon.web.desk import Desk


async def prove(desk: Desk) -> list[Check]:
    """Raises `ConflictError` while another one is at it."""
    if desk.proving.locked():
        raise ConflictError("the books are being summed up already", remedy="wait for that to end")
    async with desk.proving:
        return await verify(desk.db)
