"""Clients: names, modes, destinations, and the keys that nobody may read."""

from __future__ import annotations

import dataclasses
import time

import pytest

from dca_daemon.domain.errors import ConfigError, ConflictError, InputError, NotFoundError, WalletRefusedError
from dca_daemon.domain.rights import Role
from dca_daemon.ledger.db import Database
from dca_daemon.payouts import store
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, destinations, intents, second_factor, users
from dca_daemon.services.clients import ClientView, Mode, Status
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.ledger.filled import reserve
from tests.payouts.stub_wallet import StubWallet
from tests.services.builders import client, success, value

SECRET = "an-invoice-key"
WALLET = Destination(DestinationKind.LNBITS, wallet_id="w1", invoice_key=SECRET)
ADDRESS = Destination(DestinationKind.LIGHTNING_ADDRESS, address="ana@example.com")


async def add(
    db: Database, keys: KeyRing, name: str, destination: Destination = WALLET, wallet: StubWallet | None = None
) -> ClientView:
    view, info = await clients.add(
        db, wallet or StubWallet(), keys, name=name, mode=Mode.FLOW, destination=destination, actor="test"
    )
    assert info.name == "a wallet"
    return view


async def test_a_client_is_added_after_its_destination_has_answered(books: Database, keys: KeyRing) -> None:
    wallet = StubWallet()
    view = await add(books, keys, "  Ana   María ", wallet=wallet)
    assert wallet.checked == [WALLET]
    assert (view.name, view.mode, view.status, view.destination) == (
        "Ana María",
        Mode.FLOW,
        Status.ACTIVE,
        "LNbits wallet 'a wallet' (w1)",
    )
    assert (view.balances, view.owed_sats, view.records) == ((), 0, 0)
    assert (await add(books, keys, "Otto", ADDRESS)).destination == "ana@example.com"
    assert [v.name for v in await clients.list_all(books)] == ["Ana María", "Otto"]


async def test_a_destination_that_refuses_changes_nothing(books: Database, keys: KeyRing) -> None:
    wallet = StubWallet(refuses=WalletRefusedError("no such wallet", status=404))
    with pytest.raises(WalletRefusedError):
        await add(books, keys, "Ana", wallet=wallet)
    assert await clients.list_all(books) == []
    assert await value(books, "SELECT count(*) FROM destination") == 0
    existing = await add(books, keys, "Ana")
    with pytest.raises(WalletRefusedError):
        await clients.set_destination(books, wallet, keys, "Ana", ADDRESS, actor="test")
    assert await clients.show(books, "Ana") == existing


@pytest.mark.parametrize("name", ["", "   ", "x" * 81, "a\x00b", "a\x1bb", "7", "0042"])
async def test_what_is_no_name_is_refused(books: Database, keys: KeyRing, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        await add(books, keys, name)
    await add(books, keys, "Ana")
    with pytest.raises(InputError, match="name"):
        await clients.rename(books, "Ana", name, actor="test")
    assert [v.name for v in await clients.list_all(books)] == ["Ana"]


async def test_two_clients_never_have_one_name(books: Database, keys: KeyRing) -> None:
    await add(books, keys, "Ana")
    await add(books, keys, "Otto")
    with pytest.raises(ConflictError, match="there is a client named 'ANA' already"):
        await add(books, keys, "ANA")
    with pytest.raises(ConflictError, match="there is a client named 'ana' already"):
        await clients.rename(books, "Otto", "ana", actor="test")
    assert (await clients.rename(books, "Ana", "ANA", actor="test")).name == "ANA"


async def test_clients_are_found_by_id_or_name(books: Database, keys: KeyRing) -> None:
    ana = await add(books, keys, "Ana")
    for reference in (str(ana.client_id), "Ana", " aNA "):
        assert await clients.show(books, reference) == ana
    for reference in ("", "nobody", "999999999999999999999999", "1; DROP TABLE client", "%"):
        with pytest.raises(NotFoundError, match="there is no client"):
            await clients.show(books, reference)


async def test_mode_and_status_are_audited_when_they_change(books: Database, keys: KeyRing) -> None:
    await add(books, keys, "Ana")
    for _ in range(2):
        assert (await clients.set_mode(books, "Ana", Mode.FIXED, actor="test")).mode is Mode.FIXED
        assert (await clients.set_status(books, "Ana", Status.INACTIVE, actor="test")).status is Status.INACTIVE
    query = "SELECT string_agg(action, ' ' ORDER BY id) FROM audit_log"
    assert await value(books, query) == "client.add client.set-mode client.set-inactive"


async def test_what_an_inactive_client_is_owed_stays_owed(books: Database) -> None:
    client_id = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success()])
    view = await clients.set_status(books, str(client_id), Status.INACTIVE, actor="test")
    assert view.owed_sats == 484218
    assert await reserve(books, client_id) is not None
    view = await clients.show(books, str(client_id))
    assert (view.owed_sats, view.in_payout_sats, view.settled_sats) == (0, 484218, 0)


async def test_an_open_payout_keeps_the_destination_that_it_was_reserved_for(
    books: Database, keys: KeyRing
) -> None:
    client_id = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success()])
    payout_id = await reserve(books, client_id)
    assert payout_id is not None
    view = await clients.set_destination(books, StubWallet(), keys, str(client_id), ADDRESS, actor="test")
    assert view.destination == "ana@example.com"
    async with books.transaction() as conn:
        assert (await store.load(conn, payout_id)).destination_kind is DestinationKind.LNBITS
    audited = await value(books, "SELECT after::text FROM audit_log ORDER BY id DESC LIMIT 1")
    assert "ana@example.com" in audited


async def test_an_invoice_key_is_stored_encrypted_and_shown_nowhere(books: Database, keys: KeyRing) -> None:
    view = await add(books, keys, "Ana")
    stored = bytes(await value(books, "SELECT invoice_key_encrypted FROM destination"))
    assert SECRET.encode() not in stored and keys.decrypt(stored) == SECRET
    assert SECRET not in repr(view) and SECRET not in repr(WALLET) and SECRET not in str(clients.as_dict(view))
    assert SECRET not in await value(books, "SELECT string_agg(audit_log::text, ' ') FROM audit_log")


async def told_once(db: Database) -> intents.Answer:
    return intents.Answer(201, "told once")


async def test_keys_are_rotated_without_losing_one(books: Database) -> None:
    old, new = KeyRing.generate(), KeyRing.generate()
    await add(books, KeyRing(old), "Ana")
    await add(books, KeyRing(old), "Otto", dataclasses.replace(WALLET, wallet_id="w2"))
    await add(books, KeyRing(old), "Eva", ADDRESS)
    await users.add(books, name="ana", role=Role.ADMIN, password=None, actor="test")
    secret, step = second_factor.new_secret(), int(time.time()) // second_factor.STEP_SECONDS
    code = second_factor.code_at(secret, step)
    await second_factor.turn_on(books, KeyRing(old), "ana", secret=secret, code=code, actor="test")
    await intents.once(books, KeyRing(old), actor="token:till", key="k", request="r", work=told_once)
    every = (destinations.INVOICE_KEYS, destinations.WEBHOOKS, destinations.SECOND_FACTORS)
    assert await destinations.check_keys(books, KeyRing(old)) == 2
    assert await destinations.check_keys(books, KeyRing(old), every) == 3
    with pytest.raises(ConfigError, match="1 of 1 second factors"):
        await destinations.check_keys(books, KeyRing(new), (destinations.SECOND_FACTORS,))
    with pytest.raises(ConfigError, match="none of the encryption keys fits"):
        await destinations.check_keys(books, KeyRing(new))
    with pytest.raises(ConfigError, match="none of the encryption keys fits"):
        await destinations.rotate_keys(books, KeyRing(new), actor="test")
    assert await destinations.check_keys(books, KeyRing(old)) == 2
    assert await destinations.rotate_keys(books, KeyRing(f"{new}\n{old}"), actor="test") == 4
    assert await destinations.check_keys(books, KeyRing(new), every) == 3
    stored = await intents.answered(books, KeyRing(new), actor="token:till", key="k", request="r")
    assert stored is not None and stored.body == "told once"


async def test_a_clients_history_names_the_payout_that_paid(books: Database) -> None:
    client_id = await client(books, "20000")
    await Intake(books, IntakeConfig()).process([success(), success()])
    payout_id = await reserve(books, client_id)
    found = await clients.history(books, str(client_id))
    assert [(h["type"], h["sats"], h["state"], h["payout_id"]) for h in found] == [
        ("flow", 484218, "in-payout", payout_id)
    ] * 2
