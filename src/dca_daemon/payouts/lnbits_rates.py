"""What LNbits says that a bitcoin costs: `GET /api/v1/rate/<CURRENCY>`, which needs no key.

LNbits asks price services and keeps their answer for half a minute. Where none tells it answers 200 and 0; a
currency that it does not know it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import httpx

from dca_daemon.domain.errors import InputError, WalletReplyError
from dca_daemon.domain.fixed import usable_price
from dca_daemon.domain.money import SATS_PER_BTC
from dca_daemon.payouts import lnbits_replies
from dca_daemon.payouts.lnbits_http import LnbitsHttp
from dca_daemon.payouts.pacing import Pacer

RATE = "/api/v1/rate/"
# LNbits' two numbers are one price, and floats: they may differ by no more than a float's own inaccuracy.
_TOLERANCE = Decimal("1e-6")


class LnbitsRates:
    """The prices of one LNbits."""

    def __init__(
        self,
        url: str,
        *,
        pacer: Pacer,
        connect_timeout_seconds: float = 5,
        read_timeout_seconds: float = 60,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = LnbitsHttp(
            url,
            pacer=pacer,
            connect_timeout_seconds=connect_timeout_seconds,
            read_timeout_seconds=read_timeout_seconds,
            max_connections=1,
            transport=transport,
        )

    async def fiat_per_btc(self, currency: str) -> Decimal:
        """What a bitcoin costs now. Raises `WalletReplyError` where LNbits has no usable price, or another
        `WalletError` when it does not answer."""
        reply = await self._http.get(f"{RATE}{currency}", key=None, decimals=True)
        if not reply.ok:
            raise reply.refusal(f"tell a rate for {currency}")
        return _price(lnbits_replies.mapping(reply.body), currency)

    async def close(self) -> None:
        """Closes connections."""
        await self._http.close()


def _price(body: Mapping[str, object], currency: str) -> Decimal:
    """`price` is fiat per bitcoin, `rate` sats per unit of fiat; older versions tell the latter only."""
    rate, price = _number(body, "rate"), _number(body, "price")
    if not rate and not price:
        raise WalletReplyError(
            f"LNbits knows no rate for {currency}",
            remedy="give LNbits a price service for it (its settings, Exchanges)",
        )
    try:
        if rate is not None:
            by_rate = usable_price(SATS_PER_BTC / rate) if rate else Decimal(0)
            if price is None:
                return by_rate
            if abs(by_rate - usable_price(price)) > _TOLERANCE * by_rate:
                raise InputError("its rate and price contradict each other")
        assert price is not None
        return usable_price(price)
    except (InputError, ArithmeticError) as error:
        what = error.message if isinstance(error, InputError) else "it is out of all bounds"
        raise WalletReplyError(f"LNbits' rate for {currency} can't be used: {what}") from None


def _number(body: Mapping[str, object], name: str) -> Decimal | None:
    """A number of the answer; None where there is none of that name, or none at all."""
    value = body.get(name)
    return Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
