"""What `doctor` says of bad states, each made for real. Its output as a whole: tests/cli/test_setting_up.py."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path

import httpx
import psycopg
import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm, Terms
from dca_daemon.domain.split import SplitMethod
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.services.doctor import Finding, Level, Subject, check_books
from dca_daemon.services.doctor.commission import check_commission
from dca_daemon.services.doctor.disk import check_disk
from dca_daemon.services.doctor.wallet import check_lnbits
from tests.fixtures.postgres import LamassuDb


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    assert all(finding.remedy for finding in findings if finding.level is not Level.OK)
    return {finding.name: finding for finding in findings}


class OtherClock(datetime):
    """Our clock, an hour late."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> OtherClock:
        return cls.fromtimestamp(datetime.now(UTC).timestamp() - 3600, tz)


async def test_the_clock_of_our_database_is_another(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert by_name(await check_books(Subject(books=books)))["clock"].level is Level.OK
    monkeypatch.setattr("dca_daemon.services.doctor.books.datetime", OtherClock)
    clock = by_name(await check_books(Subject(books=books)))["clock"]
    assert clock.level is Level.WARN and "3,600 s apart" in clock.text


async def test_commission_that_does_not_fit(lamassu_db_fixed_fee: LamassuDb) -> None:
    dsn = lamassu_db_fixed_fee.admin_dsn

    async def look(method: SplitMethod) -> dict[str, Finding]:
        source = SourceConfig(dsn=lamassu_db_fixed_fee.reader_dsn)
        return by_name(await check_commission(Subject(source=source, split_method=method)))

    assert await look(SplitMethod.RECORDED) == {}  # nothing to compare yet
    with SimulatedAtm(dsn) as atm, psycopg.connect(dsn, autocommit=True) as conn:

        def one(fiat: int = 4000, **columns: object) -> None:
            external_id = atm_scenarios.run(atm, "lightning", Decimal(fiat))
            for name, value in columns.items():
                conn.execute(f"UPDATE cash_out_txs SET {name} = %s WHERE id = %s".encode(), (value, external_id))

        for fiat in (100, 2500, 4000):
            one(fiat)
        atm.terms = Terms(discount=100)
        one(1000)
        for method in SplitMethod:
            assert (await look(method))["fits"].level is Level.OK
        atm.terms = Terms()
        # 4,000 GTQ and a fee of 10: 513,700 sats (4010 / 826091.28 / 0.945).
        one(fixed_fee=10, crypto_atoms=513_700)
        fits = (await look(SplitMethod.RECORDED))["fits"]
        assert fits.level is Level.WARN and fits.text.startswith("a fixed fee: in 1 of the newest 5 cash-outs")
        assert "gives the clients 1,2" in fits.text and "more in all" in fits.text
        assert "4000 GTQ for 513,700 sats" in fits.text and 'split_method = "ticker"' in fits.remedy
        assert (await look(SplitMethod.TICKER))["fits"].level is Level.OK
        # A machine before v8: 4,000 × 1.055 / 826091.28 = 510,800 sats.
        one(crypto_atoms=510_800)
        conn.execute("UPDATE devices SET version = '7.5.1'")
        fits = (await look(SplitMethod.RECORDED))["fits"]
        assert fits.text.startswith("a fixed fee and machines before v8: in 2 of the newest 6")
        conn.execute("UPDATE devices SET version = '10.0.3'")
        for method in SplitMethod:
            found = (await look(method))["explained"]
            assert found.level is Level.WARN and "nothing in the rows explains it: in 1 of" in found.text
        one(commission_percentage=None)
        usable = (await look(SplitMethod.RECORDED))["usable"]
        assert "1 of the newest 7" in usable.text and "no commission_percentage" in usable.text
        assert 'split_method = "ticker"' in usable.remedy
        one(raw_ticker_price=None, commission_percentage=2)
        usable = (await look(SplitMethod.TICKER))["usable"]
        assert "no usable raw_ticker_price" in usable.text and "cash-out review" in usable.remedy


@pytest.mark.parametrize(
    ("version", "level", "words"),
    [
        ("0.12.1", Level.FAIL, "too old to prove"),
        ("1.5.4", Level.WARN, "does not keep our payout ids"),
        ("1.5.5", Level.OK, "LNbits 1.5.5"),
        (None, Level.WARN, "hides its version"),
    ],
)
async def test_lnbits_of_other_releases(version: str | None, level: Level, words: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/openapi.json":
            return httpx.Response(200, json={"info": {"version": version}} if version else {})
        return httpx.Response(200, json={"id": "w", "name": "source", "balance": 0})

    config = LnbitsConfig(url="http://lnbits.example.com", admin_key="k", requests_per_minute=0)
    wallet = LnbitsWallet(config, transport=httpx.MockTransport(answer))
    found = by_name(await check_lnbits(Subject(lnbits=wallet, lnbits_url="http://lnbits.example.com")))
    await wallet.close()
    assert found["version"].level is level and words in found["version"].text
    assert found["transport"].level is Level.WARN  # in clear
    assert "clock" not in found  # it does not tell the time


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk(full_disk: Path, tmp_path: Path) -> None:
    folders = (("our backups", full_disk), ("the same", full_disk), ("nothing", tmp_path / "away"))
    (room,) = await check_disk(Subject(folders=folders))
    assert room.level is Level.FAIL and "1 MiB (100 %) are free where our backups is" in room.text
    (full_disk / "file").write_bytes(bytes(900_000))
    (room,) = await check_disk(Subject(folders=folders))
    assert "0 MiB" in room.text and room.remedy


async def test_the_disk_of_our_own_database(books: Database) -> None:
    (room,) = await check_disk(Subject(books=books))
    assert "our database" in room.text
