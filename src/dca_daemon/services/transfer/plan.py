"""What a file of clients would come to here, and why it can't be imported, each problem with its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_AMOUNT_MINOR, to_minor
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, rows
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.services import destinations
from dca_daemon.services.clients import Mode, Status, checked_name
from dca_daemon.services.importing.receivers import UNCHECKED, Receiver
from dca_daemon.services.importing.satmachine import Theirs
from dca_daemon.services.pools import DEFAULT_POOL_ID, Pool
from dca_daemon.services.transfer.document import ClientPart, Document, PoolPart


@dataclass(slots=True)
class Stake:
    """What a client has in one pool; amounts in minor units."""

    pool: Pool
    left_minor: int
    converted_minor: int
    received_sats: int
    daily_minor: int | None
    max_minor: int | None
    pending: list[tuple[int, str | None]]


@dataclass(slots=True)
class Coming:
    """One client of the file. `opening`: the stake whose history is carried on; `further`: its other pools."""

    place: str
    theirs: Theirs
    receiver: Receiver
    opening: Stake
    further: list[Stake]
    may_switch_mode: bool
    may_change_amount: bool


@dataclass(slots=True)
class TransferPlan:
    """What would be imported, and why it can't be. `source`: the installation that wrote the file."""

    source: str
    clients: list[Coming] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def left_minor(self) -> dict[str, int]:
        """By currency, what all of them have in."""
        sums: dict[str, int] = {}
        for client in self.clients:
            for stake in (client.opening, *client.further):
                sums[stake.pool.currency] = sums.get(stake.pool.currency, 0) + stake.left_minor
        return sums


async def plan(db: Database, document: Document, given: Mapping[str, str]) -> TransferPlan:
    """Looks at everything. `given`: where a client is paid instead, by its name or number in the file: an invoice
    key or a Lightning address."""
    async with db.transaction() as conn:
        found = {r.name: Pool(r.id, r.name, r.currency) for r in await rows(conn, "SELECT * FROM pool")}
        default = next(pool for pool in found.values() if pool.pool_id == DEFAULT_POOL_ID)
        made = _Reading(document, found, default, given).read()
        made.problems.extend(await conflicts(conn, made))
    return made


async def conflicts(conn: AsyncConnection, made: TransferPlan) -> list[str]:
    """What in our own books stands against it: imported already, or a name that is taken."""
    by_id = {one.theirs.external_id: one.place for one in made.clients}
    imported = await rows(
        conn,
        """SELECT external_id, import_id FROM client_opening WHERE source = :source AND external_id = ANY(:ids)
            ORDER BY external_id""",
        source=made.source,
        ids=list(by_id),
    )
    if imported:
        return [f"{by_id[r.external_id]}: it was imported already, by import {r.import_id}" for r in imported]
    by_name = {one.theirs.name.lower(): one.place for one in made.clients}
    taken = await rows(
        conn,
        """SELECT c.name, lower(n) AS low FROM client c
             JOIN unnest(CAST(:names AS text[])) n ON lower(c.name) = lower(n) ORDER BY c.id""",
        names=[one.theirs.name for one in made.clients],
    )
    return [
        f"{by_name.get(r.name.lower(), 'a client')}.name: there is a client named {r.name!r} here" for r in taken
    ]


class _Reading:
    def __init__(
        self, document: Document, pools: Mapping[str, Pool], default: Pool, given: Mapping[str, str]
    ) -> None:
        self._document, self._pools, self._default, self._given = document, pools, default, given
        self._plan = TransferPlan(source=f"dca-daemon {document.installation}")
        self._used: set[str] = set()

    def read(self) -> TransferPlan:
        names: dict[str, str] = {}
        ids: dict[int, str] = {}
        for number, part in enumerate(self._document.clients):
            place = f"clients[{number}]"
            if (first := ids.setdefault(part.id, place)) != place:
                self._wrong(f"{place}.id: {first} has it too")
            if (first := names.setdefault(" ".join(part.name.split()).lower(), place)) != place:
                self._wrong(f"{place}.name: {first} has it too")
            self._client(place, part)
        for name in self._given.keys() - self._used:
            self._wrong(f"--keys: no client of the file is called {plain(name)!r}, or has that number")
        return self._plan

    def _wrong(self, text: str) -> None:
        self._plan.problems.append(text)

    def _client(self, place: str, part: ClientPart) -> None:
        try:
            name = checked_name(part.name)
        except InputError as error:
            self._wrong(f"{place}.name: {error.message}")
            return
        receiver = self._receiver(place, name, part)
        stakes = [self._stake(f"{place}.pools[{n}]", pool) for n, pool in enumerate(part.pools)]
        ids = [stake.pool.pool_id for stake in stakes if stake is not None]
        if len(set(ids)) != len(ids):
            self._wrong(f"{place}.pools: a pool is there twice")
        if receiver is None or None in stakes:
            return
        sound = [stake for stake in stakes if stake is not None]
        opening = next((s for s in sound if s.converted_minor or s.received_sats), None) or next(
            iter(sound), Stake(self._default, 0, 0, 0, None, None, [])
        )
        further = [stake for stake in sound if stake is not opening]
        if any(stake.converted_minor or stake.received_sats for stake in further):
            self._plan.notes.append(
                f"{place}: what was bought before is carried on for the pool {opening.pool.name!r} only"
            )
        theirs = Theirs(
            external_id=str(part.id),
            name=name,
            mode=Mode(part.mode),
            status=Status(part.status),
            wallet_id=part.destination.wallet_id,
            daily_minor=None,  # set with its own maximum, pool by pool
            deposited_minor=opening.left_minor + opening.converted_minor,
            converted_minor=opening.converted_minor,
            received_sats=opening.received_sats,
            pending=opening.pending,
        )
        self._plan.clients.append(
            Coming(place, theirs, receiver, opening, further, part.may_switch_mode, part.may_change_amount)
        )

    def _receiver(self, place: str, name: str, part: ClientPart) -> Receiver | None:
        kind, place = DestinationKind(part.destination.kind), f"{place}.destination"
        who = next((key for key in (name, part.name, str(part.id)) if key in self._given), None)
        try:
            if who is not None:
                self._used.add(who)
                return self._instead(self._given[who])
            if kind is not DestinationKind.LNBITS:
                return self._address(part)
            if part.destination.invoice_key is None:
                self._wrong(f"{place}.invoice_key: it is missing: export --with-keys, or give it by --keys")
                return None
            if part.destination.address is not None:
                self._wrong(f"{place}.address: an LNbits wallet has none")
                return None
            made = destinations.given(invoice_key=part.destination.invoice_key)
            destination = Destination(
                DestinationKind.LNBITS, wallet_id=part.destination.wallet_id, invoice_key=made.invoice_key
            )
            return Receiver(destination, DestinationInfo(UNCHECKED))
        except InputError as error:
            self._wrong(f"{place}: {error.message}")
            return None

    def _address(self, part: ClientPart) -> Receiver:
        told = part.destination
        if told.address is None or told.invoice_key is not None or told.wallet_id is not None:
            raise InputError("it must have an address, and no key and no wallet")
        if told.kind == "lnurl":
            destination = destinations.given(lnurl=told.address)
        elif told.address.count("@") == 1:
            destination = destinations.given(lightning_address=told.address)
        else:
            raise InputError(f"{plain(told.address)!r} is no Lightning address")
        return Receiver(destination, DestinationInfo(destination.address or UNCHECKED))

    def _instead(self, where: str) -> Receiver:
        if "@" in where:
            destination = destinations.given(lightning_address=where)
            return Receiver(destination, DestinationInfo(destination.address or UNCHECKED))
        return Receiver(destinations.given(invoice_key=where), DestinationInfo(UNCHECKED))

    def _stake(self, place: str, part: PoolPart) -> Stake | None:
        pool = self._pools.get(part.pool)
        if pool is None:
            self._wrong(f"{place}.pool: there is no pool {plain(part.pool)!r} here: dca-daemon pool add")
            return None
        if pool.currency != part.currency:
            self._wrong(f"{place}.currency: it is {part.currency}, the pool {pool.name!r} here in {pool.currency}")
            return None
        before = len(self._plan.problems)
        stake = Stake(
            pool=pool,
            left_minor=self._minor(f"{place}.balance", part.balance, pool),
            converted_minor=self._minor(f"{place}.converted", part.converted, pool),
            received_sats=part.received_sats,
            daily_minor=self._optional(f"{place}.per_day", part.per_day, pool),
            max_minor=self._optional(f"{place}.max_per_day", part.max_per_day, pool),
            pending=[
                (self._minor(f"{place}.pending[{n}].amount", one.amount, pool, least=1), one.note)
                for n, one in enumerate(part.pending)
            ],
        )
        if stake.max_minor is not None and (stake.daily_minor or 0) > stake.max_minor:
            self._wrong(f"{place}.per_day: it is more than max_per_day")
        if stake.max_minor is not None and stake.daily_minor is None:
            self._wrong(f"{place}.max_per_day: there is no per_day to it")
        if len(self._plan.problems) > before:
            return None
        if stake.left_minor + stake.converted_minor > MAX_AMOUNT_MINOR:
            self._wrong(f"{place}: balance and converted are too large to be true")
            return None
        return stake

    def _minor(self, place: str, text: str, pool: Pool, *, least: int = 0) -> int:
        try:
            minor = to_minor(Decimal(text), pool.currency)
        except InputError as error:
            self._wrong(f"{place}: {error.message}")
            return 0
        if not least <= minor <= MAX_AMOUNT_MINOR:
            self._wrong(f"{place}: {text} can't be")
        return minor

    def _optional(self, place: str, text: str | None, pool: Pool) -> int | None:
        return None if text is None else self._minor(place, text, pool)
