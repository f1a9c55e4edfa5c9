"""Fixed Mode through the runner: each slot once, whatever the clock, the rate and the process do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon import fault_points
from dca_daemon.domain.errors import DatabaseError
from dca_daemon.domain.fixed import Missed
from dca_daemon.ledger.db import Database, one, rows
from dca_daemon.ledger.verify import verify
from dca_daemon.runtime import fixed_runner
from dca_daemon.services import clients, fixed_schedules, fixed_slots
from dca_daemon.services.clients import Mode, Status
from dca_daemon.services.fixed_status import status
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.rates import RatesConfig
from tests.fixtures.postgres import TestDb
from tests.services.builders import client, sql, success, value
from tests.services.fixed_bench import Bench, at

Logged = Callable[[], list[dict[str, Any]]]


@pytest.fixture
async def bench(books: Database) -> Bench:
    """08:00 and 18:00 in Guatemala are 14:00 and 00:00 UTC."""
    bench = Bench(books, "2026-11-02T12:00")
    await bench.schedule("08:00", "18:00")
    return bench


async def test_each_slot_is_run_once_at_its_time(bench: Bench) -> None:
    ana, beto = await bench.buyer("250.01"), await bench.buyer("100", deposit="120")
    assert await bench.look("2026-11-02T13:59:59") == at("2026-11-02T14:00")
    assert await bench.runs() == [] and bench.feed.asked == 0
    assert await bench.look("2026-11-02T14:00:00.5") == at("2026-11-03T00:00")
    assert await bench.bought() == [(ana, 15_625, 12_500), (beto, 6_250, 5_000)]
    for _ in range(3):
        await bench.look("2026-11-02T14:00:20")
    assert bench.woken == 1
    await bench.look("2026-11-03T00:00:01")
    await bench.look("2026-11-03T14:00:01")
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 18:00", "done"), ("11-03 08:00", "done")]
    assert (await bench.bought())[2:] == [
        (ana, 15_626, 12_501),
        (beto, 6_250, 5_000),
        (ana, 15_625, 12_500),
        (beto, 2_500, 2_000),  # all that it has left
    ]
    assert [check for check in await verify(bench.db) if not check.holds] == []


async def test_what_it_books(bench: Bench) -> None:
    ana = await bench.buyer("250")
    await bench.look("2026-11-02T14:00:01")

    async def read(conn: AsyncConnection) -> None:
        entry = await one(conn, "SELECT * FROM journal_entry WHERE template = 'fixed-run'")
        assert (entry.idempotency_key, entry.actor) == ("fixed:1:2026-11-02:08:00", "daemon")
        lines = await rows(
            conn,
            "SELECT a.name, p.amount FROM posting p JOIN account a ON a.id = p.account_id WHERE entry_id = :id",
            id=entry.id,
        )
        assert {r.name: r.amount for r in lines} == {
            "house:fiat:1": -12_500,
            f"client:{ana}:fiat:1": 12_500,
            "house:sats": 15_625_000,
            f"client:{ana}:payable": -15_625_000,
        }
        d = await one(conn, "SELECT * FROM distribution")
        assert (d.kind, d.total_sats, d.principal_sats, d.commission_sats) == ("fixed", 15_625, 15_625, 0)
        assert (d.rate_fiat, d.rate_source, d.rate_at) == (800_000, "lnbits", bench.now)
        r = await one(conn, "SELECT type, state FROM distribution_record")
        assert (r.type, r.state) == ("fixed", "owed")

    await bench.db.run(read)


async def test_flow_clients_and_fixed_ones_do_not_touch_each_other(bench: Bench) -> None:
    flow, ana = await client(bench.db, "1000"), await bench.buyer("250")
    await bench.look("2026-11-02T14:00:01")
    assert [row[0] for row in await bench.bought()] == [ana]
    await Intake(bench.db, IntakeConfig()).process([success()])
    assert await value(bench.db, "SELECT count(*) FROM distribution_record WHERE type = 'flow'") == 1
    assert await value(bench.db, "SELECT client_id FROM distribution_record WHERE type = 'flow'") == flow


async def test_only_active_clients_in_fixed_mode_with_an_amount_and_a_balance_buy(bench: Bench) -> None:
    inactive, flow, poor, nothing = [await bench.buyer(amount) for amount in ("250", "250", "250", "0")]
    await clients.set_status(bench.db, str(inactive), Status.INACTIVE, actor="test")
    await clients.set_mode(bench.db, str(flow), Mode.FLOW, actor="test")
    await sql(bench.db, "UPDATE client SET mode = 'flow' WHERE id = :id", id=poor)
    await bench.buyer("250", deposit=None)
    await client(bench.db, "100", mode="fixed")  # without an amount
    assert nothing
    await bench.look("2026-11-02T14:00:01")
    assert await bench.runs() == [("11-02 08:00", "nothing")]
    assert bench.woken == 0 and await value(bench.db, "SELECT count(*) FROM distribution") == 0
    assert "nobody" in await value(bench.db, "SELECT reason FROM fixed_run")


async def test_a_change_in_the_middle_of_the_day_buys_no_more_than_the_day_has(bench: Bench) -> None:
    ana = await bench.buyer("250", deposit="10000")
    await bench.look("2026-11-02T14:00:01")
    await bench.schedule("09:00", "10:00")
    await bench.look("2026-11-02T15:00:01")
    await bench.look("2026-11-02T16:00:01")
    assert [minor for _, _, minor in await bench.bought()] == [12_500, 12_500]
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 09:00", "done"), ("11-02 10:00", "nothing")]
    await bench.schedule("11:00", zone="Asia/Tokyo")  # already tomorrow there
    await bench.look("2026-11-03T02:00:01")
    assert (await bench.bought())[2:] == [(ana, 31_250, 25_000)]


async def test_a_maximum_that_was_lowered_is_shared_among_the_slots(bench: Bench) -> None:
    ana, beto = await bench.buyer("2000"), await bench.buyer("2500", own_max="3000")
    await bench.schedule("08:00", "18:00", most="100")
    await bench.look("2026-11-02T14:00:01")
    await bench.look("2026-11-03T00:00:01")
    assert [(who, minor) for who, _, minor in await bench.bought()] == [(ana, 5_000), (beto, 125_000)] * 2


async def test_a_new_schedule_runs_nothing_of_before(books: Database) -> None:
    bench = Bench(books, "2026-11-02T14:30")
    await bench.buyer("250")
    await bench.schedule("08:00", "18:00")
    await bench.look("2026-11-02T14:30:01")
    assert await bench.runs() == []
    await bench.look("2026-11-03T00:00:01")
    assert await bench.runs() == [("11-02 18:00", "done")]


async def test_the_days_on_which_the_clocks_are_set(books: Database) -> None:
    bench = Bench(books, "2026-03-08T00:00")
    await bench.buyer("240")
    await bench.schedule("01:30", "02:30", "03:00", zone="America/New_York")
    bench.now = at("2026-03-08T05:00")
    while bench.now < at("2026-03-09T05:00"):
        await bench.look((bench.now + timedelta(minutes=30)).isoformat()[:16])
    assert await bench.runs() == [(f"03-08 {time}", "done") for time in ("01:30", "02:30", "03:00")]
    assert sum(minor for _, _, minor in await bench.bought()) == 24_000
    bench.restart()
    await bench.schedule("01:30", zone="America/New_York")
    bench.now = at("2026-11-01T00:00")
    await bench.look("2026-11-01T00:00")
    before = len(await bench.runs())
    while bench.now < at("2026-11-02T04:00"):
        await bench.look((bench.now + timedelta(minutes=30)).isoformat()[:16])
    assert (await bench.runs())[before:] == [("11-01 01:30", "done")]


# Missed slots


async def test_what_was_missed_is_caught_up_today_and_yesterday(bench: Bench) -> None:
    await bench.buyer("250")
    await bench.look("2026-11-02T14:00:01")
    bench.restart()
    await bench.look("2026-11-06T15:00")  # 09:00 there
    assert await bench.runs() == [
        ("11-02 08:00", "done"),
        *((f"11-{day} {time}", "skipped") for day, time in [("02", "18:00"), ("03", "08:00"), ("03", "18:00")]),
        *((f"11-04 {time}", "skipped") for time in ("08:00", "18:00")),
        ("11-05 08:00", "done"),
        ("11-05 18:00", "done"),
        ("11-06 08:00", "done"),
    ]
    assert {minor for _, _, minor in await bench.bought()} == {12_500}
    assert await value(bench.db, "SELECT DISTINCT reason FROM fixed_run WHERE state = 'skipped'") == (
        "nobody ran it in time"
    )


async def test_what_was_missed_is_skipped_after_a_quarter_of_an_hour(bench: Bench) -> None:
    await bench.buyer("250")
    await bench.schedule("08:00", "18:00", missed=Missed.SKIP)
    await bench.look("2026-11-02T14:14:59")
    bench.restart()
    await bench.look("2026-11-03T00:15")
    await bench.look("2026-11-03T14:00")
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 18:00", "skipped"), ("11-03 08:00", "done")]


async def test_a_year_without_a_daemon_is_told_in_one_line(bench: Bench, logged: Logged) -> None:
    await bench.buyer("250")
    await bench.look("2027-11-02T14:00:01")
    states = [state for _, state in await bench.runs()]
    assert states.count("skipped") == 2 * 364 and states.count("done") == 3
    lines = [line for line in logged() if line["event"] == "fixed.skipped"]
    assert len(lines) == 4 and lines[0]["first"].startswith("2026-11-0") and lines[0]["level"] == "warning"


async def test_a_schedule_that_was_stopped_runs_nothing_any_more(bench: Bench) -> None:
    await bench.buyer("250")
    await bench.look("2026-11-02T13:00")
    bench.now = at("2026-11-02T14:05")
    await fixed_schedules.stop(bench.db, actor="test", at=bench.now)
    assert await bench.look("2026-11-02T14:06") is None
    assert await bench.look("2026-11-03T14:06") is None
    assert await bench.runs() == [("11-02 08:00", "skipped")]
    assert await value(bench.db, "SELECT reason FROM fixed_run") == "the schedule was stopped"
    await fixed_schedules.change(bench.db, actor="test", at=bench.now)
    assert await bench.look("2026-11-03T14:07") == at("2026-11-04T00:00")
    assert len(await bench.runs()) == 1, "what lay in between was nobody's slot"


async def test_a_slot_missed_before_a_change_of_the_schedule_is_still_caught_up(bench: Bench) -> None:
    await bench.buyer("250")
    bench.now = at("2026-11-02T15:30")
    await bench.schedule("10:00")
    await bench.look("2026-11-02T16:00:01")
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 10:00", "done")]
    assert [minor for _, _, minor in await bench.bought()] == [12_500, 12_500]


async def test_a_clock_that_jumps_runs_nothing_twice(bench: Bench) -> None:
    await bench.buyer("250")
    for text in (
        "2026-11-02T14:00",
        "2026-11-02T13:00",
        "2026-11-02T14:01",
        "2026-11-03T00:01",
        "2026-11-02T14:01",
    ):
        await bench.look(text)
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 18:00", "done")]


# Rates


async def test_without_a_rate_nothing_is_run_and_it_is_tried_again(bench: Bench, logged: Logged) -> None:
    await bench.buyer("250")
    bench.feed.price = None
    await bench.look("2026-11-02T14:00")
    bench.seconds -= 1
    await bench.look("2026-11-02T14:00:30")
    assert bench.feed.asked == 1, "not sooner than retry_seconds"
    for minute in range(1, 10):
        await bench.look(f"2026-11-02T14:0{minute}")
    assert await bench.runs() == []
    (line,) = [line for line in logged() if line["event"] == "fixed.no-rate"]
    assert line["level"] == "error" and line["slot"] == "2026-11-02 08:00" and "LNbits knows no" in line["error"]
    found = await status(bench.db, bench.now)
    assert found is not None and found.waiting == 1
    bench.feed.price = Decimal(400_000)
    await bench.look("2026-11-02T20:00")
    assert await bench.runs() == [("11-02 08:00", "done")]
    assert [sats for _, sats, _ in await bench.bought()] == [31_250]


@pytest.mark.parametrize(
    ("missed", "last", "over"),
    [
        (Missed.CATCH_UP, "2026-11-04T05:59", "2026-11-04T06:00"),  # the end of the date after, there
        (Missed.SKIP, "2026-11-02T14:14:59", "2026-11-02T14:15"),
    ],
)
async def test_a_slot_that_never_gets_a_rate_is_skipped_with_the_reason(
    bench: Bench, missed: Missed, last: str, over: str
) -> None:
    await bench.buyer("250")
    await bench.schedule("08:00", missed=missed)
    bench.feed.price = None
    for text in ("2026-11-02T14:00", last):
        await bench.look(text)
        assert ("11-02 08:00", "skipped") not in await bench.runs()
    await bench.look(over)
    assert (await bench.runs())[0] == ("11-02 08:00", "skipped")
    reason = await value(bench.db, "SELECT reason FROM fixed_run ORDER BY id LIMIT 1")
    assert "no fresh rate for GTQ: LNbits knows no rate" in reason


async def test_a_rate_that_has_become_old_by_the_time_of_booking_is_not_used(bench: Bench) -> None:
    await bench.buyer("250")
    fiat_per_btc = bench.feed.fiat_per_btc

    async def slow(currency: str) -> Decimal:
        price = await fiat_per_btc(currency)
        bench.now += timedelta(seconds=301)
        return price

    bench.feed.fiat_per_btc = slow  # type: ignore[method-assign]
    await bench.look("2026-11-02T14:00")
    assert await bench.runs() == []
    bench.feed.fiat_per_btc = fiat_per_btc  # type: ignore[method-assign]
    await bench.look("2026-11-02T14:06")
    assert await bench.runs() == [("11-02 08:00", "done")]


async def test_an_absurd_rate_buys_nothing(books: Database) -> None:
    bench = Bench(books, "2026-11-02T12:00", RatesConfig())
    await bench.schedule("08:00")
    await bench.buyer("2000", deposit="99999999", own_max="9999999")
    bench.feed.price = Decimal(1)
    await bench.look("2026-11-02T14:00")
    assert await bench.runs() == []


# Faults


async def test_errors_around_the_commit_run_it_once(bench: Bench) -> None:
    await bench.buyer("250")
    errors: list[Exception] = []

    async def raising(point: str) -> None:
        if point.startswith("fixed.run.") and errors:
            raise errors.pop(0)

    fault_points.install(raising)
    try:
        errors = [RuntimeError("before"), DatabaseError("before")]
        points = []

        async def before_only(point: str) -> None:
            points.append(point)
            if point == "fixed.run.before-commit":
                await raising(point)

        fault_points.install(before_only)
        await bench.look("2026-11-02T14:00")
        await bench.look("2026-11-02T14:01")
        assert await bench.runs() == [] and bench.woken == 0
        await bench.look("2026-11-02T14:02")
        assert await bench.runs() == [("11-02 08:00", "done")]
        assert points[-2:] == ["fixed.run.before-commit", "fixed.run.after-commit"]

        async def after_only(point: str) -> None:
            if point == "fixed.run.after-commit":
                raise RuntimeError("after")

        fault_points.install(after_only)
        await bench.look("2026-11-03T00:00")
    finally:
        fault_points.install(None)
    for text in ("2026-11-03T00:01", "2026-11-03T00:02"):
        await bench.look(text)
    assert await bench.runs() == [("11-02 08:00", "done"), ("11-02 18:00", "done")]
    assert [minor for _, _, minor in await bench.bought()] == [12_500, 12_500]


async def test_several_daemons_at_the_same_time_run_it_once(
    bench: Bench, books_db: TestDb, logged: Logged
) -> None:
    await bench.buyer("250")
    others = [Bench(Database(books_db.sqlalchemy_url), "2026-11-02T12:00") for _ in range(3)]
    await asyncio.gather(*(one.look("2026-11-02T14:00") for one in (bench, *others)))
    assert await bench.runs() == [("11-02 08:00", "done")]
    assert len(await bench.bought()) == 1
    assert [line for line in logged() if line["event"] == "fixed.failed"] == [], "no collision, but a quiet second"
    for other in others:
        await other.db.close()


async def test_a_fault_of_one_pool_leaves_the_others_alone(bench: Bench, logged: Logged) -> None:
    await bench.buyer("250")
    await sql(bench.db, "INSERT INTO pool (id, name, currency) VALUES (2, 'north', 'GTQ')")
    await sql(
        bench.db,
        """INSERT INTO fixed_schedule (pool_id, zone, times, missed, default_max_minor, created_at, actor)
           VALUES (2, 'Mars/Olympus', '{08:00}', 'skip', 0, '2026-11-01', 'test')""",
    )
    await bench.look("2026-11-02T14:00")
    await bench.look("2026-11-02T14:01")
    assert await bench.runs() == [("11-02 08:00", "done")]
    (line,) = [line for line in logged() if line["event"] == "fixed.failed"]
    assert (line["pool_id"], line["level"]) == (2, "warning") and "Mars/Olympus" in line["error"]
    found = await status(bench.db, bench.now)
    assert found is not None and found.error is not None and found.next_due_at == at("2026-11-03T00:00")


async def test_no_fault_ends_it(bench: Bench, logged: Logged, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.buyer("250")
    monkeypatch.setattr(fixed_runner, "LOOK_SECONDS", 0)
    monkeypatch.setattr(fixed_runner, "SOONEST_SECONDS", 0)
    looks = 0

    async def failing(conn: AsyncConnection) -> list[int]:
        nonlocal looks
        looks += 1
        raise RuntimeError("a fault of ours")

    with monkeypatch.context() as patched:
        patched.setattr(fixed_slots, "pool_ids", failing)
        bench.now = at("2026-11-02T14:00")
        running = asyncio.create_task(bench.runner.run())
        async with asyncio.timeout(60):
            while looks < 3:  # noqa: ASYNC110 - it has nothing to tell us by
                await asyncio.sleep(0)
    async with asyncio.timeout(60):
        while not await bench.runs():  # noqa: ASYNC110 - likewise
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    (line,) = [line for line in logged() if line["event"] == "fixed.failed"]
    assert line["error"] == "a fault of ours" and "exception" in line
