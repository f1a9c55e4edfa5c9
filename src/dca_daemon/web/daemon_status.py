"""How the daemon says it stands: asked of its own HTTP server, and kept for a moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

FRESH_SECONDS = 2.0
PATIENCE_SECONDS = 1.0
_MAX_BYTES = 262_144


@dataclass(frozen=True, slots=True)
class Answer:
    """`status` is the daemon's /status, `ready` its /readyz; without them: why."""

    status: Mapping[str, Any] | None
    ready: Mapping[str, Any] | None
    why: str | None = None


class DaemonStatus:
    """Asks at `url`. A daemon that does not answer in a second is told as such: no page waits for it longer."""

    def __init__(self, url: str | None) -> None:
        self.url = url
        self._http = httpx.AsyncClient(timeout=PATIENCE_SECONDS, trust_env=False)
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._answer = Answer(None, None, "not asked yet")

    async def close(self) -> None:
        """Closes connections."""
        await self._http.aclose()

    async def read(self) -> Answer:
        """What it says now, at most two seconds old."""
        async with self._lock:
            if time.monotonic() - self._read_at > FRESH_SECONDS:
                self._answer = await self._ask()
                self._read_at = time.monotonic()
            return self._answer

    async def _ask(self) -> Answer:
        if self.url is None:
            return Answer(None, None, "its HTTP server is switched off (http.port = 0)")
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status, ready = await asyncio.gather(self._get("/status"), self._get("/readyz"))
        except (httpx.HTTPError, TimeoutError, ValueError) as error:
            return Answer(None, None, f"the daemon does not answer at {self.url} ({type(error).__name__})")
        return Answer(status, ready)

    async def _get(self, path: str) -> Mapping[str, Any]:
        answer = await self._http.get(f"{self.url}{path}")
        if len(answer.content) > _MAX_BYTES:
            raise ValueError("more than a status")
        found = answer.json()
        if not isinstance(found, dict):
            raise ValueError("no status")
        return found
