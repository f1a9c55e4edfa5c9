"""Cash-outs entered by hand: once, whole, and in the place of what they settle."""

from __future__ import annotations

import asyncio
import dataclasses
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.demo.atm import SimulatedAtm
from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError, SourceError
from dca_daemon.domain.split import SplitMethod
from dca_daemon.lamassu.source import LamassuSource, SourceConfig
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.verify import verify
from dca_daemon.services import baseline, cash_outs, decisions, manual_cash_outs
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.manual_cash_outs import Entry
from tests.fixtures.postgres import LamassuDb
from tests.services.builders import client, success, value
from tests.services.test_cash_outs import FINGERPRINT

AT = datetime(2026, 11, 2, 20, 5, tzinfo=UTC)


class Lamassu:
    """A source of these rows; None: it is away."""

    def __init__(self, *rows: SourceRow | None) -> None:
        self.rows = rows

    async def fetch(self, ids: Sequence[str]) -> list[SourceRow]:
        if None in self.rows:
            raise SourceError("Lamassu's database can't be reached")
        return [row for row in self.rows if row is not None and row.external_id in ids]


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "fiat": "2000",
        "sats": 256_000,
        "currency": "GTQ",
        "commission_percent": "5.5",
        "discount": 10,
        "machine": "Antigua",
        "at": AT,
        "reason": "paid at the counter",
        "reference": "ticket-17",
    }
    return Entry(**{**values, **changes})


def settling(settled: str, **changes: Any) -> Entry:
    """An entry that takes machine, time and commission from what it settles."""
    nothing = dict.fromkeys(("currency", "commission_percent", "discount", "machine", "at"))
    return entry(**{**nothing, "settles": settled, **changes})


async def enter(
    db: Database, one: Entry, *rows: SourceRow | None, rehearse: bool = False, **config: Any
) -> CashOutView:
    intake = Intake(db, IntakeConfig(**config))
    return await manual_cash_outs.enter(db, intake, one, source=Lamassu(*rows), actor="ana", rehearse=rehearse)


async def process(db: Database, *rows: SourceRow) -> None:
    await Intake(db, IntakeConfig()).process(rows)


async def state(db: Database, row: SourceRow) -> CashOutState:
    return (await cash_outs.show(db, row.external_id)).summary.state


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


@pytest.fixture
async def failed(books: Database) -> SourceRow:
    """Two clients, a machine, and a cash-out that failed."""
    await client(books, "20000")
    await client(books, "10000")
    row = success(dispense_confirmed=False, tx_version=4)
    await process(books, row)
    return row


@pytest.mark.parametrize("method", SplitMethod)
async def test_an_entry_is_shared_like_any_other(books: Database, failed: SourceRow, method: SplitMethod) -> None:
    before = await value(books, FINGERPRINT)
    seen = await enter(books, entry(), rehearse=True, split_method=method)
    assert await value(books, FINGERPRINT) == before
    view = await enter(books, entry(), split_method=method)
    assert view.split is not None and view.split == seen.split
    # c' = 5.5 % less 10 % of it = 4.95 %: 256,000 × 0.0495 = 12,672; 2000.00 − 99.00
    assert (view.split.commission_sats, view.split.charge_minor) == (12_672, 190_100)
    assert view.split.method == SplitMethod.RECORDED
    assert [s.sats for s in view.shares] == [162_219, 81_109]
    assert (view.summary.source, view.summary.external_id, view.summary.happened_at) == ("manual", "ticket-17", AT)
    assert (view.source_row["entered_by"], view.source_row["entry_reason"]) == ("ana", "paid at the counter")
    assert await value(books, "SELECT string_agg(DISTINCT type, ' ') FROM distribution_record") == "manual"
    assert await value(books, "SELECT actor FROM journal_entry ORDER BY id DESC LIMIT 1") == "ana"
    assert (
        await value(books, "SELECT reason FROM audit_log WHERE action = 'cash-out.add'") == "paid at the counter"
    )
    assert await state(books, failed) is CashOutState.FAILED
    await assert_books_hold(books)


async def test_what_is_settled_is_never_distributed_even_if_it_succeeds(
    books: Database, failed: SourceRow
) -> None:
    view = await enter(books, settling(failed.external_id))
    assert view.summary.happened_at == failed.dispensed_at
    assert view.split is not None and view.split.commission_sats == 14_080  # the failed row's own 5.5 %
    assert await state(books, failed) is CashOutState.SETTLED_BY_HAND
    now = success(external_id=failed.external_id)
    for _ in range(2):
        result = await Intake(books, IntakeConfig()).process([now])
        assert not result.distributed
    assert result.duplicates == [failed.external_id]
    shown = await cash_outs.show(books, failed.external_id)
    assert shown.summary.state is CashOutState.SETTLED_BY_HAND
    assert shown.summary.settled_by_id == view.summary.cash_out_id
    assert shown.source_row["dispense_confirmed"] is True
    with pytest.raises(ConflictError, match="is settled-by-hand already"):
        await decisions.distribute(books, Intake(books, IntakeConfig()), failed.external_id, reason="x", actor="x")
    with pytest.raises(ConflictError, match="is settled-by-hand already"):
        await decisions.ignore(books, failed.external_id, reason="x", actor="x")
    assert await value(books, "SELECT count(*) FROM distribution") == 1
    await assert_books_hold(books)


async def test_a_success_after_all_is_told_once(books: Database, failed: SourceRow) -> None:
    await enter(books, settling(failed.external_id))
    now = success(external_id=failed.external_id)
    first = await Intake(books, IntakeConfig()).process([now])
    assert [m.succeeded_after_all for m in first.changed] == [True]
    later = await Intake(books, IntakeConfig()).process([dataclasses.replace(now, tx_version=9)])
    assert [m.succeeded_after_all for m in later.changed] == [False]


async def test_a_reference_is_taken_once(books: Database, failed: SourceRow) -> None:
    await enter(books, entry())
    with pytest.raises(ConflictError, match="'TICKET-17' has been entered already, as cash-out"):
        await enter(books, entry(reference=" TICKET-17 "))
    assert await value(books, "SELECT count(*) FROM distribution") == 1


async def test_what_is_distributed_or_settled_cant_be_entered(books: Database, failed: SourceRow) -> None:
    done = success()
    await process(books, done)
    with pytest.raises(ConflictError, match="is distributed already"):
        await enter(books, settling(done.external_id))
    await enter(books, settling(failed.external_id))
    with pytest.raises(ConflictError, match="is settled-by-hand already"):
        await enter(books, settling(failed.external_id, reference="ticket-18"))
    assert await value(books, "SELECT count(*) FROM distribution") == 2
    await assert_books_hold(books)


async def test_one_that_only_lamassu_has_is_taken_in_as_settled(books: Database, failed: SourceRow) -> None:
    old = success(dispense_confirmed=False, error="Machine error", device_id="f" * 64, machine_name="Flores")
    view = await enter(books, settling(old.external_id), old)
    assert view.summary.machine_name == "Flores"
    assert await state(books, old) is CashOutState.SETTLED_BY_HAND
    await process(books, success(external_id=old.external_id, device_id="f" * 64))
    assert await state(books, old) is CashOutState.SETTLED_BY_HAND
    await assert_books_hold(books)


async def test_lamassu_itself_is_asked_and_can_turn_it_successful_in_vain(
    books: Database, lamassu_db: LamassuDb
) -> None:
    """A cash-out that failed before the baseline, which the books have never seen, in Lamassu's own tables."""
    await client(books, "20000")
    source = LamassuSource(SourceConfig(dsn=lamassu_db.reader_dsn))
    intake = Intake(books, IntakeConfig())
    with SimulatedAtm(lamassu_db.admin_dsn) as atm:
        external_id = atm.ask(Decimal(1000))
        atm.coins(external_id, "confirmed")
        atm.report(external_id, notes=3, error="jammed")
        begun = await baseline.ensure(books, source, actor="test")
        one = settling(external_id, fiat="1000", sats=120_000)
        view = await manual_cash_outs.enter(books, intake, one, source=source, actor="ana")
        assert begun.at > (await source.fetch([external_id]))[0].created
        assert view.summary.machine_name == "Mercado Central"
        atm.report(external_id)  # the machine was offline, and says only now that all came out
        rows = await source.fetch([external_id])
        assert rows[0].dispense_confirmed is True
        result = await intake.process(rows)
    await source.close()
    assert not result.distributed and result.changed[0].succeeded_after_all
    assert await value(books, "SELECT count(*) FROM distribution") == 1
    assert (await cash_outs.show(books, external_id)).summary.state is CashOutState.SETTLED_BY_HAND
    await assert_books_hold(books)


async def test_one_that_nobody_has_or_that_lamassu_cant_tell_of_is_refused(
    books: Database, failed: SourceRow
) -> None:
    unknown = success()
    with pytest.raises(SourceError, match=r"Lamassu can't be asked.*try again"):
        await enter(books, settling(unknown.external_id), None)
    with pytest.raises(NotFoundError, match="neither the books nor Lamassu"):
        await enter(books, settling(unknown.external_id))
    with pytest.raises(ConflictError, match="as successful: the daemon is about to distribute it"):
        await enter(books, settling(unknown.external_id), unknown)
    with pytest.raises(NotFoundError, match="there is no cash-out"):
        await enter(books, settling("nothing-such"), None)
    assert await value(books, "SELECT count(*) FROM cash_out") == 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"fiat": "0"}, "greater than zero"),
    ({"fiat": "12.345"}, "finer"),
    ({"fiat": "two"}, "not an amount"),
    ({"sats": 0}, "no amount of a cash-out"),
    ({"sats": -1}, "no amount of a cash-out"),
    ({"sats": 10**18}, "no amount of a cash-out"),
    ({"currency": "USD"}, "is in GTQ, not in USD"),
    ({"commission_percent": None}, "what was the commission"),
    ({"commission_percent": "101"}, "not a commission in percent"),
    ({"commission_percent": "-1"}, "not a commission in percent"),
    ({"commission_percent": "5,5"}, "not a commission in percent"),
    ({"discount": 101}, "discount 101"),
    ({"machine": None}, "at which machine"),
    ({"machine": "Nowhere"}, "there is no machine"),
    ({"at": None}, "when was it"),
    ({"at": datetime.now(UTC) + timedelta(days=1)}, "in the future"),
    ({"reason": " "}, "needs a reason"),
    ({"reference": " "}, "is no reference"),
    ({"reference": "x" * 65}, "is no reference"),
    ({"reference": "17"}, "our own number"),
    ({"reference": str(uuid.uuid4())}, "use --lamassu-id"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
async def test_what_cant_be_used_is_refused_and_changes_nothing(
    books: Database, failed: SourceRow, changes: dict[str, Any], words: str
) -> None:
    before = await value(books, FINGERPRINT)
    with pytest.raises(InputError, match=words):
        await enter(books, entry(settles=None, **changes))
    with pytest.raises(InputError):  # nor is what it would have settled
        await enter(books, entry(**{"settles": failed.external_id, "sats": 0, **changes}))
    assert await value(books, FINGERPRINT) == before


async def test_an_entry_at_another_machine_than_what_it_settles_is_refused(
    books: Database, failed: SourceRow
) -> None:
    await process(books, success(device_id="f" * 64, machine_name="Flores", dispense_confirmed=False))
    with pytest.raises(InputError, match="was at the machine Antigua"):
        await enter(books, settling(failed.external_id, machine="Flores"))


async def test_entries_for_the_same_at_once_count_once(books: Database, failed: SourceRow) -> None:
    """Two persons, with references of their own or the same, and a scan that has just seen it succeed."""
    now = success(external_id=failed.external_id)
    found = await asyncio.gather(
        enter(books, settling(failed.external_id)),
        enter(books, settling(failed.external_id)),
        enter(books, settling(failed.external_id, reference="ticket-18")),
        process(books, now),
        enter(books, entry()),
        return_exceptions=True,
    )
    assert all(isinstance(f, ConflictError) for f in found if isinstance(f, BaseException)), found
    of_this = "SELECT count(*) FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id WHERE "
    own = await value(books, of_this + "c.external_id = :id", id=failed.external_id)
    in_its_place = await value(books, of_this + "c.settles_id IS NOT NULL")
    assert own + in_its_place == 1
    assert await value(books, of_this + "c.external_id = 'ticket-17'") == 1
    await assert_books_hold(books)


async def test_amounts_as_typed_are_the_books_own(books: Database, failed: SourceRow) -> None:
    view = await enter(books, entry(fiat="1234.5", commission_percent="7.125", discount=None))
    assert view.source_row["fiat"] == Decimal("1234.50")
    assert view.source_row["commission_percentage"] == Decimal("0.07125")
