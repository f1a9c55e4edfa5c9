"""When somebody is told, and how often: by a clock of the tests' own."""

from __future__ import annotations

from typing import Any

import pytest

from dca_daemon.domain.alerts import CATALOGUE, Severity
from dca_daemon.runtime.alert_desk import NOTED, AlertDesk, Matter
from dca_daemon.runtime.alert_message import Message, duration, message

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
Event = tuple[float, str, dict[str, Any]]


class Days:
    """Runs a desk through what happens, second by second where it matters; the messages with their times."""

    def __init__(self, least: Severity = Severity.WARN) -> None:
        self.desk = AlertDesk(least=least, group_seconds=60, repeat_seconds=DAY)
        self.now = 0.0
        self.sent: list[tuple[float, Message]] = []

    def until(self, end: float) -> Days:
        while (due_at := self.desk.due_at()) is not None and due_at <= end:
            self.now = max(self.now, due_at)
            items = self.desk.collect(self.now)
            assert items, "what is due is told"
            self.sent.append((self.now, message(items, self.now, name="test")))
        self.now = end
        return self

    def note(self, at: float, event: str, **fields: Any) -> Days:
        self.until(at)
        self.desk.note(event, fields, at)
        return self

    @property
    def titles(self) -> list[str]:
        return [sent.title.removeprefix("test: ") for _, sent in self.sent]


def test_an_outage_of_an_hour_is_one_alert_and_one_all_clear() -> None:
    days = Days().note(0, "lnbits.lost", error="connection refused by 10.0.0.7").note(HOUR, "lnbits.back")
    days.until(30 * DAY)
    (lost_at, lost), (back_at, back) = days.sent
    assert (lost_at, back_at) == (MINUTE, HOUR + MINUTE)
    assert (lost.title, lost.tone) == ("test: lnbits.lost", "failure")
    assert lost.body.startswith("PAGE lnbits.lost, for 1 min\nLNbits can't be reached")
    assert (back.title, back.tone) == ("test: lnbits.lost is over", "success")
    assert back.body == "OVER lnbits.lost, after 1 h 0 min"
    assert "10.0.0.7" not in lost.body


def test_what_lasts_is_told_again_at_long_intervals_by_the_active_daemon_only() -> None:
    for role, number in (("daemon.active", 4), ("leader.standby", 1)):
        days = Days().note(0, role).note(0, "wallet.short", missing_sats=5000)
        days.until(3.5 * DAY)
        assert len(days.sent) == number
    assert "missing_sats 5,000" in days.sent[0][1].body


def test_what_is_over_within_the_window_is_nobody_s_business() -> None:
    days = Days().note(0, "lnbits.lost").note(59, "lnbits.back").until(DAY)
    assert days.sent == [] and days.desk.open_problems()["lnbits.lost"] == 0


@pytest.mark.parametrize(("bad", "good"), [(20, 20), (45, 90), (150, 150), (600, 900), (1800, 7200)])
def test_flapping_for_a_day_is_few_messages(bad: float, good: float) -> None:
    days, at = Days(), 0.0
    while at < DAY:
        days.note(at, "scanner.failed", work="scan").note(at + bad, "scanner.recovered", work="scan")
        at += bad + good
    days.until(at + 2 * HOUR)
    assert 2 <= len(days.sent) <= (10 if good < HOUR else 24)
    assert days.titles[-1] == "scanner.failed is over"


def test_after_a_quiet_time_it_is_told_at_once_again() -> None:
    days = Days()
    for start in (0.0, 3 * DAY):
        for at in range(0, 3600, 200):
            days.note(start + at, "lnbits.lost").note(start + at + 100, "lnbits.back")
    days.until(3 * DAY).note(5 * DAY, "lnbits.lost").note(5 * DAY + HOUR, "lnbits.back").until(6 * DAY)
    assert [at for at, _ in days.sent[-2:]] == [5 * DAY + MINUTE, 5 * DAY + HOUR + MINUTE]


def test_several_problems_within_the_window_are_one_message() -> None:
    days = Days().note(0, "listener.lost").note(20, "scanner.failed", work="scan").note(59, "lnbits.lost")
    days.note(59, "cash-out.review", external_id="abc", text="Ana, ana@example.com").until(DAY / 2)
    ((at, sent),) = days.sent
    assert (at, sent.tone) == (MINUTE, "failure")
    assert sent.title == "test: scanner.failed, lnbits.lost, listener.lost and 1 more"
    assert sent.body.count("What to do:") == 4 and "external_id abc" in sent.body and "Ana" not in sent.body


def test_each_matter_for_a_person_is_told_once_and_many_in_few_messages() -> None:
    days = Days()
    for number in range(600):
        days.note(number * 50, "payout.failed", client_id=number % 200, reason="bc1 secret")
    days.until(9 * HOUR)
    assert 5 <= len(days.sent) <= 14
    first, last = days.sent[0][1], days.sent[-1][1]
    assert first.body.startswith("WARN payout.failed, 2 times\n") and "client_id 0\nclient_id 1" in first.body
    assert "more" in last.body and len(last.body) < 600
    told = sum(int(s.body.split(" times")[0].rsplit(" ", 1)[1]) for _, s in days.sent if " times" in s.body)
    assert 190 <= told <= 600
    days.note(2 * DAY, "payout.failed", client_id=7).until(3 * DAY)
    assert days.sent[-1][0] == 2 * DAY + MINUTE


def test_only_what_is_urgent_enough_is_told() -> None:
    noted = [("cash-out.duplicate", "info"), ("listener.lost", "warn"), ("lnbits.lost", "page")]
    for least, number in ((Severity.INFO, 3), (Severity.WARN, 2), (Severity.PAGE, 1)):
        days = Days(least)
        for event, _ in noted:
            days.note(0, event)
        days.until(HOUR)
        assert len(days.sent) == 1 and days.sent[0][1].body.count("What to do") == number


def test_an_all_clear_is_for_its_own_subject() -> None:
    days = Days().note(0, "fixed.no-rate", pool_id=1).note(0, "fixed.no-rate", pool_id=2)
    assert days.desk.open_problems()["fixed.no-rate"] == 2
    days.note(HOUR, "fixed.run", pool_id=2).until(2 * HOUR)
    assert days.titles == ["fixed.no-rate", "fixed.no-rate is over"]
    assert days.sent[-1][1].body == "OVER fixed.no-rate, after 1 h 0 min (pool_id 2)"
    assert days.desk.open_problems()["fixed.no-rate"] == 1


def test_a_process_that_ends_by_a_fault_says_so_at_once_and_a_loop_of_crashes_once() -> None:
    kept: dict[tuple[str, str], Matter] = {}
    sent = []
    for start in range(0, 600, 10):
        days = Days()
        days.now = start
        days.desk.inherit([*kept.values()])
        days.note(start + 1, "daemon.active").note(start + 3, "service.crashed", service="payer")
        items = days.desk.collect_final(start + 3)
        sent += [*days.sent, *([(start + 3.0, message(items, start + 3, name="test"))] if items else [])]
        kept.update({(m.alert.event, m.subject): m for m in days.desk.to_keep()})
    assert [at for at, _ in sent] == [3.0]
    days = Days()
    days.now = 700.0
    days.desk.inherit([*kept.values()])
    days.note(701, "daemon.active").until(DAY)
    assert days.titles == ["service.crashed is over"]


def test_what_an_earlier_process_left_open() -> None:
    def left(event: str, told_at: float = -100) -> Matter:
        return Matter(CATALOGUE[event], "", -200, told_at=told_at)

    days = Days()
    days.desk.inherit([left("lnbits.lost"), left("wallet.short"), left("reconcile.differs")])
    days.note(0, "daemon.active").note(5, "wallet.short", missing_sats=1).until(DAY / 2)
    ((at, sent),) = days.sent
    assert (at, sent.body) == (900, "OVER lnbits.lost: not met again since the daemon was started anew")
    days.note(DAY / 2, "wallet.enough").until(DAY * 0.9)
    assert days.titles[1:] == ["wallet.short is over"]
    assert days.desk.open_problems()["reconcile.differs"] == 1


def test_what_is_known_already_is_not_told_again_when_the_books_answer_late() -> None:
    days = Days().note(0, "lnbits.lost")
    days.desk.inherit([Matter(CATALOGUE["lnbits.lost"], "", -500, told_at=-440)])
    days.note(1, "daemon.active").note(HOUR, "lnbits.back").until(DAY)
    assert days.titles == ["lnbits.lost is over"]


def test_thousands_of_subjects_do_not_fill_the_memory() -> None:
    days = Days()
    for number in range(5000):
        days.desk.note("payout.failed", {"client_id": number}, 0)
    days.desk.note("lnbits.lost", {}, 0)
    assert len(days.desk._matters) <= 2001 and days.desk.open_problems()["lnbits.lost"] == 1


def test_only_events_of_the_catalogue_are_noted() -> None:
    assert {"lnbits.lost", "lnbits.back", "daemon.active"} <= NOTED
    assert "cash-out.distributed" not in NOTED


def test_durations_in_words() -> None:
    assert [duration(s) for s in (0.4, 59, 60, 3599, 3600, 86_399, 90_000)] == [
        "0 s", "59 s", "1 min", "59 min", "1 h 0 min", "23 h 59 min", "1 d 1 h",
    ]  # fmt: skip
