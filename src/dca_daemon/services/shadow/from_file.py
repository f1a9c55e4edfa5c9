"""Clients and balances from a file that the operator wrote: nothing of them needs to be in the books."""

from __future__ import annotations

import itertools
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from dca_daemon.domain.commission import BASIS_POINTS, parse_percent
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import parse_fiat
from dca_daemon.domain.text import plain
from dca_daemon.services.pools import DEFAULT_POOL_ID, Pool, clean_name
from dca_daemon.services.shadow.opening import Account, Change, Member, Opening, ShareOfCommission

_MAX_BYTES = 10_000_000
_TOP = {"client", "commission"}
_CLIENT = {"name", "fiat", "deposits", "mode", "status"}
_SHARE = {"name", "percent"}


@dataclass(frozen=True, slots=True)
class _Read:
    members: tuple[Member, ...]
    shares: tuple[ShareOfCommission, ...]
    changes: tuple[Change, ...]


class FileClients:
    """See `Clients`. The file is read at each look: what is added to it counts from then on."""

    follows_books = False

    def __init__(self, path: Path, *, pool_name: str, currency: str) -> None:
        self._path = path
        self._pool = Pool(DEFAULT_POOL_ID, pool_name, currency)
        self.origin = str(path)

    async def look(self, marks: Mapping[Account, int] | None, known: Mapping[str, int]) -> Opening:
        """`marks` are what each was given so far. Raises `InputError` that names the place in the file."""
        read = self._read(known)
        given: dict[Account, int] = defaultdict(int)
        now = datetime.now(UTC)
        for one in read.changes:
            if one.at is None or one.at <= now:
                given[one.account] += one.minor
        before = marks or {}
        changes = [
            Change(account, minor - before.get(account, 0))
            for account, minor in sorted(given.items())
            if minor != before.get(account, 0)
        ]
        return self._opening(read, changes, given)

    async def history(self, since: datetime) -> Opening:
        """Deposits of before `since` are in at the beginning."""
        read = self._read({})
        changes = [
            Change(c.account, c.minor, c.at if c.at is not None and c.at > since else None) for c in read.changes
        ]
        return self._opening(read, sorted(changes, key=lambda c: (c.at is not None, c.at or since)), {})

    def _opening(self, read: _Read, changes: list[Change], marks: Mapping[Account, int]) -> Opening:
        return Opening((self._pool,), read.members, tuple(changes), read.shares, marks=marks)

    def _read(self, known: Mapping[str, int]) -> _Read:
        table = _load(self._path)
        try:
            return _parse(table, self._pool.currency, known)
        except InputError as error:
            raise InputError(f"{self._path}: {error.message}", remedy=error.remedy) from None


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise InputError(f"{path} is too large to be a list of clients")
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except OSError as error:
        raise InputError(f"can't read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{path} is not TOML: {error}", remedy="see docs/shadow.md for an example") from None


def _parse(table: Mapping[str, Any], currency: str, known: Mapping[str, int]) -> _Read:
    """Who was read before, under the same name, keeps its number; who is new gets the next one."""
    _known_keys(table, _TOP, "the file")
    new = itertools.count(max(known.values(), default=0) + 1)
    members: dict[str, Member] = {}
    changes: list[Change] = []
    for number, row in enumerate(_tables(table, "client"), 1):
        what = f"client {number}"
        _known_keys(row, _CLIENT, what)
        name = _name(row, what)
        client_id = known.get(name.lower()) or next(new)
        member = Member(client_id, name, *(_word(row, what, key, words) for key, words in _WORDS))
        if member.name.lower() in members:
            raise InputError(f"{what}: several clients are named {member.name!r}")
        members[member.name.lower()] = member
        changes += _deposits(row, f"{what}, {member.name}", (client_id, DEFAULT_POOL_ID), currency)
    shares = []
    for number, row in enumerate(_tables(table, "commission"), 1):
        what = f"commission {number}"
        _known_keys(row, _SHARE, what)
        name = _name(row, what)
        if name.lower() not in members:
            client_id = known.get(name.lower()) or next(new)
            members[name.lower()] = Member(client_id, name, "commission", "active")
        receiver = members[name.lower()]
        shares.append(ShareOfCommission(receiver.client_id, parse_percent(_text(row, what, "percent"))))
        if [s.client_id for s in shares].count(receiver.client_id) > 1:
            raise InputError(f"{what}: {name!r} has a share already")
    if sum(s.basis_points for s in shares) > BASIS_POINTS:
        raise InputError("the commission shares come to more than 100 %")
    if not changes:
        raise InputError("there is no client with a deposit", remedy="see docs/shadow.md for an example")
    return _Read(tuple(members.values()), tuple(shares), tuple(changes))


_WORDS = (("mode", ("flow", "fixed")), ("status", ("active", "inactive")))


def _word(row: Mapping[str, Any], what: str, key: str, words: tuple[str, ...]) -> str:
    word = row.get(key, words[0])
    if word not in words:
        raise InputError(f"{what}: {key} must be {' or '.join(words)}, not {plain(str(word))!r}")
    return str(word)


def _deposits(row: Mapping[str, Any], what: str, account: Account, currency: str) -> Iterator[Change]:
    if ("fiat" in row) == ("deposits" in row):
        raise InputError(f"{what}: give either fiat, which is in from the beginning, or deposits")
    if "fiat" in row:
        yield Change(account, _fiat(row, what, currency))
        return
    for number, deposit in enumerate(_tables(row, "deposits"), 1):
        one = f"{what}, deposit {number}"
        _known_keys(deposit, {"fiat", "at"}, one)
        yield Change(account, _fiat(deposit, one, currency), _time(deposit, one))


def _fiat(row: Mapping[str, Any], what: str, currency: str) -> int:
    try:
        return parse_fiat(_text(row, what, "fiat"), currency)
    except InputError as error:
        raise InputError(f"{what}: {error.message}") from None


def _time(row: Mapping[str, Any], what: str) -> datetime | None:
    at = row.get("at")
    if isinstance(at, date) and not isinstance(at, datetime):
        at = datetime(at.year, at.month, at.day).astimezone()
    if at is None or (isinstance(at, datetime) and at.tzinfo is not None):
        return at
    raise InputError(f"{what}: at must be a day, or a time with its zone", remedy="at = 2026-01-31T09:00:00-06:00")


def _text(row: Mapping[str, Any], what: str, key: str) -> str:
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal) or value == "":
        raise InputError(f"{what}: {key} is missing" if value is None else f"{what}: {key} must be an amount")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _name(row: Mapping[str, Any], what: str) -> str:
    name = row.get("name")
    if not isinstance(name, str):
        raise InputError(f"{what}: name is missing")
    return clean_name(name, what)


def _tables(table: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InputError(f"{key} must be a list of tables", remedy=f"write [[{key}]] above each")
    return found


def _known_keys(table: Mapping[str, Any], known: set[str], what: str) -> None:
    for key in table:
        if key not in known:
            raise InputError(
                f"{what}: {plain(key)!r} is not a key here", remedy=f"one of {', '.join(sorted(known))}"
            )
