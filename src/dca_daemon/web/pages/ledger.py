"""Ledger: the accounts, one account's statement, the entries, and one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.ledger import entries, reports
from dca_daemon.ledger.entries import EntryFilter
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, linked
from dca_daemon.web.rendering import page
from dca_daemon.web.wishes import MAX_ID

router = APIRouter(prefix="/ledger")


@router.get("")
async def list_accounts(
    request: Request, text: str = "", after: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """By unit, kind and name; `text` is a part of the name."""
    wanted = text.strip() or None
    found = await reports.balances(desk_of(request).db, text=wanted, limit=PAGE + 1, after=after)
    return page(request, "ledger.html", listed=linked(request, found, lambda one: one.name), text=text)


@router.get("/accounts/{account:path}")
async def show_account(request: Request, account: str, after: After = None) -> Response:
    """The newest postings first."""
    head, lines = await reports.statement(desk_of(request).db, account, limit=PAGE + 1, after=after)
    return page(request, "ledger_account.html", head=head, listed=linked(request, lines, lambda one: one.entry_id))


@router.get("/entries")
async def list_entries(request: Request, template: str = "", account: str = "", after: After = None) -> Response:
    """The last that happened first."""
    db = desk_of(request).db
    wanted = EntryFilter(template=template or None, account=account.strip() or None)
    found = await entries.list_all(db, wanted, limit=PAGE + 1, after=after)
    return page(
        request,
        "ledger_entries.html",
        listed=linked(request, found, lambda one: one.entry_id),
        templates=await entries.templates(db),
        template=template,
        account=account,
    )


@router.get("/entries/{entry_id}")
async def show_entry(request: Request, entry_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Response:
    """One entry with its postings."""
    return page(request, "ledger_entry.html", entry=await entries.show(desk_of(request).db, entry_id))
