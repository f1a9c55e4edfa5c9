"""Clients go from one installation to another as a file, whole; a bad file is refused with each fault's place."""

from __future__ import annotations

import copy
import json
from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.demo.postgres import sqlalchemy_url
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.services import client_access, clients, deposits, fixed_amounts, pools
from dca_daemon.services.clients import Mode, Status
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reports.clients import all_clients
from dca_daemon.services.transfer import document
from dca_daemon.services.transfer.apply import apply
from dca_daemon.services.transfer.export import export
from dca_daemon.services.transfer.plan import TransferPlan, plan
from tests.fixtures.postgres import PostgresServer
from tests.services.builders import success, value

ME = "os:operator"
KEY = "an-invoice-key-of-ana"


async def fill(db: Database, keys: KeyRing) -> None:
    await pools.add(db, name="Antigua", currency="USD", actor=ME)
    wallet = Destination(DestinationKind.LNBITS, wallet_id="w1", invoice_key=KEY)
    address = Destination(DestinationKind.LIGHTNING_ADDRESS, address="otto@example.com")
    people = (('Ana "María" 🌱', Mode.FLOW, wallet), ("Otto", Mode.FIXED, address), ("Eva", Mode.FLOW, address))
    for name, mode, to in people:
        await clients.add_checked(
            db, keys, name=name, mode=mode, destination=to, info=DestinationInfo("x"), actor=ME
        )
    for client, amount, pool in (("1", "1000", None), ("2", "70.50", None), ("1", "20", "Antigua")):
        recorded = await deposits.record(
            db, client=client, amount=amount, currency=None, note=None, pool=pool, actor=ME
        )
        await deposits.confirm(db, recorded.deposit_id, actor=ME)
    await deposits.record(db, client="2", amount="250", currency=None, note="counted\non Monday", actor=ME)
    await Intake(db, IntakeConfig()).process([success(fiat=Decimal(100), crypto_atoms=Decimal(12800))])
    await fixed_amounts.change(db, "2", per_day="100", own_max="150", actor=ME)
    await client_access.allow(db, "2", switch_mode=True, actor=ME)
    await clients.set_status(db, "3", Status.INACTIVE, actor=ME)


def comparable(exported: dict[str, Any]) -> list[dict[str, Any]]:
    return [{key: value for key, value in one.items() if key != "id"} for one in exported["clients"]]


async def imported(db: Database, keys: KeyRing, data: dict[str, Any], **given: str) -> TransferPlan:
    made = await plan(db, document.read(json.dumps(data), "file"), given)
    if not made.problems:
        await apply(db, keys, made, origin="file", actor=ME)
    return made


async def test_round_trip(
    books: Database, keys: KeyRing, postgres_server: PostgresServer, books_template: str
) -> None:
    await fill(books, keys)
    bare, whole = await export(books, None), await export(books, keys)
    assert KEY not in json.dumps(bare) and whole["clients"][0]["destination"]["invoice_key"] == KEY
    with postgres_server.clone(books_template) as database:
        there = Database(sqlalchemy_url(postgres_server.dsn(database)))
        try:
            other_keys = KeyRing(KeyRing.generate())
            # The pool is not there yet, and a key is missing: both are told, and nothing is changed.
            made = await imported(there, other_keys, bare)
            assert [line.split(": ")[0] for line in made.problems] == [
                "clients[0].destination.invoice_key",
                "clients[0].pools[1].pool",
            ]
            assert await value(there, "SELECT count(*) FROM client") == 0
            await pools.add(there, name="Antigua", currency="USD", actor=ME)
            made = await imported(there, other_keys, bare, **{whole["clients"][0]["name"]: KEY})
            assert made.problems == [] and made.notes == []
            assert [check for check in await verify(there) if not check.holds] == []
            again = await export(there, other_keys)
            whole["clients"][0]["destination"]["wallet_id"] = None  # a key that was given may be of another wallet
            assert comparable(again) == comparable(whole)
            # Reports go on.
            mine, theirs = (
                {(r.client, r.currency): (r.deposited_minor, r.converted_minor, r.bought_sats) for r in found}
                for found in (await all_clients(books), await all_clients(there))
            )
            assert theirs.pop(("Eva", "GTQ")) == (0, 0, 0)  # imported, with nothing
            assert theirs == mine
            # The same again, or into the installation it came from: refused.
            for target, words in ((there, "imported already"), (books, "there is a client named")):
                refused = await imported(target, keys, whole)
                assert len(refused.problems) == 3 and words in refused.problems[0]
            # Somebody takes a name between the look and the deed.
            renamed = copy.deepcopy(whole)
            renamed["installation"] = (
                renamed["installation"][::-1].replace("-", "")[:8] + renamed["installation"][8:]
            )
            for one in renamed["clients"]:
                one["name"] += " 2"
            made = await plan(there, document.read(json.dumps(renamed), "f"), {})
            assert made.problems == []
            await clients.rename(there, "Eva", "Otto 2", actor=ME)
            with pytest.raises(ConflictError, match="Otto 2"):
                await apply(there, other_keys, made, origin="f", actor=ME)
            assert await value(there, "SELECT count(*) FROM client") == 3
        finally:
            await there.close()


def good() -> dict[str, Any]:
    pool = {"pool": "default", "currency": "GTQ", "balance": "1000.50"}
    to = {"kind": "lightning-address", "address": "ana@example.com"}
    client = {"id": 1, "name": "Ana", "mode": "flow", "status": "active", "destination": to, "pools": [pool]}
    return {
        "format": document.FORMAT,
        "version": 1,
        "exported_at": "2026-11-25T18:00:00+00:00",
        "installation": "0b9f6f0e-5d0c-4c43-9d7d-0b1f6b4f2a11",
        "clients": [client, {**copy.deepcopy(client), "id": 2, "name": "Otto"}],
    }


# Where, what is put there, and what is said; the place comes first.
BAD: tuple[tuple[str, Any, str], ...] = (
    ("format", "something else", "no file of clients"),
    ("version", 2, "version: 2 is not known here"),
    ("version", True, "version: True is not known here"),
    ("version", "1", "version: 1 is not known here"),
    ("more", 1, "more: there is no such key"),
    ("installation", "x", "installation: it is not written"),
    ("clients", {}, "clients: it must be a list"),
    ("clients.1.more", 1, "clients[1].more: there is no such key"),
    ("clients.1.id", 1, "clients[1].id: clients[0] has it too"),
    ("clients.1.id", True, "clients[1].id: it must be a valid integer"),
    ("clients.1.id", 2**63, "clients[1].id: it must be less than"),
    ("clients.1.id", 0, "clients[1].id: it must be greater"),
    ("clients.1.name", " ana ", "clients[1].name: clients[0] has it too"),
    ("clients.1.name", "7", "clients[1].name: '7' is no name"),
    ("clients.1.name", "a\x1bb", "clients[1].name: a client's name has"),
    ("clients.1.name", "a\x00b", "clients[1].name: it is not written"),
    ("clients.1.name", "Taken", "clients[1].name: there is a client named 'Taken' here"),
    ("clients.1.name", None, "clients[1].name: it must be a valid string"),
    ("clients.1.mode", "commission", "clients[1].mode: it must be 'flow' or 'fixed'"),
    ("clients.1.status", "gone", "clients[1].status: it must be"),
    ("clients.1.may_switch_mode", "yes", "clients[1].may_switch_mode: it must be a valid boolean"),
    ("clients.1.destination", {"kind": "lnbits"}, "clients[1].destination.invoice_key: it is missing"),
    ("clients.1.destination", {"kind": "lnbits", "invoice_key": "s3cr et"}, "clients[1].destination: this is no"),
    ("clients.1.destination", {"kind": "lnbits", "invoice_key": "s3cret-key", "address": "x"}, "an LNbits"),
    ("clients.1.destination", {"kind": "lnurl"}, "clients[1].destination: it must have an address"),
    ("clients.1.destination.address", "nobody", "clients[1].destination: 'nobody' is no Lightning address"),
    ("clients.1.destination.kind", "bank", "clients[1].destination.kind: it must be"),
    ("clients.1.pools.0.pool", "moon", "clients[1].pools[0].pool: there is no pool 'moon' here"),
    ("clients.1.pools.0.currency", "USD", "clients[1].pools[0].currency: it is USD, the pool"),
    ("clients.1.pools.0.balance", 1000, "clients[1].pools[0].balance: it must be a valid string"),
    ("clients.1.pools.0.balance", "-1", "clients[1].pools[0].balance: it is not written"),
    ("clients.1.pools.0.balance", "1e3", "clients[1].pools[0].balance: it is not written"),
    ("clients.1.pools.0.balance", "NaN", "clients[1].pools[0].balance: it is not written"),
    ("clients.1.pools.0.balance", "١٢", "clients[1].pools[0].balance: it is not written"),
    ("clients.1.pools.0.balance", "1.005", "clients[1].pools[0].balance: "),
    ("clients.1.pools.0.balance", "999999999999999", "clients[1].pools[0].balance: "),
    ("clients.1.pools.0.received_sats", -1, "clients[1].pools[0].received_sats: it must be greater"),
    ("clients.1.pools.0.per_day", "", "clients[1].pools[0].per_day: it is not written"),
    ("clients.1.pools.0.max_per_day", "5", "clients[1].pools[0].max_per_day: there is no per_day"),
    ("clients.1.pools.0.pending", [{"amount": "0"}], "clients[1].pools[0].pending[0].amount: 0 can't be"),
    ("clients.1.pools", [good()["clients"][0]["pools"][0]] * 2, "clients[1].pools: a pool is there twice"),
)  # fmt: skip
TEXTS = (
    ("", "is no JSON: line 1"),
    ("[]", "no file of clients"),
    ("null", "no file of clients"),
    ('{"format": "dca-daemon clients", "format": 1}', "the key 'format' is there twice"),
    ('{"a": 1.5}', "1.5 can't be here"),
    ('{"a": NaN}', "NaN can't be here"),
    ("[" * 100_000, "nested too deeply"),
    ('{"a": ' + "9" * 5000 + "}", "file: "),
)


async def test_a_bad_file_changes_nothing(books: Database, keys: KeyRing) -> None:
    address = Destination(DestinationKind.LIGHTNING_ADDRESS, address="t@example.com")
    await clients.add_checked(
        books, keys, name="Taken", mode=Mode.FLOW, destination=address, info=DestinationInfo("x"), actor=ME
    )
    for text, words in TEXTS:
        with pytest.raises(InputError) as wrong:
            document.read(text, "file")
        assert words in str(wrong.value)
    for path, bad, words in BAD:
        data: Any = good()
        place = data
        *way, last = path.split(".")
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[last] = bad
        try:
            told = (await plan(books, document.read(json.dumps(data), "file"), {})).problems
        except InputError as error:
            told = [str(error)]
        assert len(told) == 1 and words in told[0], (path, bad, told)
        assert "s3cr" not in told[0]
    made = await plan(books, document.read(json.dumps(good()), "file"), {"Nobody": KEY})
    assert made.problems == ["--keys: no client of the file is called 'Nobody', or has that number"]
    with pytest.raises(InputError):
        await apply(books, keys, made, origin="x", actor=ME)
    assert await value(books, "SELECT count(*) FROM client") == 1
