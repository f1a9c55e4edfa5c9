"""Clients for a simulation from a file: what it says, what is wrong with it, and that names keep their numbers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dca_daemon.domain.errors import InputError
from dca_daemon.services.shadow.from_file import FileClients
from dca_daemon.services.shadow.opening import Change, Member, ShareOfCommission

ANA = '[[client]]\nname = "Ana"\nfiat = "100.50"\n'


def clients(path: Path, text: str) -> FileClients:
    path.write_text(text)
    return FileClients(path, pool_name="default", currency="GTQ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no client with a deposit"),
        ("[[client]", "not TOML"),
        ("client = 1", "client must be a list of tables"),
        ("[[clients]]", "'clients' is not a key here"),
        ('[[client]]\nfiat = "1"', "client 1: name is missing"),
        ('[[client]]\nname = "Ana"', "client 1, Ana: give either fiat"),
        (ANA + "deposits = []", "client 1, Ana: give either fiat"),
        ('[[client]]\nname = "Ana"\nfiat = "1.005"', "client 1, Ana: "),
        ('[[client]]\nname = "Ana"\nfiat = -1', "client 1, Ana: "),
        ('[[client]]\nname = "Ana"\nfiat = true', "client 1, Ana: fiat must be an amount"),
        (ANA + 'mode = "commission"', "client 1: mode must be flow or fixed, not 'commission'"),
        (ANA + ANA.replace("Ana", "ANA"), "client 2: several clients are named 'ANA'"),
        (ANA + "at = 1", "'at' is not a key here"),
        (
            '[[client]]\nname = "A"\ndeposits = [{ fiat = 1, at = 2026-01-01T00:00:00 }]',
            "client 1, A, deposit 1: at",
        ),
        (ANA + '[[commission]]\nname = "Till"', "commission 1: percent is missing"),
        (ANA + '[[commission]]\nname = "Till"\npercent = "101"', "more than 0 % and at most 100 %"),
        (ANA + 2 * '[[commission]]\nname = "Till"\npercent = 30\n', "'Till' has a share already"),
        (ANA + "".join(f'[[commission]]\nname = "{n}"\npercent = 60\n' for n in "AB"), "more than 100 %"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError) as refused:
        asyncio.run(clients(tmp_path / "clients.toml", text).look(None, {}))
    assert words in refused.value.message and "clients.toml" in refused.value.message


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    gone = FileClients(tmp_path / "gone.toml", pool_name="default", currency="GTQ")
    with pytest.raises(InputError, match="can't read"):
        asyncio.run(gone.look(None, {}))


def test_names_keep_their_numbers_and_what_is_added_counts(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    first = asyncio.run(clients(path, ANA).look(None, {}))
    assert first.members == (Member(1, "Ana", "flow", "active"),) and first.changes == (Change((1, 1), 10_050),)
    text = (
        '[[client]]\nname = "Zoe"\ndeposits = [{ fiat = 5, at = 2999-01-01 }, { fiat = 7 }]\n'
        f'{ANA.replace("100.50", "120")}[[commission]]\nname = "ana"\npercent = 12.5\n'
    )
    source = clients(path, text)
    second = asyncio.run(source.look(first.marks, {"ana": 1}))
    assert {m.name: m.client_id for m in second.members} == {"Zoe": 2, "Ana": 1}
    # Of Ana's 120 she was given 100.50 before; what Zoe brings in 2999 does not count yet.
    assert second.changes == (Change((1, 1), 1_950), Change((2, 1), 700))
    assert second.shares == (ShareOfCommission(1, 1_250),)
    assert asyncio.run(source.look(second.marks, {"ana": 1, "zoe": 2})).changes == ()
    dated = asyncio.run(source.history(datetime(2026, 1, 1, tzinfo=UTC))).changes
    assert [(c.minor, c.at is None) for c in dated] == [(700, True), (12_000, True), (500, False)]
