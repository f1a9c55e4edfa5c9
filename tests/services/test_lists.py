"""Lists go on where a page ended, each by its own order; overviews and series tell what the books have."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.ledger import entries, reports
from dca_daemon.ledger.db import Database
from dca_daemon.ledger.entries import EntryFilter
from dca_daemon.services import (
    audit,
    cash_outs,
    client_series,
    clients,
    deposits,
    distribution_views,
    machines,
    overview,
    payouts,
)
from dca_daemon.services.client_lists import ClientOrder
from dca_daemon.services.status import status
from tests.ledger.filled import fill, fill_more
from tests.services.builders import value

ZONE = ZoneInfo("America/Guatemala")
Page = Callable[[int, Any], Awaitable[list[Any]]]


async def whole_equals_pages(page: Page, key: Callable[[Any], Any]) -> int:
    """Page after page of two gives what one long page gives, in the same order; how many that is."""
    whole = [key(item) for item in await page(1000, None)]
    paged: list[Any] = []
    while found := await page(2, paged[-1] if paged else None):
        paged += [key(item) for item in found]
    assert paged == whole
    return len(whole)


async def entries_of(
    books: Database, wanted: EntryFilter, limit: int, after: int | None
) -> list[entries.EntryView]:
    return list((await entries.list_all(books, wanted, limit=limit, after=after)).entries)


async def test_a_search_among_very_many_postings_goes_on_where_it_ended(books: Database) -> None:
    ids = await fill(books)
    await fill_more(books)
    for wanted in (
        EntryFilter(client_id=ids.a, template="deposit-confirmed"),
        EntryFilter(client_id=ids.a),
        EntryFilter(account="payouts:in-flight", template="payout-settled"),
        EntryFilter(account="house:sats", template="payout-settled"),  # which never meet
    ):
        whole = await entries.list_all(books, wanted, limit=1000)
        assert whole.further is None
        found: list[int] = []
        after, pages = None, 0
        while True:
            page = await entries.list_all(books, wanted, limit=2, after=after, looked_at=3)
            found += [one.entry_id for one in page.entries]
            pages += 1
            if page.further is None and len(page.entries) < 2:
                break
            after = page.further or page.entries[-1].entry_id
        assert found == [one.entry_id for one in whole.entries]
        assert pages > 1


async def test_pages_of_every_list(books: Database) -> None:
    ids = await fill(books)
    await fill_more(books)
    a = str(ids.a)
    lists: dict[str, tuple[Page, Callable[[Any], Any]]] = {
        "cash-outs": (lambda n, x: cash_outs.list_all(books, limit=n, after=x), lambda c: c.cash_out_id),
        "of states": (
            lambda n, x: cash_outs.list_all(books, states=("failed", "distributed"), limit=n, after=x),
            lambda c: c.cash_out_id,
        ),
        "payouts": (lambda n, x: payouts.list_all(books, limit=n, after=x), lambda p: p.payout_id),
        "of a client": (
            lambda n, x: payouts.list_all(books, client=ids.a, limit=n, after=x),
            lambda p: p.payout_id,
        ),
        "deposits": (lambda n, x: deposits.list_all(books, limit=n, after=x), lambda d: d.deposit_id),
        "clients": (lambda n, x: clients.list_all(books, limit=n, after=x), lambda c: c.client_id),
        "by name": (
            lambda n, x: clients.list_all(books, order=ClientOrder.NAME, limit=n, after=x),
            lambda c: c.client_id,
        ),
        "records": (lambda n, x: clients.history(books, a, limit=n, after=x), lambda r: r["record_id"]),
        "audit": (lambda n, x: audit.list_all(books, limit=n, after=x), lambda e: e.audit_id),
        "distributions": (
            lambda n, x: distribution_views.list_all(books, limit=n, after=x),
            lambda d: d.distribution_id,
        ),
        "a client's": (
            lambda n, x: distribution_views.list_all(books, client=a, limit=n, after=x),
            lambda d: d.distribution_id,
        ),
        "entries": (lambda n, x: entries_of(books, EntryFilter(), n, x), lambda e: e.entry_id),
        "a client's entries": (
            lambda n, x: entries_of(books, EntryFilter(client_id=ids.a), n, x),
            lambda e: e.entry_id,
        ),
        "accounts": (lambda n, x: reports.balances(books, limit=n, after=x), lambda b: b.name),
        "machines": (lambda n, x: machines.list_all(books, limit=n, after=x), lambda m: m.device_id),
    }
    for name, (page, key) in lists.items():
        assert await whole_equals_pages(page, key) > 0, name
    for page, _ in (lists["cash-outs"], lists["deposits"], lists["audit"], lists["entries"], lists["clients"]):
        with pytest.raises(NotFoundError):
            await page(2, 10**9)

    # What an overview and a status tell is what the rows come to.
    now = datetime.now(UTC)
    days = await overview.days(books, now, zone=ZONE, count=1000)
    assert sum(d.sats for d in days) == int(
        await value(
            books, "SELECT sum(total_sats) FROM distribution WHERE kind = 'cash-out' AND reversed_at IS NULL"
        )
    )
    assert (await overview.today(books, now, zone=ZONE)).sums == tuple(days[-1:])
    waiting = await overview.needs_person(books)
    assert (waiting.reviews, waiting.held_payouts, waiting.differences) == (
        len(waiting.newest_reviews),
        len(waiting.newest_held),
        0,
    )
    settled = int(await value(books, "SELECT sum(amount_sats) FROM payout WHERE state = 'settled'"))
    assert (await status(books)).settled_sats == settled
    per_client = "SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE client_id = :c AND state = :s"
    for view in await clients.list_all(books):
        for state, shown in (("settled", view.settled_sats), ("in-payout", view.in_payout_sats)):
            assert shown == int(await value(books, per_client, c=view.client_id, s=state))
    # Thinned out, the last point is still all that was stacked, and the prices still come to every purchase.
    stacked = int(
        await value(
            books,
            """SELECT sum(sats) FROM distribution_record
                WHERE client_id = :c AND type <> 'commission' AND state <> 'reversed'""",
            c=ids.a,
        )
    )
    for points in (1, 200):
        found = await client_series.series(books, a, points=points)
        assert found.stacked[-1].sats == stacked
        assert sum(p.purchases for p in found.prices) == sum(
            p.purchases for p in (await client_series.series(books, a)).prices
        )
    assert len((await client_series.series(books, a, points=1)).stacked) == 1
