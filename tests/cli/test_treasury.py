"""`dca-daemon treasury` as an operator calls it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from tests.cli.conftest import Cli, OnBooks
from tests.ledger.filled import fill


@dataclass
class Source:
    """A source wallet that has that much."""

    msat: int = 5_000_500
    closed: list[bool] = field(default_factory=list)

    async def balance_msat(self) -> int:
        return self.msat

    async def close(self) -> None:
        self.closed.append(True)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    wallet = Source()
    monkeypatch.setattr("dca_daemon.runtime.wiring.wallet", lambda settings: wallet)
    return wallet


def test_show(cli: Cli, on_books: OnBooks, source: Source) -> None:
    on_books(fill)
    data = cli("treasury", "show", "--json", "--zone", "America/Guatemala").done().json
    assert data["source_balance_msat"] == 5_000_500
    assert data["to_move_sats"] == data["to_pay_sats"] + data["reserve_sats"] - 5000  # half a sat is none
    assert data["zone"] == "America/Guatemala"
    text = cli("treasury", "show", "--days", "40000000").refused(status=2)
    text = cli("treasury", "show", "--days", "36500").done().out
    assert f"Move {data['to_move_sats']:,} sats into the source wallet." in text
    source.msat = 10**12
    assert "The source wallet has enough." in cli("treasury", "show").done().out


def test_a_wallet_that_does_not_answer_is_said_to_be_so(cli: Cli, on_books: OnBooks) -> None:
    on_books(fill)
    data = cli("treasury", "show", "--json").done().json
    assert data["source_balance_msat"] is None and data["to_move_sats"] is None and data["source_trouble"]
    assert "can't be told" in cli("treasury", "show", "--offline").done().out
    cli("treasury", "show", "--zone", "Mars/Base").refused("no time zone 'Mars/Base'")


def test_move(cli: Cli) -> None:
    cli("treasury", "move", "5000", "--reason", "x").refused("confirmation", "--yes")
    data = cli("treasury", "move", "5000", "--fee", "12", "--reason", "x", "--yes", "--json").done().json
    assert (data["move"]["sats"], data["move"]["fee_sats"]) == (5000, 12)
    assert "out of the source wallet" in cli("treasury", "move", "-700", "--reason", "back", "--yes").done().out
    cli("treasury", "move", "0", "--reason", "x", "--yes").refused("can't be moved")
    cli("treasury", "move", "5", "--fee", "5", "--reason", "x", "--yes").refused("fee")
    cli("treasury", "move", "5", "--reason", " ", "--yes").refused("reason")
    cli("treasury", "move", "many", "--reason", "x").refused("SATS", "whole number", status=2)
    assert cli("treasury", "show", "--offline", "--json").done().json["moved_msat"] == 4_300_000
