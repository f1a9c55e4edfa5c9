"""What is over is forgotten after its time, and nothing else: not what still counts, and nothing of the books."""

from __future__ import annotations

import pytest

from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.services import retention
from dca_daemon.services.retention import Keep
from tests.services.builders import client, sql

_OLD = "clock_timestamp() - make_interval(days => n)"
# Two rows of each kind: one whose time is over, and one a little younger.
_ROWS = {
    "console_session": (
        30,
        f"INSERT INTO console_session (token_hash, user_id, expires_at) SELECT n::text::bytea, 1, {_OLD}",
    ),
    "login_link": (
        30,
        f"INSERT INTO login_link (token_hash, user_id, expires_at) SELECT n::text::bytea, 1, {_OLD}",
    ),
    "login_failure": (1, f"INSERT INTO login_failure (at, name, address) SELECT {_OLD}, 'ana', '192.0.2.1'"),
    "intent": (
        1,
        f"""INSERT INTO intent (token_hash, actor, action, input_sealed, effect_hash, expires_at)
            SELECT n::text::bytea, 'user:ana', 'x', '', '', {_OLD}""",
    ),
    "idempotency_key": (
        7,
        f"""INSERT INTO idempotency_key (actor, key, request_hash, status, body_sealed, created_at)
            SELECT 'token:x', n, '', 200, '', {_OLD}""",
    ),
    "webhook_delivery": (
        30,
        f"""INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, ended_at)
            SELECT 1, n, 'k', '', 'delivered', {_OLD}""",
    ),
    "event": (90, f"INSERT INTO event (at, kind, subject, data) SELECT {_OLD}, 'old', '', '{{}}'"),
    "client_link": (
        365,
        f"""INSERT INTO client_link (client_id, token_hash, created_by, revoked_at)
            SELECT (SELECT min(id) FROM client), n::text::bytea, 'os:ana', {_OLD}""",
    ),
    "api_token": (
        365,
        f"""INSERT INTO api_token (name, token_hash, hint, scopes, client_id, created_by, revoked_at)
            SELECT n, n::text::bytea, '', '{{client}}', (SELECT min(id) FROM client), 'os:ana', {_OLD}""",
    ),
}


async def test_what_is_over_is_forgotten(books: Database) -> None:
    client_id = await client(books, "1000")
    await sql(books, "DELETE FROM event")
    await sql(books, "INSERT INTO console_user (name, role) VALUES ('ana', 'admin')")
    await sql(
        books,
        """INSERT INTO webhook (name, url, secret_encrypted, kinds, after_event_id, created_by)
           SELECT 'w', 'https://x.example', '', '{*}', last_value + 1, 'os:ana' FROM event_id_seq""",
    )
    for days, statement in _ROWS.values():
        await sql(books, f"{statement} FROM unnest(ARRAY[{days}, {days - 1}]) n")
    # One more old event, which the webhook has still to be sent.
    await sql(books, "INSERT INTO event (at, kind, subject, data) VALUES ('2020-01-01Z', 'late', '', '{}')")
    # A token that is no client's: its name stays an actor's.
    await sql(
        books,
        """INSERT INTO api_token (name, token_hash, hint, scopes, created_by, revoked_at)
           VALUES ('till', 'x', '', '{read}', 'os:ana', '2020-01-01Z')""",
    )
    # A former destination, which was never paid to.
    moved = (
        "INSERT INTO audit_log (at, actor, action, subject) VALUES (now(), 'os:a', 'client.set-destination', 'c')"
    )
    await sql(books, "INSERT INTO destination (kind, address) VALUES ('lightning-address', 'old@example.com')")
    async with books.transaction() as conn:
        books_before = await rows(conn, "SELECT * FROM posting ORDER BY 1, 2")
        audited = await scalar(conn, "SELECT count(*) FROM audit_log")

    assert await retention.forget(books, Keep(**dict.fromkeys(Keep.__dataclass_fields__, 4000))) == {
        "destinations": 1
    }
    gone = await retention.forget(books)
    assert gone == {name: 1 for name in retention.RULES if name != "destinations"}, (
        "one of each: what is younger stays, and what a webhook waits for"
    )
    assert await retention.forget(books) == {}
    async with books.transaction() as conn:
        for table in _ROWS:
            kept = 2 if table in ("event", "api_token") else 1
            assert await scalar(conn, f"SELECT count(*) FROM {table}") == kept, table
        assert await rows(conn, "SELECT * FROM posting ORDER BY 1, 2") == books_before
        assert await scalar(conn, "SELECT count(*) FROM audit_log") == audited
        await execute(conn, moved)
        await execute(conn, "INSERT INTO destination (kind, address) VALUES ('lnurl', 'x')")
    # Just after a change a payout may still be reserved for the old one; what is used stays anyway.
    assert await retention.forget(books) == {}
    async with books.transaction() as conn:
        used = "SELECT count(*) FROM destination WHERE id = (SELECT destination_id FROM client WHERE id = :id)"
        assert await scalar(conn, used, id=client_id) == 1


async def test_much_is_forgotten_in_portions(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await sql(
        books,
        """INSERT INTO login_failure (at, name, address)
           SELECT '2020-01-01', 'x', '' FROM generate_series(1, 25)""",
    )
    monkeypatch.setattr(retention, "AT_ONCE", 10)
    monkeypatch.setattr(retention, "PASS_MAX", 20)
    assert await retention.forget(books) == {"failed_logins": 20}
    assert await retention.forget(books) == {"failed_logins": 5}
