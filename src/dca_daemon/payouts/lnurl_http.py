"""Fetches small JSON documents from addresses that strangers chose, without reaching into our own network.

A name is resolved once, every address that it has is checked, and the connection goes to a checked address:
a name that changes its mind in between gains nothing. https only, no redirects, small answers, short waits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from dca_daemon.domain.errors import (
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.text import plain
from dca_daemon.payouts import certificates
from dca_daemon.payouts.addresses import Address, is_public, resolve

_RATE_LIMIT_PAUSE_SECONDS = 60.0
_MAX_ADDRESSES = 4


@dataclass(frozen=True, slots=True)
class LnurlConfig:
    """`allow_private` also allows plain http there, for an LNbits in one's own network and for tests."""

    allow_private: bool = False
    connect_timeout_seconds: float = 5
    total_timeout_seconds: float = 20
    max_answer_bytes: int = 65_536
    min_validity_seconds: int = 30  # an invoice that ends sooner can hardly be stored and paid in time


async def fetch_json(
    url: httpx.URL, config: LnurlConfig, transport: httpx.AsyncBaseTransport | None = None
) -> Mapping[str, object]:
    """GETs a JSON object.

    Raises `WalletReplyError` for an address that is not allowed or an answer that is no small JSON object,
    `WalletRefusedError` for an answer with `"status": "ERROR"`, else what the fault of transport proves.
    """
    try:
        async with asyncio.timeout(config.total_timeout_seconds):
            status, content = await _fetch(url, config, transport)
    except TimeoutError:
        raise WalletUnknownError(f"{host_of(url)} did not answer in time") from None
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise WalletRateLimitedError(
            f"{host_of(url)} asks for fewer requests", retry_after_seconds=_RATE_LIMIT_PAUSE_SECONDS
        )
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict) and _is_error(answer.get("status")):
        said = answer.get("reason")
        reason = plain(said, 300) if isinstance(said, str) else "no reason given"
        raise WalletRefusedError(f"{host_of(url)} refused: {reason}", status=status)
    if status >= 500:
        raise WalletUnknownError(f"{host_of(url)} failed with {status}")
    if status != httpx.codes.OK or not isinstance(answer, dict):
        raise WalletReplyError(f"{host_of(url)} answered {status} without LNURL's JSON object")
    return answer


def _is_error(status: object) -> bool:
    return isinstance(status, str) and status.upper() == "ERROR"


def host_of(url: httpx.URL) -> str:
    """The host, to be shown: as it is looked up. (httpx' own `host` can't decode every name.)"""
    return plain(url.raw_host.decode("ascii"), 100)


async def is_private(host: str, port: int) -> bool:
    """Whether the host has private addresses only. Raises `WalletUnreachableError` for an unknown name."""
    return all(not is_public(address) for address in await resolve(host, port))


async def _fetch(
    url: httpx.URL, config: LnurlConfig, transport: httpx.AsyncBaseTransport | None
) -> tuple[int, bytes]:
    addresses = await _allowed_addresses(url, config)
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(config.total_timeout_seconds, connect=config.connect_timeout_seconds),
        follow_redirects=False,
        trust_env=False,
        verify=certificates.trusted(),
        transport=transport,
    ) as client:
        for address in addresses[:_MAX_ADDRESSES]:
            try:
                return await _fetch_from(client, url, address, config.max_answer_bytes)
            except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
                last_error = error
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                raise WalletUnknownError(f"no answer of {host_of(url)}: {error}") from error
    raise WalletUnreachableError(f"{host_of(url)} can't be reached: {last_error}") from last_error


async def _fetch_from(
    client: httpx.AsyncClient, url: httpx.URL, address: Address, max_bytes: int
) -> tuple[int, bytes]:
    """Connects to that address; the certificate is still checked against the name."""
    target = url.copy_with(host=str(address), fragment=None)
    headers = {
        "Host": url.netloc.decode("ascii"),
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # so that a small answer can't unfold into a large one
        "User-Agent": "dca-daemon",
    }
    extensions = {"sni_hostname": url.raw_host.decode("ascii")} if url.scheme == "https" else {}
    async with client.stream("GET", target, headers=headers, extensions=extensions) as response:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > max_bytes:
                raise WalletReplyError(f"{host_of(url)} answered with more than {max_bytes} bytes")
        return response.status_code, bytes(content)


async def _allowed_addresses(url: httpx.URL, config: LnurlConfig) -> list[Address]:
    if url.scheme not in ("https", "http") or not url.raw_host or url.userinfo:
        raise WalletReplyError(f"{plain(url)!r} is not an address to fetch from")
    addresses = await resolve(url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))
    all_private = not any(is_public(address) for address in addresses)
    if not config.allow_private:
        if url.scheme != "https":
            raise WalletReplyError(f"{host_of(url)} is offered without https")
        if not all(is_public(address) for address in addresses):
            raise WalletReplyError(
                f"{host_of(url)} is in a private network", remedy="allow it with payouts.allow_private_lnurl"
            )
    elif url.scheme != "https" and not all_private:
        raise WalletReplyError(f"{host_of(url)} is offered without https, and is not private")
    return addresses
