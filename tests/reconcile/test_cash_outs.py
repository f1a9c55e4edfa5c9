"""The books against Lamassu, and the books by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from dca_daemon.demo import atm_scenarios
from dca_daemon.domain.errors import SourceError
from dca_daemon.lamassu import source as source_module
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.services import decisions
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.reconciliation import cash_outs
from dca_daemon.services.reconciliation.findings import DETAILS_MAX, Kind, NoteKind
from tests.reconcile.conftest import CHECKS, Two, now


async def test_a_success_that_is_not_booked(two: Two) -> None:
    external_id = atm_scenarios.run(two.atm, "on-chain")
    difference = await two.only(Kind.CASH_OUT_MISSING)
    assert difference.external_id == external_id
    assert "do not have it" in difference.text
    await two.book_it(external_id)
    assert await two.differences() == []


async def test_a_success_that_the_books_still_call_failed(two: Two) -> None:
    cash_out = atm_scenarios.begin(two.atm, "on-chain")
    cash_out.step()
    await two.book_it(cash_out.id)
    assert await two.differences() == []
    cash_out.run()
    difference = await two.only(Kind.CASH_OUT_MISSING)
    assert difference.external_id == cash_out.id and "have it as failed" in difference.text


async def test_what_is_booked_within_the_grace_is_no_difference(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    external_id = atm_scenarios.run(two.atm, "on-chain")
    waited: list[float] = []

    async def booked_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        await two.book_it(external_id)

    running = two.reconcile(grace_seconds=60)
    with monkeypatch.context() as patched:
        patched.setattr("dca_daemon.services.reconcile.asyncio.sleep", booked_meanwhile)
        found = await running
    assert found.agrees and len(waited) == 1 and 0 < waited[0] < 60


async def test_of_very_many_missing_ones_all_are_counted_and_some_shown(
    two: Two, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "_DIGEST_PAGE", 50)
    monkeypatch.setattr(cash_outs, "CANDIDATES_MAX", 60)
    two.atm.backlog(DETAILS_MAX + 30)
    found = await two.reconcile()
    assert found.counts == {Kind.CASH_OUT_MISSING: DETAILS_MAX + 30}
    assert len(found.differences) == DETAILS_MAX
    assert len({one.external_id for one in found.differences}) == DETAILS_MAX


async def test_booked_but_lamassu_does_not_have_it(two: Two) -> None:
    kept, lost = await two.cash_out(), await two.cash_out()
    two.admin.execute("DELETE FROM cash_out_txs WHERE id = %s", (lost,))
    difference = await two.only(Kind.CASH_OUT_UNKNOWN, page_rows=1)
    assert difference.external_id == lost != kept


async def test_booked_but_lamassu_says_something_else(two: Two) -> None:
    changes = {
        "fiat = 1900": "256200 sats for 2000 GTQ; Lamassu has 256200 sats for 1900 GTQ: its amounts have changed",
        "crypto_atoms = 100": "Lamassu has 100 sats for 2000 GTQ",
        "fiat_code = 'USD'": "for 2000 USD",
        "dispense_confirmed = false": "not all are known to have come out",
        "error = 'Operator cancel', error_code = 'operatorCancel'": "the operator cancelled it",
    }
    expected = {}
    for change, words in changes.items():
        external_id = await two.cash_out()
        two.admin.execute(f"UPDATE cash_out_txs SET {change} WHERE id = %s".encode(), (external_id,))
        expected[external_id] = words
    found = await two.differences()
    assert {one.kind for one in found} == {Kind.CASH_OUT_CHANGED}
    assert {one.external_id for one in found} == expected.keys()
    for one in found:
        assert expected[one.external_id or ""] in one.text


async def test_what_waits_for_a_person_is_named(two: Two) -> None:
    external_id = await two.cash_out("cancelled-after-notes")
    found = await two.reconcile()
    assert found.agrees
    assert [(n.kind, n.count, n.examples) for n in found.notes] == [(NoteKind.IN_REVIEW, 1, (external_id,))]


async def test_what_a_person_had_distributed_is_no_difference_every_night(two: Two) -> None:
    """It is in review because it was cancelled with the notes out: who decides so knows that."""
    external_id = await two.cash_out("cancelled-after-notes")
    intake = Intake(two.db, IntakeConfig())
    await decisions.distribute(two.db, intake, external_id, reason="seen on the camera", actor="test")
    assert (await two.reconcile()).agrees
    two.admin.execute("UPDATE cash_out_txs SET dispense_confirmed = false WHERE id = %s", (external_id,))
    assert (await two.only(Kind.CASH_OUT_CHANGED)).external_id == external_id


async def test_other_outcomes_are_no_successes(two: Two) -> None:
    for name in ("never-paid", "machine-died", "other-coin", "cancelled"):
        atm_scenarios.run(two.atm, name)
    assert await two.differences() == []


async def test_before_the_first_look_there_is_nothing_to_compare(two: Two) -> None:
    await two.behind_the_books_back("DELETE FROM baseline")
    atm_scenarios.run(two.atm, "on-chain")
    found = await two.reconcile()
    assert found.agrees
    assert [note.kind for note in found.notes] == [NoteKind.NO_BASELINE]


async def test_a_window_looks_at_nothing_older(two: Two) -> None:
    external_id = atm_scenarios.run(two.atm, "on-chain")
    two.admin.execute("UPDATE cash_out_txs SET created = now() - interval '9 days', confirmed_at = NULL")
    two.admin.execute("UPDATE cash_out_txs SET confirmed_at = created WHERE id = %s", (external_id,))
    assert await two.differences(since=now() - timedelta(days=5)) == []
    await two.only(Kind.CASH_OUT_MISSING, since=now() - timedelta(days=20))
    await two.only(Kind.CASH_OUT_MISSING)
    assert await two.differences(since=now() + timedelta(days=5)) == []


async def test_lamassu_away_is_told_and_the_rest_is_compared(two: Two) -> None:
    nowhere = LamassuSource(SourceConfig(dsn="postgresql://x@127.0.0.1:9/lamassu", connect_timeout_seconds=1))
    found = await replace(two, source=nowhere).reconcile()
    assert list(found.not_compared) == ["cash-outs"]
    assert not found.agrees and not found.counts
    assert found.compared["checks"] == CHECKS
    await nowhere.close()


async def test_a_source_error_half_way_keeps_what_was_found(two: Two, monkeypatch: pytest.MonkeyPatch) -> None:
    await two.cash_out()
    missing = atm_scenarios.run(two.atm, "on-chain")

    async def away(_ids: object) -> None:
        raise SourceError("Lamassu's database is away")

    monkeypatch.setattr(two.source, "look_up", away)
    found = await two.reconcile()
    assert found.not_compared == {"cash-outs": "Lamassu's database is away"}
    assert [one.external_id for one in found.differences] == [missing]


async def test_books_that_do_not_add_up_by_themselves(two: Two) -> None:
    await two.cash_out()
    await two.behind_the_books_back("UPDATE account SET balance = balance + 1 WHERE name = 'house:sats'")
    difference = await two.only(Kind.BOOKS_BROKEN)
    assert "house:sats" in difference.text and "every account's balance" in difference.text
