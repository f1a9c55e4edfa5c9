"""Sets the demo up: PostgreSQL, LNbits, the two databases, wallets, clients with deposits, the daemon's files.

Everything is real and on loopback. Whatever is started registers first how it is ended.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import psycopg

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.demo.atm_scenarios import RunningCashOut, begin, run
from dca_daemon.demo.config_files import write_config
from dca_daemon.demo.daemon_process import ConsoleProcess, DaemonProcess
from dca_daemon.demo.interrupts import Interrupts
from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.people import Person
from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.demo.terms import CURRENCY, PACE, RUNNER, ZONE
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.lamassu import trigger
from dca_daemon.lamassu.grants import DEFAULT_ROLE, grants_sql
from dca_daemon.ledger import migrate
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import client_access, sessions
from dca_daemon.web.personal import PERSONAL

CHANNEL = "dca_cash_out"
TOP_UP_SATS = 15_000_000
LATE_FIAT = Decimal(1600)
BOOKS_ROLE = "dca"
OPERATOR = "operator"
LINK_MINUTES = 24 * 60

_MACHINES = ("Mercado Central", "Terminal Norte", "Plaza Zona 10")
# Scenario, fiat, days ago: one at each machine.
_BEFORE_BASELINE = (("on-chain", 2500, 13), ("lightning", 1000, 11), ("promo", 1800, 9))


@dataclass(slots=True)
class Stage:
    """Everything that the story plays with.

    `expected`: in which state each cash-out must end up. `by_hand`: by Lamassu's id, the reference of the entry
    that stands in its place. `failed`: by Lamassu's id, the name of its scenario.
    """

    folder: Path
    postgres: EmbeddedPostgres
    lnbits: LnbitsServer
    source: WalletKeys
    books: Database
    lamassu: psycopg.Connection
    atms: list[SimulatedAtm]
    daemon: DaemonProcess
    console: ConsoleProcess
    keys: KeyRing
    reader_dsn: str
    login_path: str = ""
    own_page_path: str = ""  # of the first client
    topped_up_sats: int = 0
    people: list[Person] = field(default_factory=list)
    expected: dict[str, frozenset[CashOutState]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    by_hand: dict[str, str] = field(default_factory=dict)
    silent: RunningCashOut | None = None  # its machine died before the baseline, and will report later

    def expect(self, external_id: str, *states: CashOutState) -> None:
        """Says how a cash-out must end up, for the check at the end."""
        self.expected[external_id] = frozenset(states)

    def settled_by_hand(self, external_id: str, reference: str) -> None:
        """Says that an entry by hand stands in the place of a cash-out."""
        self.expect(external_id, CashOutState.SETTLED_BY_HAND)
        self.expect(reference, CashOutState.DISTRIBUTED)
        self.by_hand[external_id] = reference

    def top_up(self, sats: int) -> None:
        """Fills the source wallet."""
        self.lnbits.top_up(self.source.id, sats)
        self.topped_up_sats += sats


def start_postgres(folder: Path, stack: ExitStack, interrupts: Interrupts, *, keep: bool) -> EmbeddedPostgres:
    """The server, with Lamassu's database and an empty one for the books."""
    postgres = EmbeddedPostgres(folder / "postgres", {"track_commit_timestamp": "on"})
    home = postgres.log_file.parent  # may lie elsewhere, and so outlast the folder
    if any(home.iterdir()):
        raise DatabaseError(f"{home} holds the data of an earlier demo", remedy="remove it, or name another")
    stack.callback(postgres.stop if keep else postgres.destroy)
    with interrupts.held():
        _start(postgres)
    postgres.create_database("lamassu")
    create_schema(postgres.dsn("lamassu"))
    with psycopg.connect(postgres.dsn("lamassu")) as conn:
        conn.execute(grants_sql(DEFAULT_ROLE, "lamassu").encode())
    return postgres


def _start(postgres: EmbeddedPostgres) -> None:
    try:
        postgres.start()
    except DatabaseError as error:
        log = postgres.log_file
        words = log.read_text(encoding="utf-8", errors="replace").strip()[-300:] if log.exists() else ""
        raise DatabaseError(
            f"{error.message}: {words}" if words else error.message, remedy=error.remedy
        ) from error


def start_lnbits(install_dir: Path, folder: Path, stack: ExitStack) -> LnbitsServer:
    """LNbits on new data."""
    server = LnbitsServer(install_dir, folder / "lnbits")
    stack.callback(server.stop)
    server.start()
    return server


def set_up(
    folder: Path, postgres: EmbeddedPostgres, lnbits: LnbitsServer, stack: ExitStack, interrupts: Interrupts
) -> Stage:
    """Wallets, databases, the daemon's configuration. The daemon itself is not started yet."""
    source = lnbits.create_wallet("DCA payouts")
    reader_password, books_password = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
    postgres.create_role(DEFAULT_ROLE, reader_password)
    postgres.create_role(BOOKS_ROLE, books_password)
    postgres.create_database("dca", BOOKS_ROLE)
    books_url = postgres.dsn("dca", BOOKS_ROLE, books_password)
    migrate.upgrade(sqlalchemy_url(books_url))
    asyncio.run(trigger.install(postgres.dsn("lamassu"), CHANNEL))
    http_port, console_port = _free_port(), _free_port()
    reader_dsn = postgres.dsn("lamassu", DEFAULT_ROLE, reader_password)
    secret_values = {
        "database.url": books_url,
        "lamassu.dsn": reader_dsn,
        "lnbits.admin_key": source.adminkey,
        "security.encryption_keys": KeyRing.generate(),
    }
    config = write_config(folder, _document(lnbits.url, http_port, console_port), secret_values)
    books = Database(sqlalchemy_url(books_url), pool_size=2)
    lamassu = stack.enter_context(psycopg.connect(postgres.dsn("lamassu"), autocommit=True))
    atms = [stack.enter_context(SimulatedAtm(postgres.dsn("lamassu"), name=name)) for name in _MACHINES]
    daemon = DaemonProcess(config, http_port, folder / "daemon.log", interrupts)
    stack.callback(daemon.stop)
    console = ConsoleProcess(config, console_port, folder / "console.log", interrupts)
    stack.callback(console.stop)
    stage = Stage(
        folder=folder, postgres=postgres, lnbits=lnbits, source=source, books=books,
        lamassu=lamassu, atms=atms, daemon=daemon, console=console,
        keys=KeyRing(secret_values["security.encryption_keys"]), reader_dsn=reader_dsn,
    )  # fmt: skip
    stage.top_up(TOP_UP_SATS)
    return stage


async def login_link(stage: Stage) -> str:
    """The path of a link that logs the operator in once, while the demo is up."""
    _, token = await sessions.make_link(stage.books, OPERATOR, actor="demo", minutes=LINK_MINUTES)
    return f"/login/link/{token}"


async def own_page_link(stage: Stage, client: str) -> str:
    """The path of a client's own page."""
    _, token = await client_access.make_link(stage.books, client, actor=RUNNER)
    return f"{PERSONAL}{token}"


def _document(lnbits_url: str, http_port: int, console_port: int) -> dict[str, dict[str, object]]:
    return {
        "pool": {"currency": CURRENCY},
        # Notifications tell of successes at once; failures are found by the scan, here every second.
        "lamassu": {"channel": CHANNEL, "scan_interval_seconds": 1},
        "lnbits": {"url": lnbits_url, "requests_per_minute": PACE},
        "payouts": {"allow_private_lnurl": True},
        "http": {"port": http_port},
        "console": {"port": console_port, "zone": ZONE, "allow_private_webhooks": True},
        "log": {"format": "json"},
    }


def make_history(stage: Stage) -> None:
    """What the ATMs did before the daemon was there: successes that must not be paid, and one left open."""
    for atm, (name, fiat, days) in zip(stage.atms, _BEFORE_BASELINE, strict=True):
        atm.ago = timedelta(days=days)
        external_id = run(atm, name, Decimal(fiat))
        stage.expect(external_id, CashOutState.BEFORE_BASELINE)
    run(stage.atms[0], "cancelled")
    stage.silent = begin(stage.atms[1], "late", LATE_FIAT)
    for _ in range(3):  # seen, confirmed, told to dispense: then the machine falls silent
        stage.silent.step()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
