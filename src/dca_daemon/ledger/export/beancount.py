"""The journal as Beancount reads it. Its own checker proves the balances at the end, to the msat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dca_daemon.ledger.export.journal import ExportedAccount, ExportedEntry, Head, Span
from dca_daemon.ledger.export.plain_text import account_name, commodity, number, one_line


def begin(head: Head, span: Span) -> Iterator[str]:
    """The accounts, and what they held before."""
    yield 'option "title" "dca-daemon"\n\n'
    for unit in sorted({account.unit for account in head.accounts}):
        yield f"{head.first_day} commodity {commodity(unit)}\n"
    for account in head.accounts:
        yield f"{head.first_day} open {_name(account)} {commodity(account.unit)}\n"
        yield _meta("account", account.name)
        if account.client is not None:
            yield _meta("client", account.client)
    opening = [account for account in head.accounts if account.opening]
    if opening:
        yield f'\n{head.first_day} * "opening balances"\n'
        for account in opening:
            yield f"  {_name(account)}  {number(account.opening, account.unit)} {commodity(account.unit)}\n"


def entry(entry: ExportedEntry, span: Span) -> Iterator[str]:
    """One transaction."""
    yield f"\n{span.day(entry.happened_at)} * {_string(entry.cause)}\n"
    yield f"  entry-id: {entry.entry_id}\n"
    yield _meta("template", entry.template)
    yield _meta("key", entry.key)
    yield _meta("actor", entry.actor)
    yield _meta("happened", entry.happened_at.isoformat())
    yield _meta("written", entry.written_at.isoformat())
    if entry.corrects_entry_id is not None:
        yield f"  corrects: {entry.corrects_entry_id}\n"
    for line in entry.lines:
        name = account_name(line.account, line.kind)
        yield f"  {name}  {number(line.amount, line.unit)} {commodity(line.unit)}\n"


def end(head: Head, span: Span) -> Iterator[str]:
    """What each account must hold: Beancount compares at the beginning of a day. `~ 0`: to the last digit."""
    yield "\n"
    for account in head.accounts:
        assert head.last_day is not None
        amount = f"{number(account.closing, account.unit)} ~ 0 {commodity(account.unit)}"
        yield f"{head.last_day + timedelta(days=1)} balance {_name(account)}  {amount}\n"


def _name(account: ExportedAccount) -> str:
    return account_name(account.name, account.kind)


def _meta(key: str, text: str) -> str:
    return f"  {key}: {_string(text)}\n"


def _string(text: str) -> str:
    escaped = one_line(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
