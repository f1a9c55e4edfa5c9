"""The books against LNbits, on both sides of each payment: what agrees, and each way in which it may not."""

from __future__ import annotations

from datetime import timedelta

from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.domain.errors import WalletRefusedError, WalletUnknownError, WalletUnreachableError
from dca_daemon.domain.payout import PayoutState
from dca_daemon.payouts import store
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind, Invoice, RecordStatus, WalletRecord
from dca_daemon.services import payout_resolution, payouts
from dca_daemon.services.payout_resolution import Resolution
from dca_daemon.services.reconciliation import books
from dca_daemon.services.reconciliation.findings import Kind, NoteKind
from tests.reconcile.conftest import CHECKS, Three, changed, hidden, now
from tests.services.builders import value


async def test_three_sides_that_agree(three: Three) -> None:
    paid = await three.pay(2)
    found = await three.reconcile()
    assert found.agrees and found.complete
    assert not found.differences and not found.notes
    sats = sum(p.amount_sats for p in paid)
    assert found.compared == {
        "settled_payouts": 4,
        "settled_sats": sats,
        "settled_fees_msat": 0,
        "source_paid": 4,
        "source_paid_msat": sats * 1000,
        "source_listed": 4,
        "source_listed_msat": sats * 1000,
        "receiver_wallets": 2,
        "received": 4,
        "received_msat": sats * 1000,
        "received_listed": 4,
        "successful_cash_outs": 3,
        "booked_cash_outs": 2,
        "booked_sats": int(await value(three.db, "SELECT sum(total_sats) FROM distribution")),
        "known_to_lamassu": 2,
        "checks": CHECKS,
    }


async def test_nothing_at_all_agrees(three: Three) -> None:
    assert await three.differences() == []


async def test_small_pages_find_the_same(three: Three) -> None:
    paid = await three.pay(4)
    three.book.source = changed(paid[5].payment_hash, fee_msat=5)
    three.book.receivers = hidden(paid[6].payment_hash)
    whole = await three.reconcile()
    three.book.asked.clear()
    paged = await three.reconcile(page_rows=2)
    assert (paged.compared, paged.counts) == (whole.compared, whole.counts)
    assert paged.compared["settled_payouts"] == 8
    assert max(count for count, _ in three.book.asked) == 2
    of_source = [count for count, destination in three.book.asked if destination is None and count]
    assert of_source == [2, 2, 2, 2]


async def test_a_settled_payout_that_the_source_never_paid(three: Three) -> None:
    first, second = await three.pay()
    three.book.source = hidden(first.payment_hash)
    difference = await three.only(Kind.PAYMENT_MISSING)
    assert (difference.payout_id, difference.payment_hash) == (first.payout_id, first.payment_hash)
    assert difference.client_id == first.client_id
    assert difference.text == (
        f"payout {first.payout_id} of {first.amount_sats:,} sats to client {first.client_id} is settled, "
        "but the source wallet has no record of it"
    )
    three.book.source = changed(second.payment_hash, status=RecordStatus.FAILED)
    assert "a record that is failed" in (await three.only(Kind.PAYMENT_MISSING)).text


async def test_another_amount_or_fee(three: Three) -> None:
    first, second = await three.pay()
    three.book.source = changed(first.payment_hash, amount_msat=-1)
    assert (await three.only(Kind.PAYMENT_AMOUNT)).payout_id == first.payout_id
    three.book.source = changed(second.payment_hash, fee_msat=7)
    difference = await three.only(Kind.PAYMENT_AMOUNT)
    assert "+ 0 msat of fee" in difference.text and "+ 7 msat" in difference.text
    three.book.source = lambda record: record
    three.book.receivers = changed(first.payment_hash, amount_msat=1)
    assert "got 1 msat" in (await three.only(Kind.PAYMENT_AMOUNT)).text


async def test_paid_and_never_received(three: Three) -> None:
    first, _ = await three.pay()
    for status in (RecordStatus.FAILED, RecordStatus.PENDING):
        three.book.receivers = changed(first.payment_hash, status=status)
        difference = await three.only(Kind.PAYMENT_NOT_RECEIVED)
        assert difference.payout_id == first.payout_id and f"a record that is {status}" in difference.text
    three.book.receivers = hidden(first.payment_hash)
    assert "no record" in (await three.only(Kind.PAYMENT_NOT_RECEIVED)).text


async def test_a_payment_that_the_books_have_forgotten(three: Three) -> None:
    """As after restoring an old dump: the payout is not there, or not invoiced yet."""
    first, second = await three.pay()
    for table in ("payout_record", "payout_log"):
        await three.behind_the_books_back(
            f"DELETE FROM {table} WHERE payout_id = CAST(:id AS uuid)", id=first.payout_id
        )
    await three.behind_the_books_back("DELETE FROM payout WHERE id = CAST(:id AS uuid)", id=first.payout_id)
    await three.behind_the_books_back(
        """UPDATE payout SET state = 'reserved', payment_hash = NULL, settled_at = NULL
            WHERE id = CAST(:id AS uuid)""",
        id=second.payout_id,
    )
    found = [one for one in await three.differences() if one.kind is not Kind.BOOKS_BROKEN]
    assert [one.kind for one in found] == [Kind.PAYMENT_UNKNOWN] * 2
    assert {one.payout_id for one in found} == {first.payout_id, second.payout_id}
    assert {one.payment_hash for one in found} == {first.payment_hash, second.payment_hash}
    assert {one.client_id for one in found} == {1, 2}
    assert all("recover" in one.remedy for one in found)


async def invoice(three: Three, receiver: WalletKeys, payout_id: str, installation: str | None = None) -> Invoice:
    """An invoice as the payer would have it made."""
    destination = Destination(DestinationKind.LNBITS, invoice_key=receiver.inkey)
    return await three.wallet.create_invoice(
        destination,
        amount_sats=5,
        memo="",
        expiry_seconds=86_400,
        payout_id=payout_id,
        extra={"client": 1, "installation": installation or await books.installation(three.db)},
    )


async def test_a_payout_that_was_paid_twice(three: Three) -> None:
    first, _ = await three.pay()
    again = await invoice(three, three.world.receivers[0], first.payout_id)
    extra = {"client": 1, "installation": await books.installation(three.db)}
    await three.wallet.pay(again.bolt11, payout_id=first.payout_id, extra=extra)
    difference = await three.only(Kind.PAYMENT_TWICE)
    assert (difference.payout_id, difference.payment_hash) == (first.payout_id, again.payment_hash)


async def test_a_forgotten_payout_that_was_paid_twice(three: Three) -> None:
    forgotten = "5b0c1f0e-0b9d-4a39-9d7b-9f2f0a0f7d11"
    extra = {"client": 1, "installation": await books.installation(three.db)}
    for _ in range(2):
        made = await invoice(three, three.world.receivers[0], forgotten)
        await three.wallet.pay(made.bolt11, payout_id=forgotten, extra=extra)
    kinds = [one.kind for one in await three.differences() if one.payout_id == forgotten]
    assert kinds == [Kind.PAYMENT_UNKNOWN, Kind.PAYMENT_TWICE]


async def submitted_and_paid(three: Three) -> str:
    """A payout that LNbits has paid, while the books only know that it was submitted."""
    await three.cash_out()
    three.world.wallet.script("pay", WalletUnknownError("reset"), after=True)
    three.world.wallet.script("pay", WalletUnknownError("reset"), after=True)
    for _ in range(2):
        three.world.wallet.script("sent", WalletUnknownError("502"))
    await three.world.one_round()
    return (await payouts.list_all(three.db, client=1))[0].payout_id


async def test_paid_but_called_failed(three: Three) -> None:
    payout_id = await submitted_and_paid(three)
    async with three.db.transaction() as conn:
        payout = await store.load(conn, payout_id)
        await store.release(conn, payout, PayoutState.FAILED, reason="a fault of ours", actor="test")
    difference = await three.only(Kind.PAYMENT_RELEASED)
    assert difference.payout_id == payout_id
    assert "ended as failed" in difference.text


async def test_what_is_under_way_or_held_is_named_and_no_difference(three: Three) -> None:
    payout_id = await submitted_and_paid(three)
    await payouts.hold(three.db, payout_id, reason="look first", actor="test")
    found = await three.reconcile()
    assert found.agrees
    notes = {note.kind: note for note in found.notes}
    assert notes[NoteKind.HELD].examples == (payout_id,)
    assert notes[NoteKind.UNDER_WAY].count == 1


async def test_written_off_and_lost_agrees_but_not_if_it_arrived_after_all(three: Three) -> None:
    payout_id = await submitted_and_paid(three)
    await payouts.hold(three.db, payout_id, reason="torn", actor="test")
    view = await payout_resolution.resolve(
        three.db, payout_id, Resolution.WRITTEN_OFF, reason="LNbits lost it", actor="test"
    )
    three.book.receivers = changed(view.payment_hash, status=RecordStatus.FAILED)
    assert await three.differences() == []
    three.book.receivers = lambda record: record
    difference = await three.only(Kind.RECEIVED_WRITTEN_OFF)
    assert difference.payout_id == payout_id and "wrote off as lost" in difference.text


async def test_received_from_nobody_we_know(three: Three, lnbits: LnbitsAdmin) -> None:
    """Somebody else pays an invoice of ours, one that the books have dropped or one that ended."""
    other = lnbits.create_wallet("somebody")
    lnbits.top_up(other.id, 1_000_000)
    somebody = LnbitsWallet(LnbitsConfig(url=lnbits.url, admin_key=other.adminkey))
    await three.pay()
    made = await invoice(three, three.world.receivers[0], "5b0c1f0e-0b9d-4a39-9d7b-9f2f0a0f7d11")
    await somebody.pay(made.bolt11, payout_id="x", extra={})
    difference = await three.only(Kind.RECEIVED_UNKNOWN)
    assert (difference.payment_hash, difference.client_id) == (made.payment_hash, 1)

    await three.cash_out()
    for _ in range(2):
        three.world.wallet.script("pay", WalletUnreachableError("refused"))
    await three.world.one_round()
    ended = (await payouts.list_all(three.db, client=2))[0]
    assert ended.bolt11 is not None
    await payouts.hold(three.db, ended.payout_id, reason="x", actor="test")
    await payout_resolution.resolve(three.db, ended.payout_id, Resolution.VOID, reason="x", actor="test")
    await somebody.pay(ended.bolt11, payout_id="x", extra={})
    last = (await three.differences())[-1]
    assert (last.kind, last.payout_id) == (Kind.RECEIVED_UNKNOWN, ended.payout_id)
    assert "ended as void" in last.text
    await somebody.close()


async def test_what_a_person_called_settled_is_named_and_no_difference(three: Three) -> None:
    await three.cash_out()
    for _ in range(2):
        three.world.wallet.script("pay", WalletUnreachableError("refused"))
    await three.world.one_round()
    payout_id = (await payouts.list_all(three.db, client=1))[0].payout_id
    await payouts.hold(three.db, payout_id, reason="x", actor="test")
    await payout_resolution.resolve(three.db, payout_id, Resolution.SETTLED, reason="Ana has it", actor="test")
    found = await three.reconcile()
    assert found.agrees
    (note,) = [note for note in found.notes if note.kind is NoteKind.BY_HAND]
    assert set(note.examples) == {payout_id}


async def test_another_installations_payments_are_counted_only(three: Three) -> None:
    made = await invoice(three, three.world.receivers[0], "p-1", installation="another")
    await three.wallet.pay(made.bolt11, payout_id="p-1", extra={"installation": "another"})
    await three.pay()
    found = await three.reconcile()
    assert found.agrees
    assert [(note.kind, note.count) for note in found.notes] == [(NoteKind.OTHERS_PAYMENTS, 2)]
    assert found.compared["source_listed"] == 2


async def test_a_wallet_that_is_gone_can_not_be_seen(three: Three) -> None:
    await three.pay()
    three.world.lnbits.delete_wallet(three.world.receivers[1])
    found = await three.reconcile()
    assert found.agrees
    (note,) = found.notes
    assert note.kind is NoteKind.RECEIVER_UNSEEN
    assert note.count == 1 and note.examples[0].startswith("client 2: ")
    assert (found.compared["source_paid"], found.compared["received"]) == (2, 1)


async def test_a_key_that_can_not_be_decrypted_is_not_seen_either(three: Three) -> None:
    await three.pay()
    await three.behind_the_books_back("UPDATE destination SET invoice_key_encrypted = 'x' WHERE id = 1")
    found = await three.reconcile()
    assert found.agrees
    assert [note.examples[0][:9] for note in found.notes] == ["client 1:"]


async def test_only_what_happened_since_is_compared(three: Three) -> None:
    first, *_ = await three.pay()
    three.book.source = hidden(first.payment_hash)
    assert await three.differences(since=now() + timedelta(minutes=1)) == []
    found = await three.reconcile(since=now() + timedelta(minutes=1))
    assert found.compared["settled_payouts"] == found.compared["booked_cash_outs"] == 0
    await three.only(Kind.PAYMENT_MISSING, since=now() - timedelta(hours=1))


async def test_lnbits_away_is_told_and_the_rest_is_compared(three: Three) -> None:
    await three.pay()

    def away(_record: WalletRecord) -> None:
        raise WalletUnreachableError("LNbits can't be reached", remedy="is it running?")

    three.book.source = three.book.receivers = away
    found = await three.reconcile()
    assert not found.complete and not found.agrees and not found.counts
    assert found.not_compared == {
        "payments": "LNbits can't be reached (is it running?)",
        "receivers": "LNbits can't be reached (is it running?)",
    }
    assert (found.compared["booked_cash_outs"], found.compared["checks"]) == (1, CHECKS)


async def test_a_source_wallet_that_refuses_is_no_receiver_unseen(three: Three) -> None:
    await three.pay()

    def refuse(_record: WalletRecord) -> None:
        raise WalletRefusedError("LNbits is being upgraded", status=520)

    three.book.receivers = refuse
    found = await three.reconcile()
    assert found.not_compared == {"receivers": "LNbits is being upgraded"}
    assert not found.agrees and not found.notes
