"""Pays to a Lightning address (LUD-16) or an LNURL-pay code (LUD-01, 06, 12, 17): fetches a checked invoice.

LNbits could resolve them itself, but fetches a new invoice at each call, and so could pay twice. We fetch one
invoice, store it, and pay exactly that one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

import bech32
import httpx

from dca_daemon.domain.errors import WalletRefusedError, WalletReplyError
from dca_daemon.domain.money import MAX_SATS, MSATS_PER_SAT
from dca_daemon.domain.text import plain, storable
from dca_daemon.payouts import bolt11
from dca_daemon.payouts.lnurl_http import LnurlConfig, fetch_json, host_of, is_private
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind, Invoice

__all__ = ["LnurlConfig", "LnurlResolver", "decode_lnurl", "split_address"]

MAX_CODE_LENGTH = 2_000
MAX_MSATS = MAX_SATS * MSATS_PER_SAT
BAD_DESTINATION = 400  # what a server would answer to a request that can't be right
_ADDRESS = re.compile(r"([a-z0-9._+-]{1,64})@([a-z0-9.-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class _PayRequest:
    """What the destination offers."""

    callback: httpx.URL
    min_msat: int
    max_msat: int
    metadata: str
    comment_allowed: int

    @property
    def min_sats(self) -> int:
        return max(1, -(-self.min_msat // MSATS_PER_SAT))

    @property
    def max_sats(self) -> int:
        return self.max_msat // MSATS_PER_SAT


class LnurlResolver:
    """Resolves destinations of the two kinds. Nothing is cached: what a stranger said may change."""

    def __init__(
        self,
        config: LnurlConfig,
        *,
        now: Callable[[], datetime],
        network: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._config = config
        self._now = now
        self._network = network
        self._transport = transport

    async def check(self, destination: Destination) -> DestinationInfo:
        """What may be paid there. Errors as `Wallet.check_destination`."""
        request = await self._pay_request(destination)
        return DestinationInfo(
            name=destination.address or "", min_sats=request.min_sats, max_sats=request.max_sats
        )

    async def invoice(self, destination: Destination, *, amount_sats: int, memo: str) -> Invoice:
        """A new invoice over exactly that amount; the memo goes along as far as comments are allowed."""
        request = await self._pay_request(destination)
        if not request.min_sats <= amount_sats <= request.max_sats:
            raise WalletRefusedError(
                f"{plain(destination.address)} takes from {request.min_sats} to {request.max_sats} sats,"
                f" not {amount_sats}",
                status=BAD_DESTINATION,
            )
        params = {"amount": str(amount_sats * MSATS_PER_SAT)}
        if request.comment_allowed and memo:
            params["comment"] = memo[: request.comment_allowed]
        answer = await fetch_json(request.callback.copy_merge_params(params), self._config, self._transport)
        invoice = answer.get("pr")
        if not isinstance(invoice, str):
            raise WalletReplyError(f"{host_of(request.callback)} answered without an invoice")
        return bolt11.checked_invoice(
            invoice,
            amount_sats=amount_sats,
            now=self._now(),
            network=self._network,
            min_validity_seconds=self._config.min_validity_seconds,
            description_hash=hashlib.sha256(request.metadata.encode("utf-8")).hexdigest(),
        )

    async def _pay_request(self, destination: Destination) -> _PayRequest:
        url = await self._url(destination)
        return _read_pay_request(await fetch_json(url, self._config, self._transport), host_of(url))

    async def _url(self, destination: Destination) -> httpx.URL:
        address = destination.address or ""
        if destination.kind is DestinationKind.LNURL:
            return decode_lnurl(address)
        name, host, port = split_address(address)
        if port is not None and not self._config.allow_private:
            raise _malformed(address, "a Lightning address has no port")
        local = self._config.allow_private and await is_private(host, port or 443)
        scheme = "http" if local else "https"
        return _parsed(f"{scheme}://{host}{f':{port}' if port else ''}/.well-known/lnurlp/{name}", address)


def split_address(address: str) -> tuple[str, str, int | None]:
    """`name@host[:port]` in its parts. Raises `WalletRefusedError` when it is not one."""
    found = _ADDRESS.fullmatch(address.strip().lower())
    if found is None:
        raise _malformed(address, "write a Lightning address like name@example.com")
    name, host, port = found.groups()
    return name, host, int(port) if port else None


def decode_lnurl(code: str) -> httpx.URL:
    """The address inside an LNURL (bech32, or lnurlp://). Raises `WalletRefusedError` when it is not one."""
    text = code.strip()
    if text.lower().startswith("lightning:"):
        text = text[len("lightning:") :]
    if len(text) > MAX_CODE_LENGTH:
        raise _malformed(code, "it is too long")
    if text.lower().startswith("lnurlp://"):
        return _parsed("https" + text[len("lnurlp") :], code)
    prefix, data = bech32.bech32_decode(text)
    octets = bech32.convertbits(data, 5, 8, False) if data else None
    if prefix != "lnurl" or octets is None:
        raise _malformed(code, "an LNURL code starts with LNURL1 and is copied in full")
    try:
        return _parsed(bytes(octets).decode("ascii"), code)
    except UnicodeDecodeError:
        raise _malformed(code, "there is no address in it") from None


def _read_pay_request(answer: Mapping[str, object], host: str) -> _PayRequest:
    if answer.get("tag") != "payRequest":
        raise WalletReplyError(f"{host} is no place to pay to (its tag is {_shown(answer.get('tag'))})")
    callback, metadata = answer.get("callback"), answer.get("metadata")
    low, high = answer.get("minSendable"), answer.get("maxSendable")
    if not isinstance(callback, str) or not isinstance(metadata, str) or not _is_utf8(metadata):
        raise WalletReplyError(f"{host} offers no callback or no metadata")
    if not _is_amount(low) or not _is_amount(high) or not low <= min(high, MAX_MSATS):
        raise WalletReplyError(f"{host} offers no amounts that can be paid")
    allowed = answer.get("commentAllowed")
    try:
        url = httpx.URL(callback)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise WalletReplyError(f"{host} offers a callback that is no address: {plain(error, 200)}") from error
    return _PayRequest(
        callback=url,
        min_msat=low,
        max_msat=min(high, MAX_MSATS),
        metadata=metadata,
        comment_allowed=allowed if _is_amount(allowed) else 0,
    )


def _shown(value: object) -> str:
    return repr(plain(value, 40)) if isinstance(value, str) else type(value).__name__


def _is_utf8(text: str) -> bool:
    """JSON can hold half of a surrogate pair, which is no text."""
    return text == storable(text)


def _is_amount(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _parsed(url: str, shown: str) -> httpx.URL:
    try:
        return httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise _malformed(shown, f"there is no address in it: {plain(error, 200)}") from None


def _malformed(text: str, remedy: str) -> WalletRefusedError:
    return WalletRefusedError(
        f"{plain(text)!r} can't be paid to: it is malformed", status=BAD_DESTINATION, remedy=remedy
    )
