"""`dca-daemon user` and `token`: who is let in to the console and the API, and what is refused."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from dca_daemon.domain.rights import Scope
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import api_tokens, client_access, sessions
from tests.cli.conftest import Cli, OnBooks, write_config
from tests.fixtures.postgres import TestDb

GOOD = "correct horse battery"


@pytest.mark.usefixtures("cheap_passwords")
def test_the_way_of_a_user(
    cli: Cli, config: Path, books_db: TestDb, keys_text: str, on_books: OnBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    assert "no user" in cli("user", "list").done().out
    typed("")
    cli("user", "add", "ana", "--role", "admin").refused("nobody to ask", "--password-stdin")
    cli("user", "add", "ana", "--role", "king", "--password-stdin").refused("king", status=2)
    cli("user", "add", "ana", "--role", "admin", "--password-stdin", "--no-password").refused(status=2)
    cli("user", "add", "A B", "--role", "admin", "--no-password").refused("can't be a user's name")
    for secret in ("short", "x" * 2000):
        typed(f"{secret}\n")
        assert secret not in cli("user", "add", "ana", "--role", "admin", "--password-stdin").refused("12 to 128")
    typed(f"{GOOD}\n")
    added = cli("user", "add", "Ana", "--role", "admin", "--password-stdin", "--json").done().json["user"]
    assert (added["name"], added["role"], added["has_password"]) == ("ana", "admin", True)
    cli("user", "add", "ana", "--role", "viewer", "--no-password").refused("already")
    told = cli("user", "add", "bea", "--role", "viewer", "--no-password").done()
    assert "as viewer" in told.out and "login-link bea" in told.err

    cli("user", "disable", "ana").refused("only admin")
    cli("user", "set-role", "ana", "--role", "viewer").refused("only admin")
    assert "is admin" in cli("user", "set-role", "bea", "--role", "admin").done().out
    assert "disabled" in cli("user", "disable", "ana").done().out
    cli("user", "login-link", "ana").refused("is disabled")
    assert "again" in cli("user", "enable", "ana").done().out
    cli("user", "enable", "ana").refused("not disabled")
    typed("another good one\r\n")
    assert GOOD not in cli("user", "set-password", "ana", "--password-stdin").done().out
    cli("user", "set-password", "nobody", "--password-stdin").refused("no user 'nobody'")

    link = cli("user", "login-link", "bea").done()
    assert link.out.startswith("http://127.0.0.1:8018/login/link/") and "within 10 minutes" in link.err
    write_config(config, books_db.dsn, keys_text, {"console": {"base_url": "https://dca.example.com"}})
    url = cli("user", "login-link", "bea", "--minutes", "5", "--json").done().json["url"]
    assert url.startswith("https://dca.example.com/login/link/")

    async def enter(db: Database) -> Any:
        limits, visitor = sessions.Limits(sessions.TOUCH, sessions.TOUCH), sessions.Visitor("127.0.0.1")
        await sessions.log_in_by_link(db, url.rpartition("/")[2], visitor=visitor, limits=limits)
        keys = KeyRing(keys_text)
        return await sessions.log_in(db, keys, "ana", "another good one", visitor=visitor, limits=limits)

    assert on_books(enter)
    cli("user", "no-second-factor", "ana").refused("no second factor")
    listed = cli("user", "list", "--json").done().json["users"]
    assert [(u["name"], u["sessions"]) for u in listed] == [("ana", 1), ("bea", 1)]
    assert "viewer" not in cli("user", "list").done().out
    log = json.dumps(cli("audit", "--json").done().json)
    assert (
        "user.login-link" in log and "user.set-password" in log and "good one" not in log and url[-20:] not in log
    )


def test_the_way_of_a_token(cli: Cli, on_books: OnBooks) -> None:
    assert "no token" in cli("token", "list").done().out
    cli("token", "add", "till").refused("SCOPE", status=2)
    cli("token", "add", "till", "everything").refused("everything", status=2)
    cli("token", "add", "till", "client").refused("one client's own token")
    cli("token", "add", "till", "client", "--client", "Ana").refused("no client")
    cli("token", "add", "till", "read", "--days", "0").refused(status=2)
    made = cli("token", "add", "till", "read", "payouts:write", "--days", "30", "--json").done().json
    assert made["token"]["scopes"] == ["read", "payouts:write"] and made["token"]["expires_at"]

    async def opens(db: Database) -> Any:
        found = await api_tokens.find(db, made["secret"])
        return found and found.scopes

    assert on_books(opens) == (Scope.READ, Scope.PAYOUTS)
    other = cli("token", "add", "screen", "read").done()
    assert "shown this once: dca_" in other.out and "Bearer" in other.err
    cli("token", "add", "TILL", "read").refused("already")
    listed = cli("token", "list").done().out
    assert "till" in listed and made["secret"] not in listed and made["token"]["hint"] in listed
    assert "revoked" in cli("token", "revoke", "till").done().out
    cli("token", "revoke", str(made["token"]["id"])).refused("revoked already")
    assert on_books(opens) is None
    assert [t["name"] for t in cli("token", "list", "--json").done().json["tokens"]] == ["screen"]
    assert len(cli("token", "list", "--all", "--limit", "9", "--json").done().json["tokens"]) == 2
    assert cli("token", "revoke", "screen", "--json").done().json["token"]["revoked_at"]


@pytest.mark.usefixtures("wallet")
def test_the_way_of_a_clients_link(cli: Cli, on_books: OnBooks) -> None:
    cli("client", "add", "Ana", "--lightning-address", "ana@example.com").done()
    assert "none" in cli("client", "access", "Ana").done().out
    cli("client", "revoke-link", "Ana").refused("no personal link")
    made = cli("client", "make-link", "Ana").done()
    assert made.out.startswith("http://127.0.0.1:8018/my/") and "whoever has it" in made.err
    token = made.out.strip().rpartition("/")[2]
    assert on_books(lambda db: client_access.open_link(db, token)) == 1
    newer = cli("client", "make-link", "1", "--json").done().json["url"].rpartition("/")[2]
    assert on_books(lambda db: client_access.open_link(db, token)) is None
    cli("client", "allow", "Ana").refused("say what")
    allowed = cli("client", "allow", "Ana", "--amount", "--reason", "asked for it", "--json").done().json["access"]
    assert (allowed["may_switch_mode"], allowed["may_change_amount"]) == (False, True)
    told = cli("client", "allow", "Ana", "--mode", "--no-amount").done().out
    assert re.search(r"May switch its mode +yes", told) and re.search(r"May change its amount +no", told)
    assert "opens nothing" in cli("client", "revoke-link", "Ana", "--reason", "lost").done().out
    assert on_books(lambda db: client_access.open_link(db, newer)) is None
    cli("client", "make-link", "nobody").refused("nobody")
