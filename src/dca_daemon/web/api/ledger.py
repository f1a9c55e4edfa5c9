"""`/api/v1/ledger`: accounts, their postings, entries, and the proof."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi import Path as PathValue
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.domain.wording import unit_json
from dca_daemon.ledger import entries, reports
from dca_daemon.ledger.entries import EntryFilter, EntryView
from dca_daemon.ledger.reports import AccountBalance, StatementLine
from dca_daemon.services import clients
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, RowId, Since, Until, cut
from dca_daemon.web.proof import prove
from dca_daemon.web.rights import scoped

UnitAmount = Annotated[int | str, Field(description="Msat as an integer, fiat as a decimal string.")]
AccountName = Annotated[str, Query(max_length=200, description="Such as house:sats or client:1:payable.")]


class AccountOut(Out):
    """An account, with its balance on the side where it normally stands."""

    account: str = Field(examples=["client:1:payable"])
    unit: str = Field(description="msat, or a currency.", examples=["msat"])
    kind: str = Field(examples=["liability"])
    balance: UnitAmount
    postings: int

    @classmethod
    def of(cls, one: AccountBalance) -> AccountOut:
        balance = unit_json(one.balance, one.unit)
        return cls(account=one.name, unit=one.unit, kind=one.kind, balance=balance, postings=one.postings)


class AccountsOut(Out):
    """A page of accounts, by unit, kind and name."""

    accounts: list[AccountOut]
    next: Next


class LineOut(Out):
    """One posting of an account: debits are positive, credits negative."""

    entry_id: int
    happened_at: datetime
    written_at: datetime
    template: str
    cause: str
    actor: str
    amount: UnitAmount
    balance_after: UnitAmount

    @classmethod
    def of(cls, line: StatementLine, unit: str) -> LineOut:
        amount, balance_after = (unit_json(one, unit) for one in (line.amount, line.balance_after))
        return cls.from_view(line, amount=amount, balance_after=balance_after)


class StatementOut(AccountOut):
    """An account with a page of its postings, the newest first."""

    lines: list[LineOut]
    next: Next


class PostingOut(Out):
    """One side of an entry: debits are positive, credits negative."""

    account: str
    unit: str
    amount: UnitAmount
    balance_after: UnitAmount


class EntryOut(Out):
    """A journal entry; its postings come to nothing in each unit."""

    entry_id: int
    template: str = Field(examples=["cash-out-distributed"])
    key: str = Field(description="By which it can't be written twice.")
    happened_at: datetime
    written_at: datetime
    actor: str
    cause: str
    corrects_entry_id: int | None
    corrected_by: int | None
    postings: list[PostingOut]

    @classmethod
    def of(cls, entry: EntryView) -> EntryOut:
        postings = [
            PostingOut(
                account=one.account,
                unit=one.unit,
                amount=unit_json(one.amount, one.unit),
                balance_after=unit_json(one.balance_after, one.unit),
            )
            for one in entry.postings
        ]
        return cls.from_view(entry, postings=postings)


class EntriesOut(Out):
    """A page of entries: the last that happened first; of an account or a client the last written first. Of these
    it may have fewer than asked for, or none, and go on at `next`: it looks at 50,000 postings at most."""

    entries: list[EntryOut]
    next: Next


class CheckOut(Out):
    """One thing that must hold; `findings` has at most twenty of what does not."""

    name: str = Field(examples=["entries-balance"])
    text: str
    holds: bool
    findings: list[str]


class ProofOut(Out):
    """The books, summed up again."""

    holds: bool
    checks: list[CheckOut]


router = APIRouter(prefix="/ledger", tags=["ledger"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("/accounts", summary="List accounts")
async def list_accounts(
    request: Request,
    unit: Annotated[str | None, Query(max_length=10, description="Only in this unit.", examples=["msat"])] = None,
    text: Annotated[str | None, Query(max_length=200, description="A part of the name.")] = None,
    limit: Limit = PAGE,
    after: Annotated[str | None, Query(max_length=200, description="Go on after the account so named.")] = None,
) -> AccountsOut:
    """By unit, kind and name."""
    db = desk_of(request).db
    found = await reports.balances(db, unit=unit, text=text, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.name)
    return AccountsOut(accounts=[AccountOut.of(one) for one in page.items], next=page.next)


@router.get("/accounts/{account:path}", summary="Show an account's statement")
async def show_statement(
    request: Request, account: Annotated[str, PathValue(max_length=200)], limit: Limit = PAGE, after: After = None
) -> StatementOut:
    """Its newest postings first."""
    head, lines = await reports.statement(desk_of(request).db, account, limit=limit + 1, after=after)
    page = cut(lines, limit, lambda one: one.entry_id)
    of_page = [LineOut.of(one, head.unit) for one in page.items]
    return StatementOut(**AccountOut.of(head).model_dump(), lines=of_page, next=page.next)


@router.get("/entries", summary="List journal entries")
async def list_entries(
    request: Request,
    template: Annotated[str | None, Query(max_length=100, description="Only of this kind.")] = None,
    account: AccountName | None = None,
    client: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = PAGE,
    after: After = None,
) -> EntriesOut:
    """With all their postings."""
    db = desk_of(request).db
    client_id = None if client is None else (await clients.show(db, client)).client_id
    wanted = EntryFilter(template=template, account=account, client_id=client_id, since=since, until=until)
    found = await entries.list_all(db, wanted, limit=limit + 1, after=after)
    page = cut(found.entries, limit, lambda one: one.entry_id, further=found.further)
    return EntriesOut(entries=[EntryOut.of(one) for one in page.items], next=page.next)


@router.get("/entries/{entry_id}", summary="Show a journal entry")
async def show_entry(request: Request, entry_id: RowId) -> EntryOut:
    """One, with its postings."""
    return EntryOut.of(await entries.show(desk_of(request).db, entry_id))


@router.post("/verify", summary="Sum the books up again")
async def verify_books(request: Request) -> ProofOut:
    """Reads every posting, and compares with what is kept; changes nothing. One at a time, or 409."""
    checks = await prove(desk_of(request))
    return ProofOut(
        holds=all(one.holds for one in checks),
        checks=[
            CheckOut(name=one.name, text=one.text, holds=one.holds, findings=list(one.findings)) for one in checks
        ],
    )
