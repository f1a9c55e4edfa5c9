"""Finds our payments in LNbits again, page by page, in bounded memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from dca_daemon.domain.errors import WalletReplyError
from dca_daemon.payouts import lnbits_replies
from dca_daemon.payouts.lnbits_http import Reply
from dca_daemon.payouts.wallet import WalletRecord

PAGE_ROWS = 500
HASHES_MAX = 100  # in one request: its line stays below the 8 kB that proxies such as nginx allow

_Key = tuple[str, bool]  # payment hash, outgoing


async def tagged_records(
    fetch: Callable[[Mapping[str, str]], Awaitable[Reply]],
    *,
    since: datetime,
    tag: str,
    page_rows: int = PAGE_ROWS,
) -> AsyncIterator[WalletRecord]:
    """Every record with that tag from `since` (whole seconds) on, oldest first, each once.

    Each page starts at the second in which the one before ended: rows of equal time have no order in LNbits,
    so that a page counted from the start could miss some. Raises `WalletReplyError` when a filter is ignored.
    """
    start = int(since.timestamp())
    offset = 0  # within the second `start`
    seen: set[_Key] = set()  # of that second
    while True:
        page = [lnbits_replies.record(row) for row in await _page(fetch, tag, start, offset, limit=page_rows)]
        at_least = start
        for record in page:
            _check(record, tag, at_least)
            at_least = _second(record)
            if _key(record) not in seen:
                yield record
        if len(page) < page_rows:
            return
        last = _second(page[-1])
        offset = offset + page_rows if last == start else 0
        carried = seen if last == start else set()
        seen = carried | {_key(record) for record in page if _second(record) == last}
        start = last


async def records_by_hash(
    fetch: Callable[[Mapping[str, str]], Awaitable[Reply]],
    hashes: Sequence[str],
    *,
    wallet_id: str | None,
    outgoing: bool,
) -> dict[str, WalletRecord]:
    """The records of these hashes, with one request. Raises `WalletReplyError` for rows not asked for."""
    if len(hashes) > HASHES_MAX:
        raise ValueError(f"{len(hashes)} payment hashes at once")
    if not hashes:
        return {}
    # A wallet that pays itself has two records of one hash.
    reply = await fetch({"payment_hash[in]": ",".join(hashes), "limit": str(5 * HASHES_MAX)})
    found = lnbits_replies.rows(reply, "show payments")
    return lnbits_replies.records_by_hash(found, asked=set(hashes), wallet_id=wallet_id, outgoing=outgoing)


async def _page(
    fetch: Callable[[Mapping[str, str]], Awaitable[Reply]], tag: str, start: int, offset: int, *, limit: int
) -> list[Mapping[str, object]]:
    reply = await fetch(
        {
            "tag": tag,
            "time[ge]": datetime.fromtimestamp(start, tz=UTC).isoformat(),
            "sortby": "time",
            "direction": "asc",
            "limit": str(limit),
            "offset": str(offset),
        }
    )
    rows, _ = lnbits_replies.rows(reply, "list payments")
    return rows


def _check(record: WalletRecord, tag: str, at_least: int) -> None:
    if record.tag != tag or _second(record) < at_least:
        raise WalletReplyError("LNbits' list is not what was asked for: filter or order ignored")


def _second(record: WalletRecord) -> int:
    if record.time is None:
        raise WalletReplyError("LNbits' list holds a payment without a time")
    return int(record.time.timestamp())


def _key(record: WalletRecord) -> _Key:
    return record.payment_hash, record.amount_msat < 0
