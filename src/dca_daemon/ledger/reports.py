"""Reads the books: balances of accounts, and an account's postings."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, one, rows
from dca_daemon.ledger.entries import version_before
from dca_daemon.ledger.pages import Conditions, anchor


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


async def balances(
    db: Database,
    *,
    unit: str | None = None,
    text: str | None = None,
    limit: int | None = None,
    after: str | None = None,
) -> list[AccountBalance]:
    """The accounts by unit, kind and name, from after the account named `after` on; `text` is a part of the name.

    Raises `NotFoundError` for an `after` that is none.
    """
    conditions = Conditions()
    conditions.given("unit = :unit", unit=unit)
    conditions.given("strpos(name, :text) > 0", text=text)
    order = "unit = 'msat', unit, kind, name"
    async with db.transaction() as conn:
        if after is not None:
            at = await anchor(conn, "account", "SELECT unit, kind, name FROM account WHERE name = :after", after)
            conditions.always(
                f"({order}) > (CAST(:after_unit AS text) = 'msat', :after_unit, :after_kind, :after_name)",
                after_unit=at.unit,
                after_kind=at.kind,
                after_name=at.name,
            )
        found = await rows(
            conn,
            f"""SELECT name, unit, kind, version,
                       CASE WHEN kind IN ('asset', 'expense') THEN balance ELSE -balance END AS normal
                  FROM account {conditions.where}
                 ORDER BY {order} LIMIT CAST(:limit AS bigint)""",  # noqa: S608 - every part stands here
            limit=limit,
            **conditions.values,
        )
        return [AccountBalance(r.name, r.unit, r.kind, r.normal, r.version) for r in found]


async def units(db: Database) -> list[str]:
    """Those that there are accounts in: the currencies, and msat."""
    async with db.transaction() as conn:
        found = await rows(conn, "SELECT unit FROM account GROUP BY unit ORDER BY unit = 'msat', unit")
        return [str(r.unit) for r in found]


async def statement(
    db: Database, account: str, *, limit: int = 50, after: int | None = None
) -> tuple[AccountBalance, list[StatementLine]]:
    """An account and its newest postings, newest first, from after the entry `after` on.

    Raises `NotFoundError`.
    """
    async with db.transaction() as conn:
        head = await one(
            conn,
            """SELECT id, name, unit, kind, version,
                      CASE WHEN kind IN ('asset', 'expense') THEN balance ELSE -balance END AS normal
                 FROM account WHERE name = :name""",
            name=account,
        )
        if head is None:
            text = f"there is no account {plain(account)!r}"
            raise NotFoundError(text, remedy="see: dca-daemon ledger balances", field="account")
        below = head.version + 1
        if after is not None:
            await anchor(conn, "journal entry", "SELECT id FROM journal_entry WHERE id = :after", after)
            below = 1 + await version_before(conn, head.id, after)
        found = await rows(
            conn,
            """SELECT e.id AS entry_id, e.happened_at, e.written_at, e.template, e.cause, e.actor,
                      p.amount, p.balance_after
                 FROM posting p JOIN journal_entry e ON e.id = p.entry_id
                WHERE p.account_id = :id AND p.account_version < :below
                ORDER BY p.account_version DESC LIMIT :limit""",
            id=head.id,
            below=below,
            limit=limit,
        )
        lines = [StatementLine(**r._mapping) for r in found]
        return AccountBalance(head.name, head.unit, head.kind, head.normal, head.version), lines
