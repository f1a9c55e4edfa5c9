"""The wallet service that pays: LNbits, from one source wallet. What its answers prove: docs/lnbits.md.

Nothing here decides about a payout. Each call does one thing once, checks the answer against what was asked,
and says what is proven; only reading is repeated.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from dca_daemon.domain.errors import (
    InputError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.domain.moments import apart_seconds
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.domain.text import plain
from dca_daemon.payouts import lnbits_replies
from dca_daemon.payouts.bolt11 import checked_invoice, decode
from dca_daemon.payouts.lnbits_http import LnbitsHttp, Reply, repeated
from dca_daemon.payouts.lnbits_search import records_by_hash, tagged_records
from dca_daemon.payouts.lnurl import LnurlConfig, LnurlResolver
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.wallet import (
    TAG,
    Destination,
    DestinationInfo,
    DestinationKind,
    Invoice,
    PayAnswer,
    WalletRecord,
)

PAYMENTS = "/api/v1/payments"  # creating and paying share it, and so one rate limit
LIST = "/api/v1/payments/paginated"  # the one look-up without side effects
WALLET = "/api/v1/wallet"
OPENAPI = "/openapi.json"  # the only place that shows the version without a login

MAX_MEMO_BYTES = 639  # what an invoice can hold; LNbits' own limit of 640 characters is more than that
_PAYOUT_ID = re.compile(r"[A-Za-z0-9._:-]{1,256}")


@dataclass(frozen=True, slots=True)
class LnbitsConfig:
    """How to reach LNbits and its source wallet. The key never appears in a log or a repr."""

    url: str
    admin_key: str = field(repr=False)
    records_wallet_id: str | None = None  # where the source is a shared wallet: its owner's wallet id
    network: str | None = None  # "bc", "tb", "tbs" or "bcrt": then invoices of others are refused
    requests_per_minute: int = 190  # LNbits' default limit is 200, per path; 0: do not pace
    max_invoice_sats: int = 10_000_000  # LNbits' default limit for an incoming payment
    connect_timeout_seconds: float = 5
    read_timeout_seconds: float = 60  # an LNbits under load answers late, and late is better than unknown
    max_connections: int = 4  # LNbits does one thing at a time: more only wait
    lnurl: LnurlConfig = field(default_factory=LnurlConfig)


@dataclass(frozen=True, slots=True)
class LnbitsProbe:
    """What LNbits says of itself and of the source wallet."""

    version: str | None  # None where LNbits hides it
    wallet_id: str
    wallet_name: str
    balance_msat: int
    clock_apart_seconds: float | None  # None where it does not tell the time


class LnbitsWallet:
    """Implements `wallet.Wallet` and `wallet.PaymentBook`; see there for the errors."""

    def __init__(
        self,
        config: LnbitsConfig,
        *,
        pacer: Pacer | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        retry_wait_seconds: float = 0.2,
    ) -> None:
        self._config = config
        self._now = now
        self._retry_wait_seconds = retry_wait_seconds
        self._http = LnbitsHttp(
            config.url,
            pacer=pacer or Pacer(config.requests_per_minute),
            connect_timeout_seconds=config.connect_timeout_seconds,
            read_timeout_seconds=config.read_timeout_seconds,
            max_connections=config.max_connections,
            transport=transport,
        )
        self._lnurl = LnurlResolver(config.lnurl, network=config.network, now=now)
        self._source_wallet_id: str | None = config.records_wallet_id
        self._version: str | None = None

    def __repr__(self) -> str:
        return f"LnbitsWallet({self._http.url!r})"

    async def create_invoice(
        self,
        destination: Destination,
        *,
        amount_sats: int,
        memo: str,
        expiry_seconds: int,
        payout_id: str,
        extra: Mapping[str, object],
    ) -> Invoice:
        """An invoice of exactly that amount. A Lightning address sets the expiry by itself."""
        _check_payout_id(payout_id)
        if amount_sats <= 0:
            raise ValueError(f"an invoice over {amount_sats} sats")
        if destination.kind is not DestinationKind.LNBITS:
            return await self._lnurl.invoice(destination, amount_sats=amount_sats, memo=memo)
        body = {
            "out": False,  # LNbits' own default is to pay
            "amount": amount_sats,
            "unit": "sat",
            "memo": _shortened(memo),
            "expiry": expiry_seconds,
            "extra": _tagged(extra, payout_id),
            "external_id": payout_id,
        }
        key = _invoice_key(destination)
        reply = await repeated(
            lambda: self._http.post(PAYMENTS, body, key=key),
            only=(WalletUnreachableError,),  # a lost answer may have left an invoice behind
            wait_seconds=self._retry_wait_seconds,
        )
        return self._created(reply, destination, amount_sats, payout_id)

    def _created(self, reply: Reply, destination: Destination, amount_sats: int, payout_id: str) -> Invoice:
        if not reply.ok:
            raise reply.refusal("create an invoice")
        body = lnbits_replies.mapping(reply.body)
        wallet_id = lnbits_replies.text_of(body, "wallet_id")
        if destination.wallet_id not in (None, wallet_id):
            raise WalletReplyError(f"the invoice is of wallet {plain(wallet_id)}, not of {destination.wallet_id}")
        if lnbits_replies.integer_of(body, "amount") != amount_sats * MSATS_PER_SAT:
            raise WalletReplyError(f"asked for an invoice over {amount_sats} sats, got another amount")
        # Versions before 1.5.5 drop the id in silence; another one than ours is no answer to our request.
        if body.get("external_id") not in (None, payout_id):
            raise WalletReplyError("the invoice carries another id than the payout's")
        return checked_invoice(
            lnbits_replies.text_of(body, "bolt11", "payment_request"),
            amount_sats=amount_sats,
            now=self._now(),
            payment_hash=lnbits_replies.text_of(body, "payment_hash"),
            wallet_id=wallet_id,
            network=self._config.network,
        )

    async def pay(self, bolt11: str, *, payout_id: str, extra: Mapping[str, object]) -> PayAnswer:
        """Submits the invoice once. The answer is a hint: look up afterwards."""
        _check_payout_id(payout_id)
        payment_hash = decode(bolt11).payment_hash
        body = {
            "out": True,
            "bolt11": bolt11,
            "extra": _tagged(extra, payout_id),
            "external_id": payout_id,
        }
        reply = await self._http.post(PAYMENTS, body, key=self._config.admin_key, fresh=True)
        return lnbits_replies.pay_answer(reply, payment_hash)

    async def sent(self, payment_hash: str) -> WalletRecord | None:
        """The source wallet's own outgoing record of that hash, if it has one.

        From its absence follows that nothing has left. So it is believed only of a list that shows anything at
        all (to a key that may not see payments LNbits shows an empty one), and when it was asked twice.
        """
        wallet_id = await self._source_id()
        key = self._config.admin_key
        record = await self._record(payment_hash, key, wallet_id, outgoing=True)
        if record is not None:
            return record
        reply = await self._read(LIST, key, {"limit": "1"})
        if lnbits_replies.rows(reply, "list the source wallet's payments")[1] == 0:
            raise WalletReplyError(
                "LNbits shows no payment of the source wallet at all, not even the one that funded it",
                remedy="check that its key may see its payments",
            )
        return await self._record(payment_hash, key, wallet_id, outgoing=True)

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        """The receiver's incoming record. Only for an LNbits destination."""
        key = _invoice_key(destination)
        return await self._record(payment_hash, key, destination.wallet_id, outgoing=False)

    async def balance_msat(self) -> int:
        """The source wallet's balance."""
        return lnbits_replies.integer_of(await self._source_wallet(), "balance")

    async def check_destination(self, destination: Destination) -> DestinationInfo:
        """Proves that the destination exists and can be paid. Raises `InputError` for an admin key."""
        if destination.kind is not DestinationKind.LNBITS:
            return await self._lnurl.check(destination)
        body = await self._wallet_of(_invoice_key(destination), "show the receiver's wallet")
        if "id" in body:
            raise InputError(
                "this is the wallet's admin key, which can spend its sats",
                remedy="give its invoice key (also called invoice/read key)",
            )
        return DestinationInfo(name=_name_of(body), min_sats=1, max_sats=self._config.max_invoice_sats)

    async def probe(self) -> LnbitsProbe:
        """Whether LNbits answers and the key can pay, for `doctor` and /status. The version is asked once."""
        before = self._now()
        reply, body = await self._asked_source_wallet()
        apart = None if reply.date is None else _apart_seconds(before, reply.date, self._now())
        if self._version is None:
            self._version = await self._ask_version()
        return LnbitsProbe(
            version=self._version,
            wallet_id=lnbits_replies.text_of(body, "id"),
            wallet_name=_name_of(body),
            balance_msat=lnbits_replies.integer_of(body, "balance"),
            clock_apart_seconds=apart,
        )

    def payments_tagged(
        self, since: datetime, *, tag: str = TAG, destination: Destination | None = None
    ) -> AsyncIterator[WalletRecord]:
        """Every payment of ours since then, oldest first: the source's, or that receiver's."""
        return tagged_records(self._lister(destination), since=since, tag=tag)

    async def records_by_hash(
        self, hashes: Sequence[str], destination: Destination | None = None
    ) -> dict[str, WalletRecord]:
        """The source's outgoing records of these payments, or that receiver's incoming ones."""
        wallet_id = await self._source_id() if destination is None else destination.wallet_id
        return await records_by_hash(
            self._lister(destination), hashes, wallet_id=wallet_id, outgoing=destination is None
        )

    def _lister(self, destination: Destination | None) -> Callable[[Mapping[str, str]], Awaitable[Reply]]:
        """Reads LNbits' list of the source's payments, or of a receiver's. A rate limit is waited out."""
        key = self._config.admin_key if destination is None else _invoice_key(destination)

        async def page(params: Mapping[str, str]) -> Reply:
            return await repeated(
                lambda: self._http.get(LIST, key=key, params=params),
                only=(WalletUnreachableError, WalletUnknownError, WalletRateLimitedError),
                wait_seconds=self._retry_wait_seconds,
            )

        return page

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()

    async def _record(
        self, payment_hash: str, key: str, wallet_id: str | None, *, outgoing: bool
    ) -> WalletRecord | None:
        params = {"payment_hash": payment_hash, "limit": "10"}
        reply = await self._read(LIST, key, params)
        found = lnbits_replies.rows(reply, "show a payment")
        return lnbits_replies.record_of_hash(
            found, payment_hash=payment_hash, wallet_id=wallet_id, outgoing=outgoing
        )

    async def _source_id(self) -> str:
        if self._source_wallet_id is None:
            self._source_wallet_id = lnbits_replies.text_of(await self._source_wallet(), "id")
        return self._source_wallet_id

    async def _source_wallet(self) -> Mapping[str, object]:
        return (await self._asked_source_wallet())[1]

    async def _asked_source_wallet(self) -> tuple[Reply, Mapping[str, object]]:
        reply = await self._read(WALLET, self._config.admin_key)
        if not reply.ok:
            raise reply.refusal("show the source wallet")
        body = lnbits_replies.mapping(reply.body)
        if not body.get("id"):
            raise WalletRefusedError(
                "the source wallet's key can't pay",
                status=403,
                remedy="set its admin key; this is its invoice key",
            )
        return reply, body

    async def _wallet_of(self, key: str, doing: str) -> Mapping[str, object]:
        reply = await self._read(WALLET, key)
        if not reply.ok:
            raise reply.refusal(doing)
        return lnbits_replies.mapping(reply.body)

    async def _read(self, path: str, key: str, params: Mapping[str, str] | None = None) -> Reply:
        """Reading changes nothing at LNbits, so it is repeated."""
        return await repeated(
            lambda: self._http.get(path, key=key, params=params),
            only=(WalletUnreachableError, WalletUnknownError),
            wait_seconds=self._retry_wait_seconds,
        )

    async def _ask_version(self) -> str | None:
        try:
            reply = await self._http.get(OPENAPI, key=None)
        except WalletUnknownError:  # it may be switched off or hidden by a proxy; nothing depends on it
            return None
        info = reply.body.get("info") if isinstance(reply.body, dict) else None
        version = info.get("version") if isinstance(info, dict) else None
        return plain(version) if isinstance(version, str) else None


def _name_of(body: Mapping[str, object]) -> str:
    """A wallet's name, which its owner chose."""
    name = body.get("name")
    return plain(name) if isinstance(name, str) else ""


def _apart_seconds(before: datetime, theirs: datetime, after: datetime) -> float:
    """Theirs has no parts of a second: it was up to one later."""
    later = theirs + timedelta(seconds=1)
    return min(apart_seconds(before, theirs, after), apart_seconds(before, later, after))


def _invoice_key(destination: Destination) -> str:
    if destination.kind is not DestinationKind.LNBITS or not destination.invoice_key:
        raise ValueError("only an LNbits destination has an invoice key")
    return destination.invoice_key


def _check_payout_id(payout_id: str) -> None:
    if not _PAYOUT_ID.fullmatch(payout_id):
        raise ValueError(f"a payout id that LNbits would not keep as it is: {payout_id!r}")


def _tagged(extra: Mapping[str, object], payout_id: str) -> dict[str, object]:
    """LNbits takes its tag from here, and nothing else finds our payments again."""
    return {**extra, "tag": TAG, "payout_id": payout_id}


def _shortened(memo: str) -> str:
    """Cut to what an invoice can hold, never within a character."""
    return memo.encode("utf-8")[:MAX_MEMO_BYTES].decode("utf-8", errors="ignore")
