"""Ledger: the accounts, one account's statement, the entries, one of them, and the proof."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.ledger import entries, reports
from dca_daemon.ledger.entries import EntryFilter, EntryPage
from dca_daemon.services import clients
from dca_daemon.web.days import read_days
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, RowId, linked
from dca_daemon.web.proof import prove
from dca_daemon.web.rendering import page

router = APIRouter(prefix="/ledger")


@router.get("")
async def list_accounts(
    request: Request, text: str = "", unit: str = "", after: Annotated[str | None, Query(max_length=200)] = None
) -> Response:
    """By unit, kind and name; `text` is a part of the name."""
    db = desk_of(request).db
    wanted = text.strip() or None
    found = await reports.balances(db, text=wanted, unit=unit or None, limit=PAGE + 1, after=after)
    units = await reports.units(db)
    listed = linked(request, found, lambda one: one.name)
    return page(request, "ledger.html", listed=listed, text=text, unit=unit, units=units)


@router.post("/verify")
async def verify_books(request: Request) -> Response:
    """Sums the books up again; changes nothing."""
    return page(request, "ledger_proof.html", checks=await prove(desk_of(request)), at=datetime.now(UTC))


@router.get("/accounts/{account:path}")
async def show_account(request: Request, account: str, after: After = None) -> Response:
    """The newest postings first."""
    head, lines = await reports.statement(desk_of(request).db, account, limit=PAGE + 1, after=after)
    return page(request, "ledger_account.html", head=head, listed=linked(request, lines, lambda one: one.entry_id))


@router.get("/entries")
async def list_entries(
    request: Request,
    template: str = "",
    account: str = "",
    client: str = "",
    since: str = "",
    until: str = "",
    after: After = None,
) -> Response:
    """The last that happened first; `since` and `until` are days of the pages' zone, both included."""
    desk = desk_of(request)
    days = read_days(since, until, desk.zone)
    found = EntryPage(())
    if days.wrong is None:
        reference = client.strip()
        wanted = EntryFilter(
            template=template or None,
            account=account.strip() or None,
            client_id=(await clients.show(desk.db, reference)).client_id if reference else None,
            since=days.since,
            until=days.until,
        )
        found = await entries.list_all(desk.db, wanted, limit=PAGE + 1, after=after)
    return page(
        request,
        "ledger_entries.html",
        200 if days.wrong is None else 422,
        listed=linked(request, found.entries, lambda one: one.entry_id, further=found.further),
        templates=await entries.templates(desk.db),
        wrong=days.wrong,
        filters={"template": template, "account": account, "client": client, "since": since, "until": until},
    )


@router.get("/entries/{entry_id}")
async def show_entry(request: Request, entry_id: RowId) -> Response:
    """One entry with its postings."""
    return page(request, "ledger_entry.html", entry=await entries.show(desk_of(request).db, entry_id))
