"""The journal as hledger reads it: strict, with a balance assertion for each account at the end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dca_daemon.ledger.export.journal import ExportedAccount, ExportedEntry, Head, Span
from dca_daemon.ledger.export.plain_text import account_name, commodity, digits, number, one_line


def begin(head: Head, span: Span) -> Iterator[str]:
    """The commodities, the accounts, and what they held before."""
    for unit in sorted({account.unit for account in head.accounts}):
        yield f"commodity 1000.{'0' * digits(unit)} {commodity(unit)}\n"
    for account in head.accounts:
        yield f"account {_name(account)}\n  {_tag('account', account.name)}"
        if account.client is not None:
            yield f"  {_tag('client', account.client)}"
    opening = [account for account in head.accounts if account.opening]
    if opening:
        yield f"\n{head.first_day} * opening balances\n"
        for account in opening:
            yield f"    {_name(account)}  {number(account.opening, account.unit)} {commodity(account.unit)}\n"


def entry(entry: ExportedEntry, span: Span) -> Iterator[str]:
    """One transaction."""
    yield f"\n{span.day(entry.happened_at)} * ({entry.entry_id}) {_description(entry.cause)}\n"
    yield f"    {_tag('template', entry.template)}"
    yield f"    {_tag('key', entry.key)}"
    yield f"    {_tag('actor', entry.actor)}"
    yield f"    {_tag('happened', entry.happened_at.isoformat())}"
    yield f"    {_tag('written', entry.written_at.isoformat())}"
    if entry.corrects_entry_id is not None:
        yield f"    {_tag('corrects', str(entry.corrects_entry_id))}"
    for line in entry.lines:
        name = account_name(line.account, line.kind)
        yield f"    {name}  {number(line.amount, line.unit)} {commodity(line.unit)}\n"


def end(head: Head, span: Span) -> Iterator[str]:
    """What each account must hold."""
    if not head.accounts:
        return
    assert head.last_day is not None
    yield f"\n{head.last_day + timedelta(days=1)} * balances\n"
    for account in head.accounts:
        unit = commodity(account.unit)
        nothing, all_of_it = number(0, account.unit), number(account.closing, account.unit)
        yield f"    {_name(account)}  {nothing} {unit} = {all_of_it} {unit}\n"


def _name(account: ExportedAccount) -> str:
    return account_name(account.name, account.kind)


def _tag(name: str, text: str) -> str:
    """A comma would end the value, and what follows could be read as a tag of its own, such as a date."""
    return f"; {name}: {one_line(text).replace(',', ';')}\n"


def _description(text: str) -> str:
    """A semicolon would begin a comment, a bar split payee and note."""
    return one_line(text).replace(";", ",").replace("|", "/")
