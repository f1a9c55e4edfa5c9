"""Users, sessions, login links and tokens: who gets in, and who does not any more."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher

from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import api_tokens, login_limits, passwords, sessions, users
from dca_daemon.services.audit import list_all as audited
from dca_daemon.services.sessions import Limits, LoginRefusedError, Visitor

ROOT = "os:root"
HERE = Visitor("203.0.113.5", "a browser")
LIMITS = Limits(idle=timedelta(minutes=60), absolute=timedelta(hours=12))
KEYS = KeyRing(KeyRing.generate())
GOOD = "correct horse battery"

pytestmark = pytest.mark.usefixtures("cheap_passwords")


async def enter(db: Database, name: str, password: str = GOOD, visitor: Visitor = HERE) -> str:
    return await sessions.log_in(db, KEYS, name, password, visitor=visitor, limits=LIMITS)


async def whose(db: Database, token: str, **more: Any) -> str | None:
    found = await sessions.find(db, token, idle=LIMITS.idle, **more)
    return None if found is None else found.name


async def sql(db: Database, statement: str, **values: Any) -> None:
    async with db.transaction() as conn:
        await execute(conn, statement, **values)


async def test_people_and_the_last_admin(books: Database) -> None:
    assert not await users.has_admin(books)
    for name in ("", "a b", "-ana", "Ana\n", "é", "x" * 41):
        with pytest.raises(InputError) as wrong:
            await users.add(
                books, name=name if name != "Ana\n" else "an\na", role=Role.ADMIN, password=None, actor=ROOT
            )
        assert wrong.value.field == "name"
    for password in (
        "short",
        "x" * 129,
        "a" * 20,
        "operator-ana1",
        "operator-ana operator-ana",
        "nul\0in the middle",
    ):
        with pytest.raises(InputError) as wrong:
            await users.add(books, name="operator-ana", role=Role.ADMIN, password=password, actor=ROOT)
        assert wrong.value.field == "password" and password not in str(wrong.value)
    assert await users.list_all(books) == []

    ana = await users.add(books, name=" Ana ", role=Role.ADMIN, password=GOOD, actor=ROOT)
    assert (ana.name, ana.role, ana.has_password, ana.sessions) == ("ana", Role.ADMIN, True, 0)
    assert await users.has_admin(books)
    with pytest.raises(ConflictError) as taken:
        await users.add(books, name="ANA", role=Role.VIEWER, password=None, actor=ROOT)
    assert taken.value.field == "name"
    for deed in (users.disable(books, "ana", actor=ROOT), users.set_role(books, "ana", Role.VIEWER, actor=ROOT)):
        with pytest.raises(ConflictError, match="only admin"):
            await deed
    await users.add(books, name="bea", role=Role.ADMIN, password=None, actor=ROOT)
    both = await asyncio.gather(  # two who demote each other at once
        users.set_role(books, "ana", Role.OPERATOR, actor="user:bea"),
        users.disable(books, "bea", actor="user:ana"),
        return_exceptions=True,
    )
    assert sum(isinstance(one, ConflictError) for one in both) == 1 and await users.has_admin(books)
    with pytest.raises(ConflictError):
        await users.enable(books, (await users.list_all(books))[0].name, actor=ROOT)
    with pytest.raises(NotFoundError):
        await users.show(books, "nobody")

    actions = [entry.action for entry in await audited(books)]
    assert actions.count("user.add") == 2 and set(actions) & {"user.set-role", "user.disable"}
    async with books.transaction() as conn:
        kept = await rows(conn, "SELECT password_hash FROM console_user WHERE password_hash IS NOT NULL")
        log = await scalar(conn, "SELECT string_agg(audit_log::text, ' ') FROM audit_log")
    assert all(r.password_hash.startswith("$argon2id$") for r in kept) and GOOD not in log and "argon2" not in log


async def test_sessions_begin_and_end(books: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await users.add(books, name="root", role=Role.ADMIN, password=None, actor=ROOT)
    await users.add(books, name="ana", role=Role.ADMIN, password=GOOD, actor=ROOT)
    first, second = await enter(books, "ANA "), await enter(books, "ana")
    assert first != second and await whose(books, first) == "ana" == await whose(books, second)
    async with books.transaction() as conn:
        kept = await rows(conn, "SELECT * FROM console_session")
        assert first not in str(kept) and {r.address for r in kept} == {HERE.address}
    assert await whose(books, "x") is None and await whose(books, "\ud800é") is None

    # Used: noted once a minute, and not by who only looks.
    await sql(books, "UPDATE console_session SET last_seen_at = now() - interval '10 min'")
    ana = (await users.show(books, "ana")).user_id
    await whose(books, first, touch=False)
    assert all(
        not s.current or s.last_seen_at < s.created_at
        for s in await sessions.list_open(books, ana, first, limits=LIMITS)
    )
    await whose(books, first)
    newest, other = await sessions.list_open(books, ana, first, limits=LIMITS)
    assert newest.current and newest.last_seen_at >= newest.created_at and not other.current
    await sql(books, "UPDATE console_session SET last_seen_at = now() - interval '61 min' WHERE token_hash = :h",
              h=sessions.token_hash(second))  # fmt: skip
    assert await whose(books, second) is None
    await sql(
        books, "UPDATE console_session SET expires_at = now() WHERE token_hash = :h", h=sessions.token_hash(first)
    )
    assert await whose(books, first) is None

    # Every change of rights ends what was open.
    first, second = await enter(books, "ana"), await enter(books, "ana")
    await users.set_role(books, "ana", Role.OPERATOR, actor=ROOT)
    assert await whose(books, first) is None and await whose(books, second) is None
    first, second = await enter(books, "ana"), await enter(books, "ana")
    with pytest.raises(InputError) as wrong:
        await users.change_own_password(
            books, "ana", old="no", new="another good one", address="", keep_session=None
        )
    assert wrong.value.field == "old"
    keep = sessions.token_hash(first)
    await users.change_own_password(books, "ana", old=GOOD, new="another good one", address="", keep_session=keep)
    assert await whose(books, first) == "ana" and await whose(books, second) is None
    with pytest.raises(LoginRefusedError):
        await enter(books, "ana")
    third = await enter(books, "ana", "another good one")
    assert await sessions.end_others(books, ana, third) == 1 and await whose(books, first) is None
    await sessions.log_out(books, third)
    assert await whose(books, third) is None

    # Weaker hashes are made anew at the next login.
    monkeypatch.setattr(passwords, "hasher", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    await enter(books, "ana", "another good one")
    async with books.transaction() as conn:
        assert "t=2" in await scalar(conn, "SELECT password_hash FROM console_user WHERE name = 'ana'")
    link = (await sessions.make_link(books, "ana", actor=ROOT))[1]
    await users.disable(books, "ana", actor=ROOT)
    for attempt in (enter(books, "ana", "another good one"),
                    sessions.log_in_by_link(books, link, visitor=HERE, limits=LIMITS),
                    sessions.make_link(books, "ana", actor=ROOT)):  # fmt: skip
        with pytest.raises(LoginRefusedError):
            await attempt
    await users.enable(books, "ana", actor=ROOT)
    assert await whose(books, await enter(books, "ana", "another good one")) == "ana"

    # A link lets in once, until its time is over.
    user, link = await sessions.make_link(books, "root", actor=ROOT)
    attempts = [sessions.log_in_by_link(books, link, visitor=HERE, limits=LIMITS) for _ in range(3)]
    done = await asyncio.gather(*attempts, return_exceptions=True)
    tokens = [one for one in done if isinstance(one, str)]
    assert user.name == "root" and len(tokens) == 1 and await whose(books, tokens[0]) == "root"
    _, late = await sessions.make_link(books, "root", actor=ROOT)
    await sql(books, "UPDATE login_link SET expires_at = now()")
    with pytest.raises(LoginRefusedError):
        await sessions.log_in_by_link(books, late, visitor=HERE, limits=LIMITS)


async def test_too_many_tries(books: Database) -> None:
    await users.add(books, name="ana", role=Role.ADMIN, password=GOOD, actor=ROOT)
    refusals = set()
    burst = await asyncio.gather(*(enter(books, "ana", "wrong wrong") for _ in range(8)), return_exceptions=True)
    refusals |= {str(one) for one in burst}
    async with (
        books.transaction() as conn
    ):  # the burst was counted, and no more than the free tries were looked at
        assert await scalar(conn, "SELECT count(*) FROM login_failure") == login_limits.NAME_TRIES
    for name, password in (("ana", GOOD), ("nobody", GOOD), ("no\0body", "x" * 5000), ("", "")):
        with pytest.raises(LoginRefusedError) as refused:
            await enter(books, name, password)
        refusals.add(str(refused.value))
    assert len(refusals) == 1  # one and the same, whatever it was
    with pytest.raises(LoginRefusedError):
        await enter(books, "ana", visitor=Visitor("198.51.100.7"))  # the name waits, wherever one is
    await sql(books, "UPDATE login_failure SET at = at - interval '31 seconds'")
    with pytest.raises(LoginRefusedError):
        await enter(books, "ana", "wrong wrong")
    await sql(books, "UPDATE login_failure SET at = at - interval '31 seconds'")
    with pytest.raises(LoginRefusedError):
        await enter(books, "ana")  # the second wait is longer
    await sql(books, "UPDATE login_failure SET at = at - interval '30 seconds'")
    await enter(books, "ana")

    async with books.transaction() as conn:
        assert await scalar(conn, "SELECT count(*) FROM login_failure WHERE name = 'ana'") == 0
        await execute(conn, "DELETE FROM login_failure")
    for n in range(login_limits.ADDRESS_TRIES):  # one place, many names; with IPv6 a network is a place
        with pytest.raises(LoginRefusedError):
            await enter(books, f"name{n}", visitor=Visitor(f"2001:db8::{n:x}"))
    with pytest.raises(LoginRefusedError):
        await enter(books, "ana", visitor=Visitor("2001:db8::ffff"))
    await enter(books, "ana", visitor=Visitor("2001:db8:0:1::1"))
    assert login_limits.place("::ffff:192.0.2.1") == "192.0.2.1" and login_limits.place("odd") == "odd"


async def test_the_way_of_a_token(books: Database) -> None:
    view, token = await api_tokens.add(books, name="till", scopes=[Scope.PAYOUTS, Scope.READ], actor=ROOT, days=30)
    assert view.scopes == (Scope.READ, Scope.PAYOUTS) and token.startswith(view.hint) and len(token) > 40
    assert view.expires_at is not None and view.last_used_at is None
    found = await api_tokens.find(books, token)
    assert found is not None and found.token_id == view.token_id
    used = (await api_tokens.list_all(books))[0].last_used_at
    await api_tokens.find(books, token)
    assert used is not None and (await api_tokens.list_all(books))[0].last_used_at == used
    for other in ("", "dca_", token[4:], token + "x", token.upper()):
        assert await api_tokens.find(books, other) is None
    async with books.transaction() as conn:
        everything = await scalar(conn, "SELECT string_agg(t::text, ' ') FROM api_token t")
        log = await scalar(conn, "SELECT string_agg(a::text, ' ') FROM audit_log a")
    assert token not in everything + log

    bad: list[tuple[str, dict[str, Any]]] = [
        ("name", {"name": " "}),
        ("name", {"name": "12"}),
        ("name", {"name": "TILL"}),
        ("scopes", {"scopes": []}),
        ("scopes", {"scopes": [Scope.CLIENT]}),
        ("scopes", {"scopes": [Scope.CLIENT, Scope.READ], "client_id": 1}),
        ("scopes", {"client_id": 1}),
        ("days", {"days": 0}),
        ("client", {"scopes": [Scope.CLIENT], "client_id": 999}),
    ]
    for field, change in bad:
        with pytest.raises(InputError) as wrong:
            await api_tokens.add(books, **{"name": "x", "scopes": [Scope.READ], "actor": ROOT, **change})
        assert wrong.value.field == field, change
    await sql(books, "UPDATE api_token SET expires_at = now()")
    assert await api_tokens.find(books, token) is None
    await sql(books, "UPDATE api_token SET expires_at = NULL")
    assert await api_tokens.find(books, token) is not None
    ended = await api_tokens.revoke(books, "Till", actor=ROOT)
    assert ended.revoked_at is not None and await api_tokens.find(books, token) is None
    with pytest.raises(ConflictError):
        await api_tokens.revoke(books, str(view.token_id), actor=ROOT)
    with pytest.raises(NotFoundError):
        await api_tokens.revoke(books, "nothing", actor=ROOT)
    assert await api_tokens.list_all(books) == [] and len(await api_tokens.list_all(books, revoked=True)) == 1
    with pytest.raises(ConflictError, match="or was"):  # two would be one in the audit log
        await api_tokens.add(books, name="till", scopes=[Scope.READ], actor=ROOT)
    assert [e.action for e in await audited(books)] == ["token.revoke", "token.add"]
