"""What LNbits says of a currency's price: exact, and nothing that can't be one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.demo.lnbits_admin import LnbitsAdmin
from dca_daemon.domain.errors import (
    WalletError,
    WalletRateLimitedError,
    WalletRefusedError,
    WalletReplyError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.pacing import Pacer

Answer = Callable[[httpx.Request], httpx.Response]


async def ask(answer: Answer, currency: str = "GTQ") -> Decimal:
    rates = LnbitsRates("http://lnbits.test", pacer=Pacer(0), transport=httpx.MockTransport(answer))
    try:
        return await rates.fiat_per_btc(currency)
    finally:
        await rates.close()


def body(text: str, status: int = 200) -> Answer:
    return lambda _: httpx.Response(status, content=text.encode(), headers={"content-type": "application/json"})


async def test_the_price_is_taken_as_it_is_written() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return body('{"rate": 121.05200576866226, "price": 826091.28}')(request)

    assert await ask(answer) == Decimal("826091.28")
    assert str(asked[0].url) == "http://lnbits.test/api/v1/rate/GTQ"
    assert "x-api-key" not in asked[0].headers, "nobody needs a key for it"


@pytest.mark.parametrize(
    ("text", "price"),
    [
        ('{"rate": 125}', "800000"),  # older versions
        ('{"rate": 128.0}', "781250"),
        ('{"price": 800000}', "800000"),
        ('{"rate": 125.0, "price": 800000.123456789}', "800000.12345679"),
        ('{"rate": 1e-2, "price": 1E+10}', "10000000000"),
    ],
)
async def test_whichever_numbers_there_are(text: str, price: str) -> None:
    assert await ask(body(text)) == Decimal(price)


@pytest.mark.parametrize(
    "text",
    [
        '{"rate": 0.0, "price": 0.0}',
        '{"rate": 0}',
        "{}",
        '{"rate": null, "price": "826091.28"}',
        '{"rate": true}',
    ],
)
async def test_none_is_told_as_such(text: str) -> None:
    with pytest.raises(WalletReplyError, match="LNbits knows no rate for GTQ"):
        await ask(body(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"rate": 125, "price": 700000}',
        '{"rate": 0, "price": 800000}',
        '{"rate": 125, "price": 0}',
        '{"rate": -125, "price": -800000}',
        '{"rate": NaN, "price": NaN}',
        '{"rate": Infinity, "price": 800000}',
        '{"price": Infinity}',
        '{"price": 0.001}',
        '{"price": 1e400}',
        '{"rate": 1e400}',
        '{"rate": 1e-400}',
        '{"rate": 1e-999999999999999999, "price": 1}',
    ],
)
async def test_what_can_be_no_price_is_not_used(text: str) -> None:
    with pytest.raises(WalletReplyError, match="can't be used"):
        await ask(body(text))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (body("[1]"), WalletReplyError),
        (body("oops"), WalletUnknownError),
        (body('{"price": 1e99999999999999999999999}'), WalletUnknownError),
        (body('{"detail": "no"}', 404), WalletRefusedError),
        (body('{"detail": 1.5}', 500), WalletUnknownError),
        (body('{"detail": 1.5}', 400), WalletRefusedError),
        (body("{}", 429), WalletRateLimitedError),
    ],
)
async def test_other_answers(answer: Answer, error: type[WalletError]) -> None:
    with pytest.raises(error):
        await ask(answer)


NUMBERS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.decimals(allow_nan=False, allow_infinity=False).map(lambda number: Literal(f"{number:E}")),
    st.text(max_size=5),
    st.lists(st.integers(), max_size=2),
)


class Literal(str):
    """A number, as it is to be written."""


@given(rate=NUMBERS, price=NUMBERS)
def test_whatever_it_answers_is_a_price_or_refused(rate: object, price: object) -> None:
    written = {n: v if isinstance(v, Literal) else json.dumps(v) for n, v in (("rate", rate), ("price", price))}
    text = f'{{"rate": {written["rate"]}, "price": {written["price"]}}}'
    with contextlib.suppress(WalletError):
        found = asyncio.run(ask(body(text)))
        assert 1 <= found <= 10**15 and found == round(found, 8)


async def test_nobody_there() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(WalletUnreachableError):
        await ask(refuse)


@pytest.fixture
def real(lnbits: LnbitsAdmin) -> Callable[[str], Awaitable[Decimal]]:
    async def ask_it(currency: str) -> Decimal:
        rates = LnbitsRates(lnbits.url, pacer=Pacer(0))
        try:
            return await rates.fiat_per_btc(currency)
        finally:
            await rates.close()

    return ask_it


async def test_a_real_lnbits_without_price_services_says_zero(real: Callable[[str], Awaitable[Decimal]]) -> None:
    with pytest.raises(WalletReplyError, match="knows no rate for GTQ"):
        await real("GTQ")


async def test_a_real_lnbits_refuses_a_currency_that_it_does_not_know(
    real: Callable[[str], Awaitable[Decimal]],
) -> None:
    with pytest.raises(WalletRefusedError, match="a rate for XTS: 400 Currency 'XTS' not allowed"):
        await real("XTS")
