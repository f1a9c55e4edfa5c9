"""`simulate` and `shadow`: real intake on scratch books; nothing is paid, and the books stay as they are."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from dca_daemon.demo import atm_scenarios
from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.lamassu import trigger
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database
from dca_daemon.services import commission, deposits
from dca_daemon.services.commission import Wish
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.cli.conftest import Cli, OnBooks, write_config
from tests.fixtures.postgres import LamassuDb, PostgresServer, TestDb
from tests.fixtures.satmachine import an_installation
from tests.services import builders

FOUR_THOUSAND = {  # 512,400 sats at 5.5 %: by hand, as in docs/architecture.md; of the commission 20 % to the till
    "total_sats": 512_400,
    "principal_sats": 484_218,
    "commission_sats": 28_182,
    "house_sats": 22_546,
    "fiat": "4000.00",
    "charge": "3780.00",
}
TWO_THOUSAND = {
    "total_sats": 256_200,
    "principal_sats": 242_109,
    "commission_sats": 14_091,
    "house_sats": 11_273,
    "fiat": "2000.00",
    "charge": "1890.00",
}
SHARES_OF_FOUR = [
    ("Ana", "flow", 387_374, "3024.00"),
    ("Carla", "flow", 96_844, "756.00"),
    ("Till", "commission", 5_636, "0.00"),
]
SHARES_OF_TWO = [
    ("Ana", "flow", 193_687, "1512.00"),
    ("Carla", "flow", 48_422, "378.00"),
    ("Till", "commission", 2_818, "0.00"),
]


def since(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def shares(cash_out: dict[str, Any]) -> list[tuple[str, str, int, str]]:
    return [(s["client"], s["type"], s["sats"], s["fiat"]) for s in cash_out["shares"]]


def part(whole: dict[str, Any], of: dict[str, Any]) -> dict[str, Any]:
    return {key: whole[key] for key in of}


def dump(dsn: str) -> str:
    """A digest of every row of every table, and of where each sequence stands."""
    digest = hashlib.sha256()
    with psycopg.connect(dsn) as conn:
        names = conn.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT LIKE 'pg\\_%' ORDER BY 1, 2"
        )
        for schema, name in names.fetchall():
            query = sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(schema, name))
            digest.update(repr((schema, name, conn.execute(query).fetchall())).encode())
        found = conn.execute("SELECT sequencename, last_value FROM pg_sequences ORDER BY 1").fetchall()
        digest.update(repr(found).encode())
    return digest.hexdigest()


@pytest.fixture
def scratch(postgres_server: PostgresServer, books_db: TestDb) -> Iterator[str]:
    """The name of the scratch database, which the program makes; dropped afterwards."""
    name = f"{books_db.database}_shadow"
    yield name
    postgres_server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def config(books_db: TestDb, lamassu_db: LamassuDb, tmp_path: Path, scratch: str) -> Path:
    """Of somebody who has no LNbits: no address of one, no key, nothing to open invoice keys with."""
    path = write_config(tmp_path / "dca.toml", books_db.dsn, "", {"lamassu": {"dsn": lamassu_db.reader_dsn}})
    kept = [part for part in path.read_text().split("[") if not part.startswith(("lnbits", "security"))]
    path.write_text("[".join(kept))
    return path


@pytest.fixture
def atm(lamassu_db: LamassuDb) -> Iterator[SimulatedAtm]:
    with SimulatedAtm(lamassu_db.admin_dsn) as machine:
        yield machine


async def shop(db: Database) -> None:
    """Ana with 20,000 and Carla with 5,000; a fifth of each commission goes to the till."""
    for name, fiat in (("Ana", "20000"), ("Carla", "5000"), ("Till", None)):
        client_id = await builders.client(db, fiat, mode="flow" if fiat else "commission")
        await builders.sql(db, "UPDATE client SET name = :name WHERE id = :id", name=name, id=client_id)
    wish = Wish(shares=(("Till", "20"),))
    await commission.apply(db, wish, seen=commission.NO_VERSION, reason=None, actor="test")


@pytest.fixture
def no_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever makes a wallet, a price feed or a key ring fails."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something that could pay was made")

    for name in ("wallet", "receivers", "payment_book", "price_feed", "key_ring"):
        monkeypatch.setattr(f"dca_daemon.runtime.wiring.{name}", refuse)


@contextmanager
def at_work(books_db: TestDb) -> Iterator[psycopg.Connection]:
    """A live daemon's session on the books: it holds the pool's lock, and hears of every event."""
    with psycopg.connect(books_db.dsn, autocommit=True) as conn:
        conn.execute("LISTEN dca_event")
        conn.execute("SELECT pg_advisory_lock(%s, 1)", (lock_keys.POOL_CLASS,))
        yield conn


@pytest.mark.usefixtures("no_way_out")
def test_simulate(cli: Cli, atm: SimulatedAtm, on_books: OnBooks, books_db: TestDb, tmp_path: Path) -> None:
    on_books(shop)
    for name, fiat, days in (
        ("on-chain", 1000, 9),  # before the time that is asked for
        ("on-chain", 2000, 2),  # written first, happened second
        ("on-chain", 4000, 3),
        ("cancelled-after-notes", 600, 1),
        ("cancelled", 700, 1),
    ):
        atm.ago = timedelta(days=days)
        atm_scenarios.run(atm, name, Decimal(fiat))
    before = dump(books_db.dsn)
    with at_work(books_db) as live:
        found = cli("simulate", "--since", since(5), "--charge", "dispensed", "--compare", "--json").done().json
        assert list(live.notifies(timeout=0.01)) == []
    _check_configured(found["configured"])
    # Charged with the notes themselves, 4:1 as ever: the same sats for more of what they have in.
    assert [c["charge"] for c in found["cash_outs"]] == ["2000.00", "4000.00"]
    assert [(c["client"], c["converted"], c["left"], c["sats"]) for c in found["clients"]] == [
        ("Ana", "4800.00", "15200.00", 581_061),
        ("Carla", "1200.00", "3800.00", 145_266),
    ]
    _check_file(cli, tmp_path)
    assert dump(books_db.dsn) == before
    with psycopg.connect(books_db.dsn) as conn:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname IN ('shadow', 'simulation')"
        assert conn.execute(schemas).fetchall() == []
        assert conn.execute("SELECT count(*) FROM cash_out").fetchone() == (0,)


def _check_configured(found: dict[str, Any]) -> None:
    two, four = found["cash_outs"]
    assert part(two, TWO_THOUSAND) == TWO_THOUSAND and shares(two) == SHARES_OF_TWO
    assert part(four, FOUR_THOUSAND) == FOUR_THOUSAND and shares(four) == SHARES_OF_FOUR
    (review,) = found["not_distributed"]
    assert (review["state"], review["reason"], review["fiat"]) == ("review", "paid-and-cancelled", "600.00")
    assert found["reasons"] == [{"state": "review", "reason": "paid-and-cancelled", "count": 1}]
    (pool,) = found["pools"]
    sums = {"cash_outs": 2, "total_sats": 768_600, "clients_sats": 726_327, "commission_shared_sats": 8_454}
    assert part(pool, sums) == sums and pool["house_sats"] == 22_546 + 11_273
    assert [(r["receiver"], r["sats"]) for r in found["receivers"]] == [("Till", 8_454)]
    assert [(c["client"], c["came_in"], c["left"]) for c in found["clients"]] == [
        ("Ana", "20000.00", "15464.00"),
        ("Carla", "5000.00", "3866.00"),
    ]


def _check_file(cli: Cli, tmp_path: Path) -> None:
    """Clients who are in no books: one is in from the beginning, the other comes between the two cash-outs."""
    path = tmp_path / "clients.toml"
    later = (datetime.now(UTC) - timedelta(days=2, hours=12)).isoformat()
    path.write_text(
        '[[client]]\nname = "Eva"\nfiat = "5000"\n'
        f'[[client]]\nname = "Luis"\ndeposits = [{{ fiat = 1220.00, at = {later} }}]\n'
    )
    found = cli("simulate", "--since", since(5), "--clients", str(path), "--json").done().json
    two, four = found["cash_outs"]
    assert shares(four) == [("Eva", "flow", 484_218, "3780.00")]
    # Eva has 1,220.00 left, as much as Luis: 1,890.00 and 242,109 sats by halves, the odd one to the first.
    assert shares(two) == [("Eva", "flow", 121_055, "945.00"), ("Luis", "flow", 121_054, "945.00")]
    assert found["clients_from"] == str(path)
    theirs = ["import", "satmachine", "--sqlite", str(an_installation().sqlite(tmp_path / "theirs.sqlite3"))]
    cli(*theirs, "--amounts", "minor", "--write-clients", str(path)).done()
    ana = {"name": "Ana", "fiat": "1001.01", "mode": "flow", "status": "active"}
    assert tomllib.loads(path.read_text()) == {"client": [ana]}
    cli(*theirs, "--amounts", "minor", "--write-clients", "-", "--apply").refused("--apply", status=2)


@pytest.mark.usefixtures("no_way_out")
def test_what_simulate_refuses(
    cli: Cli, books_db: TestDb, lamassu_db: LamassuDb, postgres_server: PostgresServer, scratch: str
) -> None:
    cli("simulate", "--since", "2999-01-01").refused("lies in the future")
    cli("simulate", "--since", since(1), "--compare").refused("--split-method", status=2)
    cli("simulate", "--since", since(1), "--database", books_db.database).refused("must be another one")
    cli("simulate", "--since", since(1), "--database", lamassu_db.database).refused("another program's tables")
    cli("shadow", "report").refused("there is no shadow", "dca-daemon shadow")
    assert cli("shadow", "discard", "--yes", "--json").done().json == {"discarded": False}
    cli("shadow", "--json", "report").refused("behind", status=2)
    with psycopg.connect(postgres_server.dsn(scratch)) as conn:
        conn.execute("CREATE SCHEMA shadow")
    cli("shadow", "discard", "--yes").refused("the schema shadow", "is not ours")


def lines_of(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """What it prints, as it comes."""
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


@dataclass
class Running:
    """A shadow, and a cash-out that was paid out before it began and is not in the books yet."""

    process: subprocess.Popen[str]
    lines: Iterator[dict[str, Any]]
    early_id: str


@pytest.fixture
def shadow(config: Path, lamassu_db: LamassuDb, atm: SimulatedAtm, on_books: OnBooks) -> Iterator[Running]:
    """The program as an operator runs it, with another rule than the configuration's. It hears of cash-outs."""
    on_books(shop)
    asyncio.run(trigger.install(lamassu_db.admin_dsn, "dca_cash_out"))
    early_id = atm_scenarios.run(atm, "on-chain", Decimal(1000))
    command = [
        sys.executable,
        "-m",
        "dca_daemon",
        "--config",
        str(config),
        "shadow",
        "--charge",
        "dispensed",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield Running(process, lines_of(process), early_id)
        process.kill()


def test_shadow(
    shadow: Running, cli: Cli, atm: SimulatedAtm, on_books: OnBooks, books_db: TestDb, lamassu_db: LamassuDb
) -> None:
    assert next(shadow.lines)["kind"] == "begun"
    first_id = atm_scenarios.run(atm, "on-chain", Decimal(4000))
    first = next(shadow.lines)
    assert (first["kind"], first["external_id"], first["charge"]) == ("distributed", first_id, "4000.00")
    assert shares(first) == [
        ("Ana", "flow", 387_374, "3200.00"),
        ("Carla", "flow", 96_844, "800.00"),
        ("Till", "commission", 5_636, "0.00"),
    ]
    on_books(lambda db: live_daemon(db, lamassu_db, shadow.early_id, first_id))
    # Here they have 16,800 and 4,200, less 756 and 189 for what is history here and was booked there only now.
    on_books(lambda db: deposit(db, "Carla", "12033"))
    before = dump(books_db.dsn)
    second_id = atm_scenarios.run(atm, "on-chain", Decimal(2000))
    second = next(shadow.lines)
    assert shares(second)[:2] == [("Ana", "flow", 121_055, "1000.00"), ("Carla", "flow", 121_054, "1000.00")]
    cli("shadow", "--charge", "dispensed").refused("another dca-daemon works in the shadow")
    cli("shadow", "discard", "--yes").refused("end it first")
    shadow.process.send_signal(signal.SIGINT)
    report = list(shadow.lines)[-1]
    assert shadow.process.wait(10) == 0 and report["kind"] == "report"
    _check_compared(report["in_the_books"], first_id, second_id)
    _check_afterwards(cli)
    _check_played_again(cli, second_id)
    assert dump(books_db.dsn) == before


def _check_compared(found: dict[str, Any], first_id: str, second_id: str) -> None:
    """The books charged the principal; the other one they do not have yet."""
    assert (found["alike"], found["differing"]) == (0, 2)
    first, second = found["differences"]
    assert (first["external_id"], first["booked"]["charge"], first["here"]["charge"]) == (
        first_id,
        "3780.00",
        "4000.00",
    )
    assert shares(first["booked"]) == SHARES_OF_FOUR
    assert (second["external_id"], second["booked"], second["here"]["charge"]) == (second_id, None, "2000.00")


def _check_afterwards(cli: Cli) -> None:
    cli("shadow").refused("begun with charge dispensed, not principal", "shadow discard")
    found = cli("shadow", "report", "--json").done().json
    assert [(c["client"], c["came_in"], c["left"]) for c in found["clients"]] == [
        ("Ana", "19244.00", "15044.00"),
        ("Carla", "16844.00", "15044.00"),
    ]
    assert cli("shadow", "discard", "--yes", "--json").done().json == {"discarded": True}
    cli("shadow", "report").refused("there is no shadow")


def _check_played_again(cli: Cli, second_id: str) -> None:
    """The books' own rules and balances: alike to the sat; and what they do not have yet, as they would."""
    found = cli("simulate", "--since", since(1), "--balances-then", "--json").done().json["in_the_books"]
    assert (found["alike"], found["differing"]) == (2, 1)
    (second,) = found["differences"]
    assert (second["external_id"], second["booked"]) == (second_id, None)
    # 16,220 and 16,088 left, 1,890.00 and 242,109 sats: the larger remainder is Carla's, and Ana's.
    assert shares(second["here"])[:2] == [("Ana", "flow", 121_549, "948.86"), ("Carla", "flow", 120_560, "941.14")]


async def live_daemon(db: Database, lamassu_db: LamassuDb, *external_ids: str) -> None:
    """What the daemon itself books of them, by its own configuration."""
    source = LamassuSource(SourceConfig(dsn=lamassu_db.reader_dsn))
    await Intake(db, IntakeConfig()).process(await source.fetch(external_ids))
    await source.close()


async def deposit(db: Database, client: str, amount: str) -> None:
    recorded = await deposits.record(db, client=client, amount=amount, currency=None, note=None, actor="test")
    await deposits.confirm(db, recorded.deposit_id, actor="test")
