"""Moving over from satmachineadmin: to the centavo, once, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dca_daemon.cli.importing import DSN_ENV
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reports.clients import all_clients
from tests.cli.conftest import Cli, FakeWallet, OnBooks, Outcome
from tests.fixtures.postgres import PostgresServer
from tests.fixtures.satmachine import KEY, Extension, an_installation
from tests.services.builders import success, value


async def counts(db: Database) -> dict[str, int]:
    names = ("client", "destination", "deposit", "journal_entry", "client_opening", "import_run", "audit_log")
    return {name: await value(db, f"SELECT count(*) FROM {name}") for name in names}


@contextmanager
def unchanged(on_books: OnBooks) -> Iterator[None]:
    before = on_books(counts)
    yield
    assert on_books(counts) == before


def from_sqlite(made: Extension, folder: Path) -> list[str]:
    lnbits = made.lnbits_sqlite(folder / "database.sqlite3")
    path = made.sqlite(folder / "ext_satmachineadmin.sqlite3")
    return ["--sqlite", str(path), "--lnbits-sqlite", str(lnbits)]


@pytest.fixture(params=["sqlite", "csv", "postgres"])
def source(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres_server: PostgresServer,
) -> Iterator[list[str]]:
    """The options that name the same installation in one of its forms."""
    made = an_installation()
    if request.param == "sqlite":
        yield from_sqlite(made, tmp_path)
    elif request.param == "csv":
        lnbits = made.lnbits_sqlite(tmp_path / "database.sqlite3")
        yield ["--csv", str(made.csv(tmp_path / "tables")), "--lnbits-sqlite", str(lnbits)]
    else:
        with postgres_server.clone("template0") as database:
            monkeypatch.setenv(DSN_ENV, made.postgres(postgres_server.dsn(database)))
            yield ["--postgres"]


def run(cli: Cli, *options: str) -> Outcome:
    return cli("import", "satmachine", "--amounts", "minor", *options)


def test_moves_over_to_the_centavo_and_only_once(
    cli: Cli, on_books: OnBooks, wallet: FakeWallet, source: list[str]
) -> None:
    with unchanged(on_books):
        text = run(cli, *source).done().out
        assert "1,001.01 GTQ" in text and "dry run" in text
        shown = run(cli, *source, "--json").done().json
    assert shown["sums"] == {
        "clients": 3,
        "deposited": "20301.01",
        "converted": "19300.00",
        "left": "1001.01",
        "pending": "777.00",
        "received_sats": 289_000,
    }
    assert any("commission payments" in note for note in shown["notes"])
    assert any("failed" in note for note in shown["notes"])
    assert {d.invoice_key for d in wallet.checked} == {KEY}
    run(cli, *source, "--apply").refused("confirmation")
    done = run(cli, *source, "--apply", "--yes", "--json").done().json
    assert [(c["client"], c["left"], c["pending"]) for c in done["clients"]] == [
        ("Ana", "1001.01", "0.00"),
        ("Beto", "0.00", "0.00"),
        ("Carla", "0.00", "777.00"),
    ]
    beto = cli("client", "show", "Beto", "--json").done().json["client"]
    assert (beto["mode"], beto["status"], beto["settled_sats"]) == ("fixed", "inactive", 0)
    assert on_books(lambda db: value(db, "SELECT daily_minor FROM fixed_amount")) == 50_000
    notes = {d["note"] for d in cli("deposit", "list", "--json").done().json["deposits"]}
    assert notes == {"opening balance", "in the safe"}
    assert on_books(lambda db: value(db, "SELECT count(*) FROM distribution_record")) == 0  # nothing is paid
    reports = {r.client: r for r in on_books(all_clients)}
    assert (reports["Ana"].deposited_minor, reports["Ana"].converted_minor) == (2_000_101, 1_900_000)
    assert (reports["Ana"].left_minor, reports["Beto"].bought_sats) == (100_101, 39_000)
    assert all(check.holds for check in on_books(verify))
    assert KEY.encode() not in on_books(lambda db: value(db, "SELECT min(invoice_key_encrypted) FROM destination"))
    with unchanged(on_books):
        assert run(cli, *source).out.count("imported already") == 3
        run(cli, *source, "--apply", "--yes").refused("imported already")


def _unknown_client(made: Extension) -> None:
    made.deposit("Nobody", 100)


def _negative_left(made: Extension) -> None:
    made.payment("Ana", 5, 200_000)


def _one_name(made: Extension) -> None:
    made.client("ANA", id="id-other")


def _one_id(made: Extension) -> None:
    made.client("Other", id="id-ana")


def _currency(made: Extension) -> None:
    made.deposit("Ana", 100, currency="EUR")


def _garbage(made: Extension) -> None:
    made.deposit("Ana", "12x")


def _negative(made: Extension) -> None:
    made.deposit("Ana", -100)


def _fraction(made: Extension) -> None:
    made.payment("Ana", 5, 10.5)


def _half_a_sat(made: Extension) -> None:
    made.payment("Ana", 5.5, 10)


def _pending(made: Extension) -> None:
    made.payment("Ana", 1234, 5000, "pending")


def _status(made: Extension) -> None:
    made.deposit("Ana", 100, "lost")


def _mode(made: Extension) -> None:
    made.client("Dora", dca_mode="turbo")


def _charged_commission(made: Extension) -> None:
    made.payment("Ana", 5, 100, transaction_type="commission")


def _name(made: Extension) -> None:
    made.client("12", id="id-12")


def _huge(made: Extension) -> None:
    made.deposit("Ana", 10**18)


BAD = {
    "there is no client 'id-nobody'": _unknown_client,
    "Ana: 21,000.00 GTQ were converted of 20,001.01 GTQ deposited": _negative_left,
    "several clients are named": _one_name,
    "client 'id-ana': it is there twice": _one_id,
    "it is in 'EUR', the pool in GTQ": _currency,
    "'12x' is not an amount": _garbage,
    "the amount -100 is negative": _negative,
    "finer than the currency's minor unit": _fraction,
    "'5.5' is not a number of sats": _half_a_sat,
    "1,234 sats for 50.00 GTQ to Ana is pending: see in LNbits whether it arrived": _pending,
    "its status is 'lost'": _status,
    "its mode is 'turbo', not flow or fixed": _mode,
    "it is commission, and charges a client fiat": _charged_commission,
    "'12' is no name for a client": _name,
    "too large": _huge,
}


@pytest.mark.parametrize("words", BAD)
def test_what_is_wrong_is_named_and_nothing_is_changed(
    cli: Cli, on_books: OnBooks, wallet: FakeWallet, tmp_path: Path, words: str
) -> None:
    made = an_installation()
    BAD[words](made)
    with unchanged(on_books):
        outcome = run(cli, *from_sqlite(made, tmp_path), "--apply", "--yes")
    assert "nothing was imported" in outcome.refused()
    assert any(line.startswith("problem: ") and words in line for line in outcome.out.splitlines()), outcome.out


def test_what_the_operator_says_of_their_tables(cli: Cli, wallet: FakeWallet, tmp_path: Path) -> None:
    made = an_installation()
    _pending(made)
    _fraction(made)
    source = from_sqlite(made, tmp_path)
    paid = run(cli, *source, "--round", "--pending-payments", "paid", "--json").done().json
    unpaid = run(cli, *source, "--round", "--pending-payments", "unpaid", "--json").done().json
    assert (paid["sums"]["left"], unpaid["sums"]["left"]) == ("950.91", "1000.91")  # 10.5 centavos became 10
    assert any("rounded: 1, by -0.005 GTQ" in note for note in paid["notes"])
    assert any("pending and unpaid" in note for note in unpaid["notes"])
    main = cli("import", "satmachine", "--amounts", "main", "--pending-payments", "paid", *source, "--json").done()
    assert main.json["sums"]["left"] == "95090.50"  # a hundred times as much, and exact: 10.5 is 10.50 GTQ
    assert "2000000, 101, 30000" in cli("import", "satmachine", *source).refused("--amounts", status=2)


def test_where_each_is_paid(cli: Cli, on_books: OnBooks, wallet: FakeWallet, tmp_path: Path) -> None:
    made = an_installation()
    source = ["--sqlite", str(made.sqlite(tmp_path / "ext.sqlite3"))]
    outcome = run(cli, *source)
    outcome.refused("3 problems")
    assert "Beto: no invoice key is known for its wallet w-beto" in outcome.out
    keys = tmp_path / "keys.csv"
    keys.write_text(f"w-ana,{KEY}\nBeto,beto@example.com\nid-carla,{KEY}\n")
    run(cli, *source, "--keys", str(keys), "--apply", "--yes").done()
    assert [d.address for d in wallet.checked] == [None, "beto@example.com", None]
    assert cli("client", "show", "Beto", "--json").done().json["client"]["destination"] == "beto@example.com"
    keys.write_text(f"w-ana\n{KEY}")
    assert KEY not in run(cli, *source, "--keys", str(keys)).refused("line 1: it must have two columns")
    keys.write_text("a,b\na,c\n")
    run(cli, *source, "--keys", str(keys)).refused("line 2: a is there twice")


def test_a_destination_that_does_not_answer_is_a_problem(cli: Cli, on_books: OnBooks, tmp_path: Path) -> None:
    source = from_sqlite(an_installation(), tmp_path)
    with unchanged(on_books):
        run(cli, *source, "--apply", "--yes").refused("3 problems")
    run(cli, *source, "--apply", "--yes", "--no-check").done()


def test_a_name_that_is_taken_here(cli: Cli, wallet: FakeWallet, key_file: Path, tmp_path: Path) -> None:
    cli("client", "add", "ana", "--lnbits-key-file", str(key_file)).done()
    assert (
        "there is a client named 'ana' in our books already"
        in run(cli, *from_sqlite(an_installation(), tmp_path)).out
    )


def test_a_cash_out_that_was_distributed_there_is_not_distributed_here(
    cli: Cli, on_books: OnBooks, wallet: FakeWallet, tmp_path: Path
) -> None:
    row = success()
    made = an_installation()
    for id_ in (row.external_id, "11111111-1111-4111-8111-111111111111"):
        made.payment("Ana", 5, 10, lamassu_transaction_id=id_)
    source = from_sqlite(made, tmp_path)
    notes = run(cli, *source, "--json").done().json["notes"]
    assert any("of 2 cash-outs that were distributed there, 2 are not in our books" in note for note in notes)
    on_books(lambda db: Intake(db, IntakeConfig()).process([row]))
    outcome = run(cli, *source, "--apply", "--yes")
    outcome.refused("1 problem")
    assert f"cash-out {row.external_id} was distributed there, and is distributed here" in outcome.out


def test_older_tables_lack_some_columns(cli: Cli, wallet: FakeWallet, tmp_path: Path) -> None:
    made = an_installation()
    made.payments.pop()  # without transaction_type commission can't be told from a purchase
    made.without = {"username", "transaction_type", "currency", "fixed_mode_daily_limit", "notes"}
    shown = run(cli, *from_sqlite(made, tmp_path), "--json").done().json
    assert [c["client"] for c in shown["clients"]] == [
        "satmachine id-ana",
        "satmachine id-beto",
        "satmachine id-carla",
    ]
    assert len([note for note in shown["notes"] if "has no column" in note]) == 3
    (tmp_path / "b").mkdir()
    made.without = {"amount_fiat"}
    run(cli, *from_sqlite(made, tmp_path / "b")).refused("lacks dca_payments.amount_fiat")


def test_what_can_not_be_read(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    junk = tmp_path / "junk.sqlite3"
    junk.write_text("no database at all, but long enough to be looked at" * 30)
    run(cli, "--sqlite", str(junk)).refused("can't read", "not a database")
    run(cli, "--sqlite", str(tmp_path / "none")).refused("there is no file")
    empty = tmp_path / "empty.sqlite3"
    empty.touch()
    run(cli, "--sqlite", str(empty)).refused("there is no table dca_clients")
    run(cli, "--csv", str(tmp_path / "none")).refused("can't read", "dca_clients.csv")
    folder = an_installation().csv(tmp_path / "tables")
    (folder / "dca_deposits.csv").write_text("client_id,amount,status\nid-ana,1\n")
    run(cli, "--csv", str(folder)).refused("dca_deposits.csv, line 2: it has 2 columns")
    run(cli, "--postgres").refused(DSN_ENV)
    monkeypatch.setenv(DSN_ENV, "postgresql://x:secret@127.0.0.1:9/lnbits")
    assert "secret" not in run(cli, "--postgres").refused("can't read LNbits' PostgreSQL")
    run(cli).refused("one of --sqlite", status=2)
    run(cli, "--pool", "9", *from_sqlite(an_installation(), tmp_path)).refused("there is no pool '9'")
    nobody = tmp_path / "nobody"
    nobody.mkdir()
    run(cli, *from_sqlite(Extension(), nobody)).refused("no client to import")
