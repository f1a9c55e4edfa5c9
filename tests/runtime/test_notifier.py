"""From a line of the log to a message that somebody gets, over real HTTP; the time is the tests' own."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog

from dca_daemon.domain.alerts import Severity
from dca_daemon.domain.errors import ConfigError, DatabaseError
from dca_daemon.ledger.db import Database
from dca_daemon.runtime import notifier as module
from dca_daemon.runtime import outbox
from dca_daemon.runtime.alert_desk import AlertDesk
from dca_daemon.runtime.logging import configure_logging, listen_with
from dca_daemon.runtime.notifier import Notifier
from dca_daemon.runtime.notify_targets import open_targets
from dca_daemon.services import alert_state
from dca_daemon.services.alert_state import KeptAlert
from tests.runtime.receiver import Receiver, receiver

Logged = Callable[[], list[dict[str, Any]]]
HOUR = 3600.0


@pytest.fixture
def somebody() -> Iterator[Receiver]:
    with receiver() as started:
        yield started


class Life:
    """A notifier that hears the log, with a clock that moves only when it is told to."""

    def __init__(self, urls: Sequence[str]) -> None:
        self.now = 1000.0
        self.kept: dict[tuple[str, str], KeptAlert] = {}
        self.away: DatabaseError | None = None
        self.attempts: list[bool] = []
        self.stop = asyncio.Event()
        self.notifier = Notifier(
            open_targets(urls),
            AlertDesk(least=Severity.WARN, group_seconds=60, repeat_seconds=24 * HOUR),
            name="test",
            load=self._load,
            save=self._save,
            on_sent=self.attempts.append,
            clock=lambda: self.now,
        )

    async def _load(self) -> list[KeptAlert]:
        if self.away:
            raise self.away
        return [*self.kept.values()]

    async def _save(self, alerts: Sequence[KeptAlert]) -> None:
        if self.away:
            raise self.away
        self.kept.update({(alert.event, alert.subject): alert for alert in alerts})

    async def pass_by(self, seconds: float) -> None:
        """Time goes by, in steps of ten seconds."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 10)
            self.notifier._woken.set()
            for _ in range(10):  # what it takes the notifier to look
                await asyncio.sleep(0)


@asynccontextmanager
async def living(life: Life) -> AsyncIterator[Life]:
    listen_with(life.notifier.hear)
    running = asyncio.create_task(life.notifier.run(life.stop))
    try:
        await asyncio.sleep(0.01)
        yield life
    finally:
        life.stop.set()
        await running


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - another thread makes it true
            await asyncio.sleep(0.005)


async def test_an_outage_of_an_hour_is_exactly_two_messages(somebody: Receiver, logged: Logged) -> None:
    async with living(Life([somebody.url])) as life:
        log = structlog.get_logger()
        log.error("lnbits.lost", error="no route to secret.example.com", client="Ana")
        for _ in range(60):
            log.info("payout.postponed", seconds=60)
            await life.pass_by(60)
        await until(lambda: len(somebody.messages) == 1)
        log.info("lnbits.back")
        await life.pass_by(30)
        assert len(somebody.messages) == 1
        await life.pass_by(HOUR)
        await until(lambda: len(somebody.messages) == 2)
        await life.pass_by(HOUR)
        await until(lambda: life.attempts == [True, True])
    lost, back = somebody.messages
    assert (lost["title"], lost["type"]) == ("test: lnbits.lost", "failure")
    assert lost["message"].startswith("PAGE lnbits.lost, for 1 min\n")
    assert (back["title"], back["type"]) == ("test: lnbits.lost is over", "success")
    assert back["message"] == "OVER lnbits.lost, after 1 h 0 min"
    assert not {"secret.example.com", "Ana"} & set(json.dumps(somebody.messages).replace('"', " ").split())


async def test_a_receiver_that_is_away_gets_it_later_and_money_goes_on(
    somebody: Receiver, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "_BACKOFF_FIRST_SECONDS", 0.0)
    somebody.refusing = True
    async with living(Life([somebody.url])) as life:
        structlog.get_logger().error("wallet.short", missing_sats=5000)
        await life.pass_by(70)
        await until(lambda: somebody.tries >= 3)
        life.now += HOUR
        tries = somebody.tries
        await until(lambda: somebody.tries >= tries + 2)  # the later one was begun after that hour
        somebody.refusing = False
        await until(lambda: somebody.messages)
        assert "missing_sats 5,000" in somebody.messages[0]["message"]
        assert "This message is 1 h 0 min late" in somebody.messages[0]["message"]
        await until(lambda: life.kept)
    told = [(line["event"], line["level"]) for line in logged()]
    assert told == [("wallet.short", "error"), ("notify.failed", "warning"), ("notify.recovered", "info")]
    failed = logged()[1]
    assert (failed["target"], "503" in failed["error"]) == ("json 1", True)
    assert "Pa55word" not in json.dumps(logged())


async def test_a_new_process_does_not_tell_again_what_is_known(somebody: Receiver, logged: Logged) -> None:
    first = Life([somebody.url])
    async with living(first):
        structlog.get_logger().error("lnbits.lost")
        await first.pass_by(70)
        await until(lambda: first.kept)
    second = Life([somebody.url])
    second.kept, second.away = first.kept, DatabaseError("not yet")
    async with living(second):
        structlog.get_logger().error("lnbits.lost")
        await second.pass_by(30)
        second.away = None
        structlog.get_logger().info("daemon.active")
        await second.pass_by(HOUR)
        structlog.get_logger().info("lnbits.back")
        await second.pass_by(70)
        await until(lambda: len(somebody.messages) == 2)
    assert [told["title"] for told in somebody.messages] == ["test: lnbits.lost", "test: lnbits.lost is over"]


async def test_the_last_word_of_a_process_is_said_at_once(somebody: Receiver, logged: Logged) -> None:
    kept: dict[tuple[str, str], KeptAlert] = {}
    for _ in range(2):
        life = Life([somebody.url])
        life.kept = kept
        async with living(life):
            structlog.get_logger().info("daemon.active")
            structlog.get_logger().error("service.crashed", service="payer", exc_info=ValueError("Ana"))
        await life.notifier.finish(failed=True)
    (told,) = somebody.messages
    assert told["title"] == "test: service.crashed" and "service payer" in told["message"]
    assert "Ana" not in told["message"] and len(kept) == 1


async def test_hearing_never_blocks_and_what_is_too_much_is_counted(
    somebody: Receiver, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_HEARD_AT_MOST", 5)
    async with living(Life([somebody.url])) as life:
        for number in range(9):
            structlog.get_logger().warning("payout.failed", client_id=number)
        await life.pass_by(70)
        await until(lambda: somebody.messages)
    assert "payout.failed, 5 times" in somebody.messages[0]["message"]
    dropped = [line["dropped"] for line in logged() if line["event"] == "notify.dropped"]
    assert sum(dropped) == 4


async def test_all_clears_are_heard_where_only_errors_are_shown(somebody: Receiver) -> None:
    stream = io.StringIO()
    configure_logging(level="error", format="json", stream=stream)
    async with living(Life([])) as life:
        problems = life.notifier.desk.open_problems
        structlog.get_logger().warning("listener.lost")
        await until(lambda: problems()["listener.lost"] == 1)
        structlog.get_logger().info("listener.recovered")
        await until(lambda: problems()["listener.lost"] == 0)
    assert stream.getvalue() == ""


async def test_no_fault_of_it_disturbs_anything(
    somebody: Receiver, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FAULT_SECONDS", 0.0)
    async with living(Life([somebody.url])) as life:
        with monkeypatch.context() as broken:
            broken.setattr(life.notifier.desk, "note", lambda *_: 1 / 0)
            structlog.get_logger().error("lnbits.lost")
            await life.pass_by(30)
        structlog.get_logger().error("wallet.short")
        await life.pass_by(70)
        await until(lambda: somebody.messages)
    assert [line["event"] for line in logged()] == ["lnbits.lost", "notify.error", "wallet.short"]
    listen_with(lambda line: 1 / 0)  # type: ignore[arg-type]
    structlog.get_logger().error("payout.held")
    assert logged()[-1]["event"] == "payout.held"


async def test_what_was_told_is_kept_in_the_books(books: Database, somebody: Receiver) -> None:
    life = Life([somebody.url])
    life.notifier._load = lambda: alert_state.load(books)
    life.notifier._save = lambda alerts: alert_state.save(books, alerts)
    configure_logging(level="info", format="json", stream=io.StringIO())
    async with living(life):
        structlog.get_logger().error("lnbits.lost")
        structlog.get_logger().error("fixed.no-rate", pool_id=3)
        await life.pass_by(70)
        await until(lambda: somebody.messages)
        structlog.get_logger().info("lnbits.back")
        await life.pass_by(10)
    await life.notifier.finish(failed=False)
    kept = {alert.event: alert for alert in await alert_state.load(books)}
    assert {event: alert.subject for event, alert in kept.items()} == {"lnbits.lost": "", "fixed.no-rate": "3"}
    assert kept["lnbits.lost"].calm_at is not None and kept["fixed.no-rate"].calm_at is None
    assert 60 <= (kept["lnbits.lost"].calm_at - kept["lnbits.lost"].since).total_seconds() <= 100
    await alert_state.save(books, [kept["lnbits.lost"]])
    assert len(await alert_state.load(books)) == 2


def test_an_address_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as refused:
        open_targets(["json://127.0.0.1/", "jsno://user:hunter22@example.com"])
    assert "line 2" in str(refused.value) and "hunter22" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "mailtos://user:password@mail.example.com?to=me@example.com",
        "ntfys://ntfy.example.com/topic",
        "tgram://123456789:abcdefg_hijklmnop/12315544/",
        "nostr://nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5/",
    ],
)
def test_the_services_that_the_documents_name_are_there(url: str) -> None:
    (target,) = open_targets([url])
    assert target.name == f"{url.partition(':')[0]} 1"
