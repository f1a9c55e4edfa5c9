"""Commission: shared with each cash-out by the version in force, gathered, released, and never lost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dca_daemon.domain.commission import Pay
from dca_daemon.domain.errors import ConflictError, DcaError, InputError
from dca_daemon.ledger.db import Database, rows
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts import agenda
from dca_daemon.services import (
    cash_outs,
    clients,
    commission,
    commission_history,
    commission_overview,
    commission_release,
    deposits,
)
from dca_daemon.services.commission import Change, PayRule, Wish
from dca_daemon.services.commission_release import Released
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.status import status
from tests.services.builders import client, sql, success, value

AT_TIMES = PayRule(Pay.AT_TIMES, ("08:00", "18:30"), "America/Guatemala")
COMMISSION_SATS = 28_182  # of the worked row


async def share(db: Database, *shares: tuple[int, str], rule: PayRule | None = None, **more: Any) -> Change:
    """A new version, as `commission set` makes it."""
    wish = Wish(shares=tuple((str(c), percent) for c, percent in shares), rule=rule, **more)
    seen = await commission.preview(db, wish)
    return await commission.apply(db, wish, seen=seen.before, reason="test", actor="test")


async def cash_out(db: Database, **changes: Any) -> cash_outs.CashOutView:
    row = success(**changes)
    await Intake(db, IntakeConfig()).process([row])
    return await cash_outs.show(db, row.external_id)


async def states(db: Database, client_id: int) -> list[tuple[str, int, str]]:
    async with db.transaction() as conn:
        found = await rows(
            conn,
            "SELECT type, sats, state FROM distribution_record WHERE client_id = :id ORDER BY id",
            id=client_id,
        )
        return [(r.type, r.sats, r.state) for r in found]


async def due(db: Database, now: datetime) -> list[Released]:
    async def work(conn: Any) -> list[Released]:
        await commission_release.lock(conn)
        return await commission_release.release_due(conn, now, actor="daemon")

    return await db.run(work)


async def assert_books_hold(db: Database) -> None:
    assert [check for check in await verify(db) if not check.holds] == []


async def owed_to(db: Database) -> Sequence[int]:
    async with db.transaction() as conn:
        return await agenda.owed_clients(conn, 100)


async def test_receivers_get_their_shares_and_the_house_the_rest(books: Database) -> None:
    ana, wallet = await client(books, "20000"), await client(books, mode="commission")
    await share(books, (ana, "20"), (wallet, "12.5"))
    view = await cash_out(books)
    assert view.split is not None and view.split.commission_version_id == 1
    assert [(c.client_id, c.basis_points, c.sats, c.state) for c in view.commission] == [
        (ana, 2000, 5636, "owed"),
        (wallet, 1250, 3523, "owed"),
    ]
    assert view.split.house_sats == COMMISSION_SATS - 5636 - 3523
    assert view.split.clients_sats == 484_218
    assert await states(books, ana) == [("flow", 484_218, "owed"), ("commission", 5636, "owed")]
    assert await value(books, "SELECT balance FROM account WHERE name = 'client:1:payable'") == -489_854_000
    lines = "SELECT count(*) FROM posting p JOIN account a ON a.id = p.account_id WHERE a.name = :n"
    assert await value(books, lines, n="client:1:payable") == 1, "one line for both of its shares"
    await assert_books_hold(books)


async def test_who_is_inactive_gets_nothing_and_its_part_stays_with_the_house(books: Database) -> None:
    a, b, c = [await client(books, mode="commission") for _ in range(3)]
    await share(books, (a, "50"), (b, "30"), (c, "20"), inactive=(str(b),))
    await clients.set_status(books, str(c), clients.Status.INACTIVE, actor="test")
    view = await cash_out(books)
    assert [(p.client_id, p.sats) for p in view.commission] == [(a, 14_091)]
    assert view.split is not None and view.split.commission_shared_sats == 14_091
    await clients.set_status(books, str(c), clients.Status.ACTIVE, actor="test")
    change = await commission.preview(books, Wish(active=(str(b),)))
    assert change.after.shared_basis_points == 10_000
    await assert_books_hold(books)


async def test_each_record_keeps_the_version_that_it_was_shared_by(books: Database) -> None:
    wallet = await client(books, mode="commission")
    await share(books, (wallet, "10"))
    first = await cash_out(books)
    await share(books, (wallet, "100"))
    second = await cash_out(books)
    await share(books)
    third = await cash_out(books)
    views = [await cash_outs.show(books, v.summary.external_id) for v in (first, second, third)]
    found = [(v.split.commission_version_id, v.split.commission_shared_sats) for v in views if v.split]
    assert found == [(1, 2818), (2, COMMISSION_SATS), (3, 0)]
    assert [v.commission[0].basis_points for v in views[:2]] == [1000, 10_000]
    await assert_books_hold(books)


async def test_a_share_of_no_sats_is_recorded_and_not_paid(books: Database) -> None:
    wallet = await client(books, mode="commission")
    await share(books, (wallet, "10"), rule=AT_TIMES)
    view = await cash_out(books, discount=100)
    assert [(c.sats, c.state) for c in view.commission] == [(0, "nothing")]
    await assert_books_hold(books)


async def test_gathered_commission_is_not_paid_until_its_time_and_then_once(books: Database) -> None:
    ana, wallet = await client(books, "20000"), await client(books, mode="commission")
    await share(books, (wallet, "50"), rule=AT_TIMES)
    await cash_out(books)
    assert await states(books, wallet) == [("commission", 14_091, "gathered")]
    assert await owed_to(books) == [ana]
    stand = await status(books)
    assert (stand.gathered_sats, stand.owed_sats) == (14_091, 484_218)
    await assert_books_hold(books)
    now = datetime.now(UTC)
    assert await due(books, now) == [], "the last set time was before the version"
    released = await due(books, now + timedelta(days=1))
    assert [(r.records, r.sats) for r in released] == [(1, 14_091)]
    assert released[0].due_at is not None and released[0].due_at > now
    assert await owed_to(books) == [ana, wallet]
    await cash_out(books)
    assert await due(books, now + timedelta(days=1)) == [], "this time has been served"
    assert [r.sats for r in await due(books, now + timedelta(days=2))] == [14_091]
    assert await value(books, "SELECT count(*) FROM commission_release") == 2
    await assert_books_hold(books)


async def test_what_is_booked_after_a_set_time_waits_for_the_next(books: Database) -> None:
    wallet = await client(books, mode="commission")
    zone_free = PayRule(Pay.AT_TIMES, ("00:00",), "UTC")
    await share(books, (wallet, "50"), rule=zone_free)
    await cash_out(books)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    await sql(books, "ALTER TABLE commission_version DISABLE TRIGGER ALL")
    await sql(books, "UPDATE commission_version SET created_at = now() - interval '3 days'")
    assert await due(books, midnight + timedelta(seconds=1)) == []
    assert len(await due(books, midnight + timedelta(days=1))) == 1
    await cash_out(books)
    await sql(books, "UPDATE commission_version SET created_at = now() + interval '3 days'")
    assert await due(books, midnight + timedelta(days=2)) == [], "a version's times begin after it"
    assert len(await due(books, midnight + timedelta(days=5))) == 1


async def test_from_an_amount_on_each_receiver_is_released_alone(books: Database) -> None:
    big, small, gone = [await client(books, mode="commission") for _ in range(3)]
    rule = PayRule(Pay.FROM_AMOUNT, from_sats=20_000)
    await share(books, (big, "50"), (small, "1"), (gone, "1"), rule=rule)
    await cash_out(books)
    assert await commission_release.look(books) == []
    await cash_out(books)
    assert [(r.records, r.sats, r.due_at) for r in await commission_release.look(books)] == [(2, 28_182, None)]
    assert await owed_to(books) == [big]
    await share(books, (big, "50"), (small, "1"))
    assert sorted(await owed_to(books)) == [big, gone], "what can't reach the amount any more does not wait for it"
    assert await commission_release.look(books) == []
    await assert_books_hold(books)


async def test_paying_at_once_again_releases_what_is_gathered(books: Database) -> None:
    wallet = await client(books, mode="commission")
    await share(books, (wallet, "50"), rule=AT_TIMES)
    await cash_out(books)
    preview = await commission.preview(books, Wish(rule=PayRule()))
    assert preview.freed_sats == 14_091
    change = await commission.apply(
        books, Wish(rule=PayRule()), seen=preview.before, reason=None, actor="os:operator"
    )
    assert change.freed_sats == 14_091 and change.after.version_id == 2
    assert await states(books, wallet) == [("commission", 14_091, "owed")]
    age = "UPDATE distribution SET booked_at = now() - interval '9 days'"
    await sql(books, f"ALTER TABLE distribution DISABLE TRIGGER ALL; {age}")
    assert ((await status(books)).oldest_owed_seconds or 0) < 600, "it has waited since it was released"
    assert await value(books, "SELECT actor FROM commission_release") == "os:operator"
    # What was booked by the old version, and committed after the change, does not wait for ever.
    await sql(
        books,
        "ALTER TABLE distribution_record DISABLE TRIGGER distribution_record_protect;"
        "UPDATE distribution_record SET state = 'gathered';"
        "ALTER TABLE distribution_record ENABLE TRIGGER distribution_record_protect",
    )
    assert len(await commission_release.look(books)) == 1


async def test_somebody_releases_it_by_hand(books: Database) -> None:
    first, second = [await client(books, mode="commission") for _ in range(2)]
    await share(books, (first, "50"), (second, "10"), rule=AT_TIMES)
    await cash_out(books)
    found = await commission_release.release(books, [str(second)], actor="os:operator")
    assert [(g.client_id, g.sats) for g in found] == [(second, 2818)]
    assert await owed_to(books) == [second]
    await commission_release.release(books, actor="os:operator")
    with pytest.raises(InputError, match="nothing is gathered"):
        await commission_release.release(books, actor="os:operator")
    audited = "SELECT count(*) FROM audit_log WHERE action = 'commission.release' AND actor = 'os:operator'"
    assert await value(books, audited) == 2
    await assert_books_hold(books)


async def test_a_change_is_refused_whole_and_nothing_changes(books: Database) -> None:
    ana, wallet = await client(books, "100"), await client(books, mode="commission")
    name = await value(books, "SELECT name FROM client WHERE id = :id", id=ana)
    await share(books, (ana, "20"), (wallet, "30"))
    for wish, words in (
        (Wish(shares=((str(ana), "50"), (str(wallet), "50.01"))), "100.01 %"),
        (Wish(shares=((str(ana), "50"), (name, "10"))), "two shares"),
        (Wish(shares=(("Nobody", "50"),)), "no client or receiver 'Nobody'"),
        (Wish(shares=((str(ana), "0"),)), "more than 0 %"),
        (Wish(shares=((str(ana), "-5"),)), "not a percentage"),
        (Wish(inactive=("Nobody",)), "no client or receiver"),
        (Wish(shares=((str(ana), "5"),), inactive=(str(wallet),)), "has no share"),
        (Wish(active=(str(ana),), inactive=(str(ana),)), "named twice"),
        (Wish(shares=((str(ana), "20"), (str(wallet), "30"))), "shared already"),
    ):
        with pytest.raises(DcaError, match=words):
            await commission.preview(books, wish)
    for asked, words in (
        ({"times": ["25:00"], "zone": "UTC"}, "no time of the day"),
        ({"times": ["18:30"], "zone": "Mars/Phobos"}, "unknown time zone"),
        ({"times": ["18:30"]}, "zone"),
        ({"zone": "UTC"}, "zone"),
        ({"times": ["18:30", "18:30"], "zone": "UTC"}, "twice"),
        ({"from_sats": 0}, "amount to pay from"),
        ({"from_sats": 5, "at_once": True}, "once"),
    ):
        with pytest.raises(InputError, match=words):
            commission.pay_rule(**{"at_once": False, "times": (), "zone": None, "from_sats": None, **asked})  # type: ignore[arg-type]
    assert await value(books, "SELECT count(*) FROM commission_version") == 1
    assert await value(books, "SELECT count(*) FROM commission_share") == 2


async def test_two_people_do_not_overwrite_each_other(books: Database) -> None:
    wallet = await client(books, mode="commission")
    seen = await commission.preview(books, Wish(shares=((str(wallet), "5"),)))
    await share(books, (wallet, "10"))
    with pytest.raises(ConflictError, match="meanwhile"):
        await commission.apply(
            books, Wish(shares=((str(wallet), "5"),)), seen=seen.before, reason=None, actor="test"
        )
    assert await value(books, "SELECT max(id) FROM commission_version") == 1


async def test_a_receiver_is_no_client(books: Database) -> None:
    wallet = await client(books, mode="commission")
    assert await clients.list_all(books) == []
    assert (await clients.show(books, str(wallet))).mode is clients.Mode.COMMISSION
    with pytest.raises(InputError, match="no deposit"):
        await deposits.record(books, client=str(wallet), amount="5", currency=None, note=None, actor="test")
    with pytest.raises(InputError, match="no other mode"):
        await clients.set_mode(books, str(wallet), clients.Mode.FLOW, actor="test")
    with pytest.raises(InputError, match="no client becomes"):
        await clients.set_mode(books, str(wallet), clients.Mode.COMMISSION, actor="test")
    overview = await commission_overview.show(books)
    assert [(r.client_id, r.basis_points) for r in overview.receivers] == [(wallet, None)]


async def test_the_overview_and_the_history_tell_amounts(books: Database) -> None:
    ana, wallet = await client(books, "20000"), await client(books, mode="commission")
    await share(books, (ana, "20"), (wallet, "10"), rule=AT_TIMES)
    await cash_out(books, dispensed_at=datetime(2026, 11, 1, 3, tzinfo=UTC))
    await cash_out(books, dispensed_at=datetime(2026, 11, 1, 12, tzinfo=UTC))
    await commission_release.release(books, [str(wallet)], actor="test")
    overview = await commission_overview.show(books)
    assert [(r.gathered_sats, r.owed_sats) for r in overview.receivers] == [(2 * 5637, 0), (0, 2 * 2818)]
    assert overview.house_sats == 2 * (COMMISSION_SATS - 5637 - 2818) and overview.next_release_at is not None
    by_day = await commission_history.history(books, by=commission_history.Period.DAY, zone=UTC)
    assert [(a.period, a.client_id, a.records, a.sats) for a in by_day.amounts] == [
        ("2026-11-01", ana, 2, 2 * 5637),
        ("2026-11-01", wallet, 2, 2 * 2818),
    ]
    assert [v.version_id for v in by_day.versions] == [1]
    there = ZoneInfo("America/Guatemala")
    found = await commission_history.history(
        books, by=commission_history.Period.DAY, zone=there, receiver=str(ana)
    )
    assert [(a.period, a.sats) for a in found.amounts] == [("2026-11-01", 5637), ("2026-10-31", 5637)]
    since = datetime(2026, 11, 1, 3, 1, tzinfo=UTC)
    found = await commission_history.history(books, since=since, until=since + timedelta(days=9), zone=UTC)
    assert [(a.period, a.records) for a in found.amounts] == [("2026-11", 1), ("2026-11", 1)]
    assert (await commission_history.history(books, until=since - timedelta(days=9))).amounts == ()
