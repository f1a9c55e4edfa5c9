"""The clock of the payer's timers."""

from __future__ import annotations

import asyncio


def now_seconds() -> float:
    """The event loop's clock: monotonic, deaf to the host's clock, and simulated in a simulation."""
    return asyncio.get_running_loop().time()
