"""What the tables of satmachineadmin come to: each client's opening balance, and everything that is wrong.

Pure rules. As the extension itself reckons: deposited is what is confirmed; converted is the fiat of confirmed
payments; the rest is left. Commission that it paid is no purchase of a client's.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from typing import TypeVar

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_AMOUNT_MINOR, MAX_SATS, fiat_text, minor_digits, sats_text, to_minor
from dca_daemon.domain.text import plain
from dca_daemon.services.clients import Mode, Status, checked_name
from dca_daemon.services.importing.tables import CLIENTS, DEPOSITS, PAYMENTS, Row, Tables

SOURCE = "satmachine"
T = TypeVar("T", bound=StrEnum)
_NUMBER = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,30})?")
_COMMISSION = "commission"


class Amounts(StrEnum):
    """What a number in their tables counts: 1000 is 1,000 GTQ, or 10 GTQ in centavos. They don't tell."""

    MAIN = "main"
    MINOR = "minor"


class PendingPayments(StrEnum):
    """What payments are that their tables call pending: only LNbits' own list shows it."""

    REFUSE = "refuse"
    PAID = "paid"
    UNPAID = "unpaid"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator says of their tables."""

    currency: str
    amounts: Amounts
    pending: PendingPayments = PendingPayments.REFUSE
    rounding: bool = False  # amounts finer than the currency's unit are rounded, and told


@dataclass(slots=True)
class Theirs:
    """One client as it stands there; amounts in our minor units."""

    external_id: str
    name: str
    mode: Mode
    status: Status
    wallet_id: str | None
    daily_minor: int | None
    deposited_minor: int = 0
    converted_minor: int = 0
    received_sats: int = 0
    pending: list[tuple[int, str | None]] = field(
        default_factory=list
    )  # deposits not confirmed yet, with their notes

    @property
    def left_minor(self) -> int:
        """What it can still buy for."""
        return self.deposited_minor - self.converted_minor

    @property
    def pending_minor(self) -> int:
        """Handed over, not confirmed."""
        return sum(minor for minor, _ in self.pending)


@dataclass(slots=True)
class Plan:
    """What would be imported, and why it can't be."""

    currency: str
    clients: list[Theirs] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    cash_out_ids: set[str] = field(default_factory=set)  # Lamassu's ids of what was distributed there

    def sums(self) -> dict[str, int]:
        """All clients together."""
        return {
            "clients": len(self.clients),
            "deposited_minor": sum(c.deposited_minor for c in self.clients),
            "converted_minor": sum(c.converted_minor for c in self.clients),
            "left_minor": sum(c.left_minor for c in self.clients),
            "pending_minor": sum(c.pending_minor for c in self.clients),
            "received_sats": sum(c.received_sats for c in self.clients),
        }


def plan(tables: Tables, rules: Rules) -> Plan:
    """Reads everything, and names everything that is wrong, one line each."""
    return _Reading(rules).read(tables)


class _Reading:
    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._plan = Plan(rules.currency)
        self._by_id: dict[str, Theirs] = {}
        self._rounded = 0
        self._rounding = Decimal(0)
        self._aside: dict[str, list[int]] = defaultdict(list)  # why → the sats of each payment

    def read(self, tables: Tables) -> Plan:
        for row in tables.rows[CLIENTS]:
            self._guarded(self._client, row, f"client {_shown(row.get('id'))}")
        names = Counter(client.name.lower() for client in self._plan.clients)
        for client in self._plan.clients:
            if names[client.name.lower()] > 1:
                self._wrong(f"client {_shown(client.external_id)}: several clients are named {client.name!r}")
        for row in tables.rows[DEPOSITS]:
            self._guarded(self._deposit, row, f"deposit {_shown(row.get('id'))}")
        for row in tables.rows[PAYMENTS]:
            self._guarded(self._payment, row, f"payment {_shown(row.get('id'))}")
        for client in self._plan.clients:
            self._check_sums(client)
        self._plan.notes.extend(self._told(tables))
        return self._plan

    def _check_sums(self, client: Theirs) -> None:
        if client.left_minor < 0:
            spent, had = (
                fiat_text(m, self._rules.currency) for m in (client.converted_minor, client.deposited_minor)
            )
            self._wrong(f"{client.name}: {spent} were converted of {had} deposited")
        if max(client.deposited_minor, client.pending_minor) > MAX_AMOUNT_MINOR or client.received_sats > MAX_SATS:
            self._wrong(f"{client.name}: its sums are too large to be true")

    def _guarded(self, take: Callable[[Row], None], row: Row, what: str) -> None:
        try:
            take(row)
        except InputError as error:
            self._wrong(f"{what}: {error.message}")

    def _wrong(self, text: str) -> None:
        self._plan.problems.append(text)

    def _client(self, row: Row) -> None:
        external_id = (row["id"] or "").strip()
        if not external_id:
            raise InputError("it has no id")
        if external_id in self._by_id:
            raise InputError("it is there twice")
        limit = row.get("fixed_mode_daily_limit")
        client = Theirs(
            external_id=external_id,
            name=checked_name(row.get("username") or f"satmachine {external_id}"),
            mode=_one_of(Mode, row["dca_mode"], (Mode.FLOW, Mode.FIXED), "mode"),
            status=_one_of(Status, row["status"], tuple(Status), "status"),
            wallet_id=(row.get("wallet_id") or "").strip() or None,
            daily_minor=None if limit is None else self._minor(limit),
        )
        self._by_id[external_id] = client
        self._plan.clients.append(client)

    def _deposit(self, row: Row) -> None:
        client = self._client_of(row)
        currency = row.get("currency", self._rules.currency)
        if currency != self._rules.currency:
            raise InputError(f"it is in {_shown(currency)}, the pool in {self._rules.currency}")
        minor, note = self._minor(row["amount"]), row.get("notes")
        if row["status"] == "confirmed":
            client.deposited_minor += minor
        elif row["status"] != "pending":
            raise InputError(f"its status is {_shown(row['status'])}, not pending or confirmed")
        elif minor:
            client.pending.append((minor, note))

    def _payment(self, row: Row) -> None:
        sats, status = _sats(row["amount_sats"]), row["status"]
        commission = row.get("transaction_type") == _COMMISSION
        cash_out_id = row.get("lamassu_transaction_id")
        if status not in ("confirmed", "pending", "failed"):
            raise InputError(f"its status is {_shown(status)}, not pending, confirmed or failed")
        if status == "failed":
            self._aside["failed"].append(sats)
            return
        if cash_out_id:
            self._plan.cash_out_ids.add(cash_out_id)
        if commission:
            if self._minor(row["amount_fiat"]) and row["client_id"] in self._by_id:
                raise InputError("it is commission, and charges a client fiat")
            self._aside["commission"].append(sats)
            return
        client, minor = self._client_of(row), self._minor(row["amount_fiat"])
        if status == "pending" and self._rules.pending is PendingPayments.REFUSE:
            amount = f"{sats_text(sats)} for {fiat_text(minor, self._rules.currency)}"
            raise InputError(f"{amount} to {client.name} is pending: see in LNbits whether it arrived")
        if status == "pending" and self._rules.pending is PendingPayments.UNPAID:
            self._aside["pending and unpaid"].append(sats)
            return
        client.converted_minor += minor
        client.received_sats += sats

    def _client_of(self, row: Row) -> Theirs:
        client = self._by_id.get((row["client_id"] or "").strip())
        if client is None:
            raise InputError(f"there is no client {_shown(row['client_id'])}, or none that can be read")
        return client

    def _minor(self, text: str | None) -> int:
        """An amount in our minor units. Raises `InputError`."""
        if text is None or not _NUMBER.fullmatch(text.strip()):
            raise InputError(f"{_shown(text)} is not an amount")
        amount, digits = Decimal(text.strip()), minor_digits(self._rules.currency)
        if amount < 0:
            raise InputError(f"the amount {text} is negative")
        if self._rules.amounts is Amounts.MINOR:
            amount = amount.scaleb(-digits)
        if self._rules.rounding:
            rounded = amount.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
            self._rounded += rounded != amount
            self._rounding += rounded - amount
            amount = rounded
        return to_minor(amount, self._rules.currency)

    def _told(self, tables: Tables) -> Iterator[str]:
        if self._rounded:
            yield f"amounts rounded: {self._rounded}, by {self._rounding:f} {self._rules.currency} in all."
        for why, sats in self._aside.items():
            yield f"{why} payments, left out: {len(sats)}, of {sats_text(sum(sats))} in all."
        for table, column, what in (
            (CLIENTS, "username", "clients get names made of their ids"),
            (DEPOSITS, "currency", f"deposits are taken for {self._rules.currency}"),
            (PAYMENTS, "transaction_type", "every payment is taken for a purchase"),
        ):
            if column not in tables.columns[table]:
                yield f"{table} has no column {column}: {what}."


def _sats(text: str | None) -> int:
    if text is None or not _NUMBER.fullmatch(text.strip()) or Decimal(text) != int(Decimal(text)):
        raise InputError(f"{_shown(text)} is not a number of sats")
    if not 0 <= Decimal(text) <= MAX_SATS:
        raise InputError(f"{_shown(text)} sats can't be")
    return int(Decimal(text))


def _one_of(kind: type[T], text: str | None, allowed: tuple[T, ...], what: str) -> T:
    if text not in allowed:
        raise InputError(f"its {what} is {_shown(text)}, not {' or '.join(allowed)}")
    return kind(text)


def _shown(text: str | None) -> str:
    return "(none)" if text is None else repr(plain(text))
