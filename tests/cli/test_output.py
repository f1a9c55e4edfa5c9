"""How amounts and details are written for people."""

from __future__ import annotations

from decimal import Decimal

import pytest

from dca_daemon.domain.wording import detail_text, source_coins_text


@pytest.mark.parametrize(
    ("atoms", "code", "text"),
    [
        ("64000", "BTC", "64,000 sats"),
        ("1", "LN", "1 sat"),
        ("1.5", "LN", "1.5 sats"),
        ("64000", "LTC", "64,000 LTC atoms"),
        ("NaN", "ETH", "NaN ETH atoms"),
    ],
)
def test_only_bitcoin_is_told_in_sats(atoms: str, code: str, text: str) -> None:
    assert source_coins_text(Decimal(atoms), code) == text


def test_a_log_line_reads_as_words() -> None:
    detail = {"text": "all notes came out", "payment_hash": "ab", "amount_sats": 1200, "fee_msat": 0, "gone": None}
    assert detail_text(detail) == "all notes came out, payment hash ab, amount 1,200 sats, fee 0.000 sats"
