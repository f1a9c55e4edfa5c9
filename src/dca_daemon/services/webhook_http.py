"""Sends one signed message to an address that an operator chose, without reaching into our own network.

Each time the name is resolved, every address that it has is checked, and the connection goes to a checked one, so
a name that changes its mind in between gains nothing. No redirects, no proxy, short waits; of the answer only the
status matters, and its first characters are kept to be shown.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from dca_daemon.domain.errors import InputError, WalletUnreachableError
from dca_daemon.domain.text import plain, storable
from dca_daemon.payouts import certificates
from dca_daemon.payouts.addresses import Address, is_public, resolve

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret of this convention begins with
URL_MAX = 2000
ANSWER_MAX_CHARACTERS = 300
_SECRET_BYTES = 32
_ADDRESSES_MAX = 3
_ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class WebhookHttpConfig:
    """`allow_private` lets webhooks lead to addresses of our own network, and to plain http."""

    allow_private: bool = False
    timeout_seconds: float = 10
    connect_timeout_seconds: float = 5


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt: a status, or none and why."""

    status: int | None
    text: str

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> str:
    """A secret to sign with, as receivers of this convention take it."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode("ascii")


def signed_headers(secret: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The three headers of the Standard Webhooks convention. `timestamp` is in seconds since 1970."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:  # its message could quote the secret
        raise ValueError("the secret of a webhook is not base64") from None
    signed = f"{message_id}.{timestamp}.".encode("ascii") + body
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode("ascii")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature}",
    }


async def check_url(text: str, config: WebhookHttpConfig) -> str:
    """The URL, if messages may be sent there. Raises `InputError` that says why not."""
    cleaned = text.strip()
    if len(cleaned) > URL_MAX:
        raise InputError(f"this URL is longer than {URL_MAX} characters", field="url")
    try:
        url = httpx.URL(cleaned)
        await _addresses(url, config)
    except (httpx.InvalidURL, ValueError):
        raise InputError(f"{plain(cleaned)!r} is no URL", remedy=_EXAMPLE, field="url") from None
    except (InputError, WalletUnreachableError) as error:
        raise InputError(error.message, remedy=error.remedy, field="url") from None
    return str(url)


_EXAMPLE = "write it like https://example.com/hooks/dca"


async def post(url: str, body: bytes, headers: Mapping[str, str], config: WebhookHttpConfig) -> Answer:
    """One attempt; raises nothing that the network, or the other side, can cause."""
    try:
        async with asyncio.timeout(config.timeout_seconds) as deadline:
            parsed = httpx.URL(url)
            request = _Request(parsed, await _addresses(parsed, config), body, headers)
            return await _post(request, config, deadline)
    except TimeoutError:
        return Answer(None, f"no answer within {config.timeout_seconds:g} seconds")
    except (InputError, WalletUnreachableError) as error:
        return Answer(None, plain(error, ANSWER_MAX_CHARACTERS))
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
        said = plain(error, ANSWER_MAX_CHARACTERS - 40)
        return Answer(None, f"{type(error).__name__}: {said}" if said else type(error).__name__)


@dataclass(frozen=True, slots=True)
class _Request:
    url: httpx.URL
    addresses: list[Address]
    body: bytes
    headers: Mapping[str, str]


async def _post(request: _Request, config: WebhookHttpConfig, deadline: asyncio.Timeout) -> Answer:
    """Connects to one of the addresses; the certificate is still checked against the name."""
    url, addresses = request.url, request.addresses[:_ADDRESSES_MAX]
    name = url.raw_host.decode("ascii")
    sent = {
        **request.headers,
        "Host": url.netloc.decode("ascii"),
        "Content-Type": "application/json",
        "Accept-Encoding": "identity",
        "User-Agent": "dca-daemon",
    }
    async with httpx.AsyncClient(
        timeout=httpx.Timeout(config.timeout_seconds, connect=config.connect_timeout_seconds),
        follow_redirects=False,
        trust_env=False,
        verify=certificates.trusted(),
    ) as client:
        for number, address in enumerate(addresses, 1):
            target = url.copy_with(host=str(address), fragment=None)
            extensions = {"sni_hostname": name} if url.scheme == "https" else {}
            try:
                async with client.stream(
                    "POST", target, content=request.body, headers=sent, extensions=extensions
                ) as response:
                    deadline.reschedule(None)  # the status, which is what counts, is known
                    return Answer(response.status_code, await _beginning(response))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(addresses):
                    raise
    raise AssertionError("unreachable")


async def _beginning(response: httpx.Response) -> str:
    """The first characters of the answer, on one line. The rest is not waited for."""
    taken = bytearray()
    with contextlib.suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(_ANSWER_SECONDS):
            async for chunk in response.aiter_raw():
                taken += chunk
                if len(taken) >= 4 * ANSWER_MAX_CHARACTERS:
                    break
    text = storable(bytes(taken[: 4 * ANSWER_MAX_CHARACTERS]).decode("utf-8", "replace"))
    return plain(text, ANSWER_MAX_CHARACTERS)


async def _addresses(url: httpx.URL, config: WebhookHttpConfig) -> list[Address]:
    """Where the URL leads to. Raises `InputError` if not allowed, `WalletUnreachableError` for an unknown name."""
    if url.scheme not in ("https", "http") or not url.raw_host or b"%" in url.raw_host:
        raise InputError(f"{plain(url)!r} is no URL", remedy=_EXAMPLE)
    if url.userinfo:
        raise InputError("the URL has a user or a password in it", remedy="the signature tells who sends")
    if url.port == 0:
        raise InputError("the URL has the port 0")
    if url.scheme != "https" and not config.allow_private:
        raise InputError("the URL is not https: what is sent could be read and changed on its way")
    host = url.raw_host.decode("ascii")
    addresses = await resolve(host, url.port or (443 if url.scheme == "https" else 80))
    if not config.allow_private and not all(is_public(address) for address in addresses):
        raise InputError(
            f"{plain(host)} is in a private network", remedy="allow it with console.allow_private_webhooks"
        )
    return addresses
