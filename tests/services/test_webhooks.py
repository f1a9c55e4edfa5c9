"""Webhooks: what may be added, that each event is sent once and signed, what becomes of what is not accepted."""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.ledger import lock_keys
from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import destinations, webhook_deliveries, webhook_http, webhooks
from dca_daemon.services.audit import audit
from dca_daemon.services.events import Feed
from dca_daemon.services.subscriptions import Subscriptions
from dca_daemon.services.webhook_deliveries import WAITS_SECONDS
from dca_daemon.services.webhook_http import WebhookHttpConfig, check_url, post
from dca_daemon.web.webhook_sender import WebhookSender
from tests.fixtures.receiver import CLOSES, DRIPS, SILENT, Receiver, receiving

LOCAL = WebhookHttpConfig(allow_private=True, timeout_seconds=2)
PUBLIC = WebhookHttpConfig()
ANA = "user:ana"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


async def happens(db: Database, *kinds: str) -> None:
    async with db.transaction() as conn:
        for n, kind in enumerate(kinds):
            await audit(conn, actor=ANA, action=kind, subject=f"client:{n}", reason="naïve ✓")


async def pass_time(db: Database) -> None:
    """What waits to be sent again is due now."""
    async with db.transaction() as conn:
        await execute(conn, "UPDATE webhook_delivery SET next_attempt_at = now() WHERE state = 'pending'")


async def added(
    db: Database, keys: KeyRing, url: str, *kinds: str, name: str = "shop"
) -> tuple[webhooks.WebhookView, str]:
    return await webhooks.add(db, keys, name=name, url=url, kinds=kinds or ("*",), config=LOCAL, actor=ANA)


def sender_of(db: Database, keys: KeyRing, config: WebhookHttpConfig = LOCAL) -> WebhookSender:
    feed = Feed(db)
    # Each look at the clock is an hour later: no receiver is left to rest.
    return WebhookSender(db, keys, feed, Subscriptions(feed), config, clock=iter(range(0, 10**9, 3600)).__next__)


async def test_what_may_be_added(books: Database, keys: KeyRing) -> None:
    async def refused(name: str, url: str, *kinds: str, config: WebhookHttpConfig = PUBLIC) -> str:
        with pytest.raises(InputError) as caught:
            await webhooks.add(books, keys, name=name, url=url, kinds=kinds, config=config, actor=ANA)
        return str(caught.value)

    public = "https://93.184.216.34/hook"
    assert "no name for a webhook" in await refused(" ", public, "*")
    assert "which kinds" in await refused("shop", public, " ")
    assert "'Payout' is no kind" in await refused("shop", public, "Payout")
    assert "not https" in await refused("shop", "http://93.184.216.34/hook", "*")
    for odd in ("ftp://93.184.216.34", "hook", "https://", "https://[::1", "", "https://a b/"):
        assert "is no URL" in await refused("shop", odd, "*"), odd
    assert "user or a password" in await refused("shop", "https://ana:secret@93.184.216.34/", "*")
    assert "port 0" in await refused("shop", "https://93.184.216.34:0/", "*")
    assert "longer than" in await refused("shop", public + "x" * 2000, "*")
    assert "no address for" in await refused("shop", "https://shop.invalid/", "*")
    for inside in ("127.0.0.1", "10.1.2.3", "[::1]", "169.254.169.254", "localhost", "[::ffff:192.168.0.1]"):
        assert "private network" in await refused("shop", f"https://{inside}/", "*"), inside
    assert await webhooks.list_all(books) == []

    view, secret = await webhooks.add(
        books,
        keys,
        name=" The  shop ",
        url=f"{public}?token=hush",
        kinds=["payout", "*"],
        config=PUBLIC,
        actor=ANA,
    )
    assert (view.name, view.url, view.kinds) == ("The shop", f"{public}?…", ("*",))
    assert secret.startswith("whsec_") and len(base64.b64decode(secret[6:])) == 32
    with pytest.raises(ConflictError, match="already"):
        await webhooks.add(books, keys, name="the SHOP", url=public, kinds=["*"], config=PUBLIC, actor=ANA)
    async with books.transaction() as conn:
        kept = json.dumps([[str(v) for v in r] for r in await rows(conn, "SELECT * FROM audit_log")])
        sealed = await scalar(conn, "SELECT secret_encrypted FROM webhook")
    assert "webhook.add" in kept and "hush" not in kept and secret not in kept
    assert secret.encode() not in bytes(sealed)

    new = KeyRing.generate()
    both = KeyRing(f"{new}\n{KeyRing.generate()}")
    with pytest.raises(Exception, match="none of the encryption keys"):
        await destinations.rotate_keys(books, both, actor=ANA)


async def test_each_event_is_sent_once_in_order_and_signed(
    books: Database, keys: KeyRing, receiver: Receiver
) -> None:
    await happens(books, "client.before")
    _, secret = await added(books, keys, f"{receiver.url}/hook?token=7", "client", "deposit.confirm")
    await added(books, keys, f"{receiver.url}/other", "payout", name="other")
    await happens(books, "client.add", "clients.odd", "deposit.confirm", "deposit.void", "client.rename")
    feed = Feed(books)
    planned = await asyncio.gather(*(webhook_deliveries.plan(books, feed) for _ in range(3)))
    assert sum(planned) == 3
    sender = sender_of(books, keys)
    await sender.send_due(asyncio.Event())
    await sender.send_due(asyncio.Event())
    assert [m.json["kind"] for m in receiver.messages] == ["client.add", "deposit.confirm", "client.rename"]
    first = receiver.messages[0]
    assert first.path == "/hook?token=7" and first.headers["content-type"] == "application/json"
    assert set(first.json) == {"id", "at", "kind", "subject", "data"}
    assert first.json["subject"] == "client:0" and first.json["data"] == {"actor": ANA, "reason": "naïve ✓"}
    assert abs(datetime.fromisoformat(first.json["at"]) - datetime.now(UTC)).total_seconds() < 60
    for message in receiver.messages:
        signed = f"{message.headers['webhook-id']}.{message.headers['webhook-timestamp']}.".encode() + message.body
        expected = base64.b64encode(hmac.digest(base64.b64decode(secret[6:]), signed, "sha256")).decode()
        assert message.headers["webhook-signature"] == f"v1,{expected}"
        assert message.headers["webhook-id"].startswith(f"evt_{message.json['id']}_")
    view = await webhooks.show(books, "SHOP")
    assert (view.pending, view.delivered, view.given_up) == (0, 3, 0) and view.last_delivered_at is not None
    log = await webhooks.deliveries(books, view.webhook_id, limit=2)
    assert [(d.kind, d.state, d.attempts, d.last_status) for d in log] == [
        ("client.rename", "delivered", 1, 204),
        ("deposit.confirm", "delivered", 1, 204),
    ]
    older = await webhooks.deliveries(books, view.webhook_id, before=log[-1].delivery_id)
    assert [d.kind for d in older] == ["client.add"]

    # Books that were set back give the same numbers out again: it goes on with what comes.
    async with books.transaction() as conn:
        await execute(conn, "UPDATE webhook SET after_event_id = after_event_id + 1000")
    assert await webhook_deliveries.plan(books, feed) == 0
    await happens(books, "client.later")
    assert await webhook_deliveries.plan(books, feed) == 1


async def test_what_is_not_accepted_is_sent_again(books: Database, keys: KeyRing, receiver: Receiver) -> None:
    view, _ = await added(books, keys, receiver.url, "client")
    await happens(books, "client.first", "client.second")
    sender = WebhookSender(
        books,
        keys,
        (feed := Feed(books)),
        Subscriptions(feed),
        WebhookHttpConfig(allow_private=True, timeout_seconds=1.5),
        clock=iter(range(0, 10**9, 3600)).__next__,
    )
    faults = ["500 " + "broken \x00" * 200, CLOSES, SILENT, "302 over there", DRIPS]
    receiver.answers = list(faults)

    async def first() -> webhooks.DeliveryView:
        return (await webhooks.deliveries(books, view.webhook_id))[-1]

    for n, (status, error) in enumerate(
        [(500, "broken"), (None, "Protocol"), (None, "no answer within 1.5"), (302, "over there")], 1
    ):
        await sender.send_due(asyncio.Event())
        seen = await first()
        assert (seen.state, seen.attempts, seen.last_status) == ("pending", n, status)
        assert error in str(seen.last_error) and len(str(seen.last_error)) <= 300
        assert seen.next_attempt_at is not None
        left = (seen.next_attempt_at - datetime.now(UTC)).total_seconds()
        assert 0.85 * WAITS_SECONDS[n - 1] < left < 1.15 * WAITS_SECONDS[n - 1]
        assert len(receiver.messages) == n  # it rests: the second event is not tried meanwhile
        async with books.transaction() as conn:
            await execute(
                conn,
                "UPDATE webhook_delivery SET next_attempt_at = now() WHERE id = :id",
                id=seen.delivery_id,
            )
    await sender.send_due(asyncio.Event())
    assert (await first()).state == "delivered"  # a body without an end changes nothing: the status was 200
    assert [m.json["kind"] for m in receiver.messages] == ["client.first"] * 5 + ["client.second"]
    assert len({m.headers["webhook-id"] for m in receiver.messages[:5]}) == 1


async def test_giving_up_and_ending(books: Database, keys: KeyRing, receiver: Receiver) -> None:
    view, _ = await added(books, keys, receiver.url, "client")
    sender = sender_of(books, keys)
    await happens(books, "client.good", "client.bad")
    receiver.answers = ["204", "500"]
    await sender.send_due(asyncio.Event())
    last = len(WAITS_SECONDS)

    async def near_the_end() -> None:
        async with books.transaction() as conn:
            await execute(
                conn,
                "UPDATE webhook_delivery SET attempts = :n, next_attempt_at = now() WHERE state = 'pending'",
                n=last,
            )

    # One that is not accepted, while others are, is given up alone.
    await near_the_end()
    receiver.answers = ["400 I can't read this"]
    await sender.send_due(asyncio.Event())
    bad = (await webhooks.deliveries(books, view.webhook_id, state="given-up"))[0]
    assert (bad.attempts, bad.last_status, bad.next_attempt_at) == (last + 1, 400, None)
    assert (await webhooks.show(books, "shop")).disabled_at is None

    # A person has it sent again.
    again = await webhooks.retry(books, bad.delivery_id, actor=ANA)
    assert (again.state, again.attempts) == ("pending", 0)
    await sender.send_due(asyncio.Event())
    assert (await webhooks.deliveries(books, view.webhook_id))[0].state == "delivered"
    with pytest.raises(ConflictError, match="was delivered already"):
        await webhooks.retry(books, bad.delivery_id, actor=ANA)
    with pytest.raises(NotFoundError):
        await webhooks.retry(books, 10**9, actor=ANA)

    # Where nothing was accepted for three days, all of it ends.
    async with books.transaction() as conn:
        await execute(conn, "UPDATE webhook_delivery SET ended_at = ended_at - interval '73 hours'")
    await happens(books, "client.one", "client.two")
    receiver.answers = ["500"]
    await sender.send_due(asyncio.Event())
    await near_the_end()
    receiver.answers = ["500"]
    await sender.send_due(asyncio.Event())
    ended = await webhooks.show(books, str(view.webhook_id))
    assert ended.disabled_reason == "nothing could be delivered for 3 days"
    assert (ended.pending, ended.given_up) == (0, 2)
    with pytest.raises(ConflictError, match="is disabled"):
        await webhooks.send_test(books, "shop", actor=ANA)

    # Who answers 410 is gone at once.
    await added(books, keys, receiver.url, "client")
    await happens(books, "client.three")
    receiver.answers = ["410"]
    await sender.send_due(asyncio.Event())
    gone = await webhooks.show(books, "shop")
    assert gone.disabled_reason == "it answered 410: nobody is there any more" and gone.given_up == 1
    async with books.transaction() as conn:
        told = await rows(
            conn, "SELECT actor, subject, reason FROM audit_log WHERE action = 'webhook.disable' ORDER BY id"
        )
    assert [(r.actor, r.reason) for r in told] == [
        ("console", "nothing could be delivered for 3 days"),
        ("console", "it answered 410: nobody is there any more"),
    ]


async def test_tests_and_disabling_by_hand(books: Database, keys: KeyRing, receiver: Receiver) -> None:
    view, _ = await added(books, keys, receiver.url, "payout")
    both, _ = await added(books, keys, receiver.url, "webhook.test", name="both")
    sender = sender_of(books, keys)
    await webhooks.send_test(books, "shop", actor=ANA)
    await webhooks.send_test(books, "both", actor=ANA)
    await sender.send_due(asyncio.Event())
    # One that asks for tests gets those of others too, and its own once.
    subjects = sorted(m.json["subject"] for m in receiver.messages)
    assert subjects == sorted([f"webhook:{view.webhook_id}"] * 2 + [f"webhook:{both.webhook_id}"])
    assert {m.json["kind"] for m in receiver.messages} == {"webhook.test"}
    receiver.answers = ["500", "500"]  # both, in whatever order
    await webhooks.send_test(books, "shop", actor=ANA)
    await sender.send_due(asyncio.Event())
    with pytest.raises(InputError, match="needs a reason"):
        await webhooks.disable(books, "shop", reason=" ", actor=ANA)
    ended = await webhooks.disable(books, "shop", reason="the shop has closed", actor=ANA)
    assert ended.disabled_reason == "the shop has closed" and ended.given_up == 1
    with pytest.raises(ConflictError, match="is disabled"):
        await webhooks.disable(books, "shop", reason="again", actor=ANA)
    with pytest.raises(NotFoundError):
        await webhooks.show(books, "nobody")
    assert [w.name for w in await webhooks.list_all(books)] == ["both", "shop"]
    assert [w.name for w in await webhooks.list_all(books, disabled=False)] == ["both"]


async def test_a_name_that_changes_its_mind_gains_nothing(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"], ["93.184.216.34", "10.0.0.7"]]

    async def resolve(host: str, port: int) -> list[Any]:
        assert host == "rebinding.example"
        return [ipaddress.ip_address(a) for a in answers.pop(0)]

    monkeypatch.setattr(webhook_http, "resolve", resolve)
    url = receiver.url.replace("http://127.0.0.1", "https://rebinding.example")
    assert await check_url(url, PUBLIC) == url
    for _ in range(2):
        answer = await post(url, b"{}", {}, PUBLIC)
        assert answer.status is None and "private network" in answer.text
    assert receiver.messages == []


async def test_one_process_sends_and_another_takes_over(
    books: Database, keys: KeyRing, receiver: Receiver
) -> None:
    view, _ = await added(books, keys, receiver.url, "client")
    feed = Feed(books)
    news = Subscriptions(feed)
    stop = asyncio.Event()
    await happens(books, "client.killed")
    await webhook_deliveries.plan(books, feed)
    taken = await webhook_deliveries.take(books, view.webhook_id)  # by a process that is killed now
    assert taken is not None and await webhook_deliveries.take(books, view.webhook_id) is None
    await happens(books, "client.next")
    sender = WebhookSender(books, keys, feed, news, LOCAL)
    async with books.session_lock(lock_keys.WEBHOOKS) as ours:
        assert ours
        running = [asyncio.ensure_future(sender.run(stop)), asyncio.ensure_future(news.run(stop))]
        async with books.session_lock(lock_keys.WEBHOOKS) as twice:
            assert not twice
        await asyncio.sleep(0.1)
        assert receiver.messages == []
    news.wake()
    await happens(books, "client.third")
    news.wake()
    assert [m.json["kind"] for m in await receiver.received(2)] == ["client.next", "client.third"]
    await pass_time(books)
    await happens(books, "client.fourth")
    news.wake()
    kinds = [m.json["kind"] for m in await receiver.received(4)]
    assert kinds[2:] == ["client.killed", "client.fourth"]
    stop.set()
    async with asyncio.timeout(5):
        await asyncio.gather(*running)
