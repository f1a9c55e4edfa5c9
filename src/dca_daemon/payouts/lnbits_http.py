"""Talks HTTP to LNbits, and sorts whatever can happen to a request by what it proves.

| what happened | raised |
|---|---|
| the connection was never made | `WalletUnreachableError`: provably not sent |
| any other fault of transport, a redirect, a body that is not JSON, a 5xx | `WalletUnknownError` |
| 429 | `WalletRateLimitedError`: not carried out; the path pauses |
| everything else | nothing: a complete `Reply`, for the caller to judge |
"""

from __future__ import annotations

import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx
import structlog
import tenacity

from dca_daemon.domain.errors import (
    ConfigError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.text import plain
from dca_daemon.payouts import certificates
from dca_daemon.payouts.pacing import Pacer

log = structlog.get_logger(__name__)

NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
REPLY_BYTES_MAX = 32_000_000  # a page of LNbits' list is below one million
_OF_TRANSFER = (b"content-encoding", b"content-length", b"transfer-encoding")  # done with, once it is read
LNBITS_REFUSED = 520  # LNbits' own status for a payment or invoice that it refuses
REMEDIES = {
    401: "give the wallet's key",
    403: "paying needs the wallet's admin key, not its invoice key",
    404: "check the key: LNbits knows no wallet with it",
}
# An LNbits whose host vanished without a word knows nothing of our request when it is back: its kernel says so to
# the next probe, where we would else wait out the whole time-out. The last is for what was never acknowledged.
SOCKET_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 8_000),
)
_WRONG_PATH = "check lnbits.url: that path is none of LNbits'"  # the web framework's own words, not LNbits'

_DECIMALS: dict[str, Any] = {"parse_float": Decimal, "parse_constant": Decimal}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer with a JSON body."""

    status: int
    body: Any
    date: datetime | None = None  # by LNbits' clock, or that of what stands before it; whole seconds

    @property
    def ok(self) -> bool:
        """Whether LNbits did what it was asked."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """LNbits' own sentence, short enough to be shown."""
        detail = self.body.get("detail") or self.body.get("error") if isinstance(self.body, dict) else self.body
        try:
            return plain(
                detail if isinstance(detail, str) else json.dumps(detail, ensure_ascii=False, default=str), 300
            )
        except RecursionError:  # what was just deep enough to be read can be too deep to be written
            return "…"

    def refusal(self, doing: str) -> WalletRefusedError:
        """This answer as an error, `doing` what was asked."""
        return WalletRefusedError(
            f"LNbits refused to {doing}: {self.status} {self.text}",
            status=self.status,
            remedy=_WRONG_PATH if (self.status, self.text) == (404, "Not Found") else REMEDIES.get(self.status),
        )


class LnbitsHttp:
    """One LNbits instance. Keys go into a header of their own request only."""

    def __init__(
        self,
        url: str,
        *,
        pacer: Pacer,
        connect_timeout_seconds: float,
        read_timeout_seconds: float,
        max_connections: int,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = _checked_url(url)
        self._pacer = pacer
        timeout = httpx.Timeout(read_timeout_seconds, connect=connect_timeout_seconds)

        # A transport brings its own certificates, or none.
        context = certificates.trusted() if transport is None else True

        def client(keepalive: int) -> httpx.AsyncClient:
            limits = httpx.Limits(
                max_connections=max_connections,
                max_keepalive_connections=keepalive,
                keepalive_expiry=2,  # uvicorn closes an idle connection after 5 s
            )
            return httpx.AsyncClient(
                base_url=self.url,
                timeout=timeout,
                headers={"Accept": "application/json", "User-Agent": "dca-daemon"},
                follow_redirects=False,
                trust_env=False,  # no proxy gets to see the keys
                transport=transport
                or httpx.AsyncHTTPTransport(
                    verify=context, trust_env=False, limits=limits, socket_options=SOCKET_OPTIONS
                ),
            )

        self._client = client(max_connections)
        # A connection that LNbits is just closing makes a pay request's fate unknown, so each has its own.
        self._fresh_client = client(0)

    async def get(
        self, path: str, *, key: str | None, params: Mapping[str, str] | None = None, decimals: bool = False
    ) -> Reply:
        """Reads; with `decimals` broken numbers come as exact `Decimal`s. Raises as this module's table says."""
        return await self._send(self._client, "GET", path, key=key, params=params, decimals=decimals)

    async def post(self, path: str, body: Mapping[str, object], *, key: str, fresh: bool = False) -> Reply:
        """Sends once, never again by itself; `fresh` on a connection of its own. Raises as the table says."""
        client = self._fresh_client if fresh else self._client
        return await self._send(client, "POST", path, key=key, body=body)

    async def close(self) -> None:
        """Closes all connections."""
        await self._client.aclose()
        await self._fresh_client.aclose()

    async def _send(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        *,
        key: str | None,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        decimals: bool = False,
    ) -> Reply:
        await self._pacer.wait_turn(path)
        headers = {"X-Api-Key": key} if key else {}
        try:
            response = await _bounded(client, method, path, params=params, json=body, headers=headers)
        except NOT_SENT as error:
            raise WalletUnreachableError(
                f"LNbits at {self.url} can't be reached: {_reason(error)}",
                remedy="is it running, and is the address right?",
            ) from error
        except httpx.HTTPError as error:
            raise WalletUnknownError(f"no answer of LNbits to {method} {path}: {_reason(error)}") from error
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise self._rate_limited(path, response)
        return _complete_reply(method, path, response, decimals)

    def _rate_limited(self, path: str, response: httpx.Response) -> WalletRateLimitedError:
        header = response.headers.get("Retry-After", "")
        asked_seconds = float(header) if header.isascii() and header.isdigit() and len(header) < 6 else None
        pause_seconds = self._pacer.refused(path, asked_seconds)
        log.warning("lnbits.rate-limited", path=path, pause_seconds=round(pause_seconds, 1))
        return WalletRateLimitedError(
            f"LNbits' rate limit was reached on {path}", retry_after_seconds=pause_seconds
        )


async def _bounded(client: httpx.AsyncClient, method: str, path: str, **request: Any) -> httpx.Response:
    """One request, and at most so much of its answer: what stands in for LNbits must not fill our memory."""
    async with client.stream(method, path, **request) as response:
        content = bytearray()
        async for chunk in response.aiter_bytes():
            content += chunk
            if len(content) > REPLY_BYTES_MAX:
                raise httpx.DecodingError(f"an answer of more than {REPLY_BYTES_MAX} bytes")
    headers = [pair for pair in response.headers.raw if pair[0].lower() not in _OF_TRANSFER]
    return httpx.Response(response.status_code, headers=headers, content=bytes(content), request=response.request)


async def repeated(
    call: Callable[[], Awaitable[T]], *, only: tuple[type[Exception], ...], wait_seconds: float
) -> T:
    """Three tries, for calls that do no harm when they run twice; only these errors are worth another."""
    retrying = tenacity.AsyncRetrying(
        retry=tenacity.retry_if_exception_type(only),
        stop=tenacity.stop_after_attempt(3),
        wait=tenacity.wait_random_exponential(multiplier=wait_seconds, max=2),
        before_sleep=_log_retry,
        reraise=True,
    )

    async def once() -> T:
        return await call()

    return await retrying(once)


def _log_retry(state: tenacity.RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    log.info("lnbits.retry", attempt=state.attempt_number, error=str(error))


def _complete_reply(method: str, path: str, response: httpx.Response, decimals: bool) -> Reply:
    """Only a JSON answer that is no fault of a server or proxy is complete."""
    status = response.status_code
    if response.is_redirect or 300 <= status < 400:
        raise WalletUnknownError(
            f"LNbits answered {method} {path} with a redirect ({status})",
            remedy="set the address it redirects to, or finish its first installation",
        )
    try:
        body = response.json(**(_DECIMALS if decimals else {}))
    except (ValueError, ArithmeticError, RecursionError):  # the second: an exponent that no Decimal can have
        raise WalletUnknownError(
            f"the answer to {method} {path} ({status}) is not LNbits' own",
            remedy="check that lnbits.url is the address of LNbits itself",
        ) from None
    if status >= 500 and status != LNBITS_REFUSED:
        raise WalletUnknownError(f"LNbits failed at {method} {path}: {Reply(status, body).text} ({status})")
    return Reply(status, body, _date(response.headers.get("Date")))


def _date(header: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo else None


def _checked_url(url: str) -> str:
    try:
        parsed = httpx.URL(url.strip().rstrip("/"))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ConfigError(f"LNbits' address {plain(url)!r} is not a URL: {plain(error)}") from error
    if parsed.scheme not in ("http", "https") or not parsed.raw_host or parsed.userinfo or parsed.query:
        raise ConfigError("LNbits' address is not one", remedy="write it like https://lnbits.example.com")
    return str(parsed).rstrip("/")


def _reason(error: Exception) -> str:
    """httpx's time-outs have no words of their own."""
    return str(error) or type(error).__name__
