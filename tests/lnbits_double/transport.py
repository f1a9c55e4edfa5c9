"""The double in the client's own process: a transport for httpx that breaks as connections do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

from tests.lnbits_double.http import Cut, Reply

if TYPE_CHECKING:
    from tests.lnbits_double.double import LnbitsDouble

_ERRORS: dict[Cut, tuple[type[httpx.TransportError], str]] = {
    Cut.REFUSED: (httpx.ConnectError, "All connection attempts failed"),
    Cut.RESET: (httpx.ReadError, "connection reset by peer"),
    Cut.CLOSED: (httpx.RemoteProtocolError, "Server disconnected without sending a response."),
    Cut.GARBAGE: (httpx.RemoteProtocolError, "illegal status line: bytearray(b'SSH-2.0-OpenSSH_9.2')"),
    Cut.SILENT: (httpx.ReadTimeout, ""),
}


class DoubleTransport(httpx.AsyncBaseTransport):
    """Carries requests to the double. Keeps read time-outs, by the loop's clock and the double's."""

    def __init__(self, double: LnbitsDouble) -> None:
        self._double = double

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        timeout = request.extensions.get("timeout", {}).get("read")
        began = self._double.core.clock()
        try:
            async with asyncio.timeout(timeout):
                answer = await self._answer(request, timeout)
        except TimeoutError:
            raise httpx.ReadTimeout("", request=request) from None
        if timeout is not None and (self._double.core.clock() - began).total_seconds() > timeout:
            raise httpx.ReadTimeout("", request=request)  # where waiting takes no time: it came too late
        if isinstance(answer, Cut):
            error, text = _ERRORS[answer]
            raise error(text, request=request)
        if answer.missing_bytes:
            raise httpx.RemoteProtocolError(
                "peer closed connection without sending complete message body", request=request
            )
        headers = {"Content-Type": answer.content_type, **answer.headers}
        return httpx.Response(answer.status, headers=headers, content=answer.content, request=request)

    async def _answer(self, request: httpx.Request, timeout: float | None) -> Reply | Cut:
        answer = await self._double.handle(
            request.method,
            request.url.path,
            request.url.query.decode(),
            request.headers.get("X-Api-Key"),
            await request.aread(),
        )
        if answer is Cut.SILENT and timeout is not None:
            await self._double.sleep(timeout)  # until the client has had enough
        elif answer is Cut.SILENT:
            await asyncio.Event().wait()
        return answer
