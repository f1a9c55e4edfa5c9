"""Reads the books: balances of accounts, and an account's postings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.ledger.db import Database, one, rows


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """An account, with its balance on the side where it normally stands."""

    name: str
    unit: str
    kind: str
    balance: int
    postings: int


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posting of an account; amount and balance as debit > 0, credit < 0."""

    entry_id: int
    happened_at: datetime
    written_at: datetime
    template: str
    cause: str
    actor: str
    amount: int
    balance_after: int


async def balances(db: Database, *, unit: str | None = None) -> list[AccountBalance]:
    """All accounts, by name."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT name, unit, kind, version,
                      CASE WHEN kind IN ('asset', 'expense') THEN balance ELSE -balance END AS normal
                 FROM account WHERE CAST(:unit AS text) IS NULL OR unit = :unit
                ORDER BY unit = 'msat', unit, kind, name""",
            unit=unit,
        )
        return [AccountBalance(r.name, r.unit, r.kind, r.normal, r.version) for r in found]


async def statement(db: Database, account: str, *, limit: int = 50) -> tuple[AccountBalance, list[StatementLine]]:
    """An account and its newest postings, newest first. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        head = await one(
            conn,
            """SELECT id, name, unit, kind, version,
                      CASE WHEN kind IN ('asset', 'expense') THEN balance ELSE -balance END AS normal
                 FROM account WHERE name = :name""",
            name=account,
        )
        if head is None:
            raise NotFoundError(f"there is no account {account!r}", remedy="see: dca-daemon ledger balances")
        found = await rows(
            conn,
            """SELECT e.id AS entry_id, e.happened_at, e.written_at, e.template, e.cause, e.actor,
                      p.amount, p.balance_after
                 FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                WHERE p.account_id = :id ORDER BY p.account_version DESC LIMIT :limit""",
            id=head.id,
            limit=limit,
        )
        lines = [StatementLine(**r._mapping) for r in found]
        return AccountBalance(head.name, head.unit, head.kind, head.normal, head.version), lines
