"""After an old backup was restored: finds the payments that LNbits knows and the books have forgotten.

Per client the totals count: it is paid what the books say, less what LNbits proves that it received. So a lost
payment need not be matched to records, which may be shared anew by now: it is adopted, and is a credit that the
client's next payouts use up. LNbits is listed first and the books are read afterwards, and a payout is in the
books before it is paid: so nothing of a daemon at work is ever taken for lost.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConfigError, ConflictError, WalletRefusedError
from dca_daemon.domain.money import MSATS_PER_SAT
from dca_daemon.ledger.db import Database, constraint, one, rows, scalar
from dca_daemon.payouts import adoption
from dca_daemon.payouts.adoption import Known, LostPayment
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.store import ACTOR
from dca_daemon.payouts.wallet import Destination, DestinationKind, WalletRecord
from dca_daemon.services import clients
from dca_daemon.services.audit import audit

T = TypeVar("T")

_SKEW = timedelta(days=1)  # what our clock and LNbits' may differ by, at most
_BATCH = 200
_MOST_DESTINATIONS = 10
_CLIENT_ID_MAX = 2**31 - 1  # above it is no client's id, whatever LNbits shows


class PaymentSource(Protocol):
    """The source wallet's list of our payments, and the receivers' records."""

    def payments_tagged(self, since: datetime) -> AsyncIterator[WalletRecord]:
        """Every payment with our tag since then, oldest first."""

    async def received(self, destination: Destination, payment_hash: str) -> WalletRecord | None:
        """The receiver's incoming record."""


class Fate(StrEnum):
    """What became of a payment that the books had forgotten."""

    REINSTATED = "reinstated"  # its payout was there, without it
    ADOPTED = "adopted"  # a credit of the client's, once a look-up has confirmed it
    HELD = "held"  # adopted, but a person must say whether it was this client's
    STRAY = "stray"  # there is no such client: left alone


@dataclass(frozen=True, slots=True)
class Found:
    """A payment that the books had forgotten. `client_id` is the client's that it is counted for."""

    payment_hash: str
    payout_id: str | None
    paid_client_id: int | None  # as LNbits has it
    client_id: int | None
    amount_sats: int
    paid_at: datetime
    status: str
    fate: Fate
    text: str


@dataclass(frozen=True, slots=True)
class _Receiver:
    """Where a client's payments go."""

    destination_id: int
    destination: Destination


class Search:
    """One search. `reassigned`: payments to a client id that the books do not know, for whom they count.

    A dry run does the same, and takes each step back.
    """

    def __init__(
        self,
        db: Database,
        wallet: PaymentSource,
        keys: KeyRing,
        *,
        reassigned: Mapping[int, int] | None = None,
        actor: str = ACTOR,
        dry_run: bool = False,
    ) -> None:
        self._db = db
        self._wallet = wallet
        self._keys = keys
        self._reassigned = dict(reassigned or {})
        self._actor = actor
        self._dry_run = dry_run
        self._receivers: dict[int, list[_Receiver]] = {}

    async def run(
        self, *, everything: bool = False, beat: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Found]:
        """Each forgotten payment, after it was dealt with; a second search finds only the strays again.

        It looks at what may be younger than the books, or at `everything` since the installation began. `beat`
        is called as it goes. Raises a `WalletError` or `DatabaseError`; what was dealt with until then stands.
        """
        installation, since = await self._begin(everything)
        batch: list[WalletRecord] = []
        async for record in self._wallet.payments_tagged(since):
            beat()
            if record.amount_msat < 0 and record.extra.get("installation") == installation:
                batch.append(record)
            if len(batch) == _BATCH:
                async for found in self._deal_with(batch, beat):
                    yield found
                batch = []
        async for found in self._deal_with(batch, beat):
            yield found

    async def _begin(self, everything: bool) -> tuple[str, datetime]:
        """This installation's id, and from when on the books may have forgotten something.

        A payout's `created_at` never is later than the books are old. An adopted one's is LNbits' own time, so
        that a search that was broken off goes on where it was.
        """
        async with self._db.transaction() as conn:
            found = await one(
                conn,
                """SELECT CAST(id AS text) AS id, created_at,
                          (SELECT max(created_at) FROM payout) AS newest FROM installation""",
            )
        since: datetime = found.created_at if everything or found.newest is None else found.newest
        return found.id, since - _SKEW

    async def _deal_with(self, batch: Sequence[WalletRecord], beat: Callable[[], None]) -> AsyncIterator[Found]:
        payments = [(record, _payment(record)) for record in batch]
        readable = [payment for _, payment in payments if payment is not None]
        async with self._db.transaction() as conn:
            books = await adoption.known(conn, readable) if readable else []
            ids = [self._counted_for(payment) for payment in readable]
            there = {r.id for r in await rows(conn, "SELECT id FROM client WHERE id = ANY(:ids)", ids=ids)}
        for record, payment in payments:
            beat()
            if payment is None:
                yield _found(record, Fate.STRAY, None, "it does not say which client and how many sats it was for")
            elif _is_booked(books, payment):
                continue
            elif self._counted_for(payment) not in there:
                await self._never_give_out(payment.client_id)
                text = (
                    f"there is no client {payment.client_id}: dca-daemon recover --as {payment.client_id}=CLIENT"
                )
                yield _found(record, Fate.STRAY, None, text)
            else:
                found = await self._take_in(record, payment, books)
                if found is not None:
                    yield found

    def _counted_for(self, payment: LostPayment) -> int:
        return self._reassigned.get(payment.client_id, payment.client_id)

    async def _take_in(self, record: WalletRecord, payment: LostPayment, books: Sequence[Known]) -> Found | None:
        client_id = self._counted_for(payment)
        receiver, doubt = (None, None)
        if _payout_without_it(books, payment) is None:
            receiver, doubt = await self._receiver(client_id, record)

        async def work(conn: AsyncConnection) -> Found | None:
            now_known = await adoption.known(conn, [payment], lock=True)
            if _is_booked(now_known, payment):
                return None  # somebody else was faster
            without = _payout_without_it(now_known, payment)
            if without is not None:
                await adoption.reinstate(conn, without, payment)
                await self._audit(conn, "payout.reinstate", without.payout_id, payment)
                return _found(record, Fate.REINSTATED, client_id, f"its payout was {without.state} in the books")
            if receiver is None:  # its payout was moved on meanwhile: the next search deals with it
                return None
            taken = any(one.payout_id == payment.payout_id for one in now_known)
            payout_id = str(uuid.uuid4()) if taken or payment.payout_id is None else payment.payout_id
            await adoption.adopt(
                conn,
                _of_client(payment, client_id),
                payout_id=payout_id,
                destination_id=receiver.destination_id,
                doubt=doubt,
                actor=self._actor,
            )
            await self._audit(conn, "payout.adopt", payout_id, payment)
            text = doubt or ("as payout " + payout_id if payout_id != payment.payout_id else "")
            return _found(record, Fate.HELD if doubt else Fate.ADOPTED, client_id, text)

        try:
            return await self._write(work)
        except IntegrityError as error:
            if constraint(error) in ("payout_payment_hash_key", "payout_pkey"):
                return None  # another search was faster
            raise

    async def _receiver(self, client_id: int, record: WalletRecord) -> tuple[_Receiver, str | None]:
        """Where it was paid to, of the places where this client is or was paid; or why that can't be told."""
        receivers = await self._receivers_of(client_id)
        to = record.extra.get("to")
        unseen = False
        for one_of_them in receivers:
            destination = one_of_them.destination
            if isinstance(to, str):
                if destination.address == to:
                    return one_of_them, None
            elif destination.kind is DestinationKind.LNBITS:
                try:
                    if await self._wallet.received(destination, record.payment_hash) is not None:
                        return one_of_them, None
                except WalletRefusedError:
                    unseen = True
        if isinstance(to, str):
            doubt = f"it was paid to {to}, where client {client_id} is not paid by these books"
        elif unseen:
            doubt = f"the wallet of client {client_id} can't be looked into: was this payment to it?"
        else:
            doubt = f"no wallet of client {client_id} that these books know shows this payment"
        return receivers[0], doubt

    async def _receivers_of(self, client_id: int) -> list[_Receiver]:
        """The client's present destination first, then those of its payouts."""
        if client_id not in self._receivers:
            async with self._db.transaction() as conn:
                found = await rows(
                    conn,
                    """SELECT d.id, d.kind, d.address, d.wallet_id, d.invoice_key_encrypted AS sealed,
                              d.id = c.destination_id AS present
                         FROM client c JOIN destination d ON d.id = c.destination_id
                              OR d.id IN (SELECT p.destination_id FROM payout p WHERE p.client_id = c.id)
                        WHERE c.id = :client ORDER BY present DESC, d.id DESC LIMIT :limit""",
                    client=client_id,
                    limit=_MOST_DESTINATIONS,
                )
            receivers = (self._opened(r) for r in found)
            self._receivers[client_id] = [receiver for receiver in receivers if receiver is not None]
        return self._receivers[client_id]

    def _opened(self, r: Any) -> _Receiver | None:
        """None for a former destination, whose key may be sealed with a key that is gone for good."""
        try:
            key = None if r.sealed is None else self._keys.decrypt(bytes(r.sealed))
        except ConfigError:
            if r.present:
                raise
            return None
        destination = Destination(DestinationKind(r.kind), r.address, r.wallet_id, key)
        return _Receiver(r.id, destination)

    async def _never_give_out(self, client_id: int) -> None:
        """So that no new client gets the id, and with it the payments, of one that the books have forgotten."""
        if self._dry_run:
            return
        async with self._db.transaction() as conn:
            await scalar(
                conn,
                """SELECT setval(s.name, :id) FROM (SELECT pg_get_serial_sequence('client', 'id') AS name) s
                    WHERE :id > coalesce(pg_sequence_last_value(CAST(s.name AS regclass)), 0)""",
                id=client_id,
            )

    async def _audit(self, conn: AsyncConnection, action: str, payout_id: str, payment: LostPayment) -> None:
        if self._actor == ACTOR:
            return
        after = {"payment_hash": payment.payment_hash, "amount_sats": payment.amount_sats}
        if payment.client_id in self._reassigned:
            after["paid_client_id"] = payment.client_id
        await audit(conn, actor=self._actor, action=action, subject=f"payout:{payout_id}", after=after)

    async def _write(self, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        if not self._dry_run:
            return await self._db.run(work)
        async with self._db.transaction() as conn:
            result = await work(conn)
            await conn.rollback()
            return result


async def reassignments(db: Database, wanted: Mapping[int, str]) -> dict[int, int]:
    """Whom the payments of lost clients count for, by client id.

    Raises `NotFoundError` for a client that there is none, `ConflictError` for an id that is not lost.
    """
    found: dict[int, int] = {}
    async with db.transaction() as conn:
        for lost_id, reference in wanted.items():
            name = await scalar(conn, "SELECT name FROM client WHERE id = :id", id=lost_id)
            if name is not None:
                raise ConflictError(f"client {lost_id} is in the books, as {name!r}: its payments are its own")
            found[lost_id] = await clients.find(conn, reference)
    return found


def _payment(record: WalletRecord) -> LostPayment | None:
    """What is needed of it; None where it can't be one of ours, whatever it carries."""
    client_id = record.extra.get("client")
    sats, rest = divmod(-record.amount_msat, MSATS_PER_SAT)
    if not isinstance(client_id, int) or not 0 < client_id <= _CLIENT_ID_MAX or rest or record.time is None:
        return None
    payout_id = record.extra.get("payout_id")
    return LostPayment(
        payment_hash=record.payment_hash,
        bolt11=record.bolt11,
        payout_id=payout_id if isinstance(payout_id, str) and _is_uuid(payout_id) else None,
        client_id=client_id,
        amount_sats=sats,
        paid_at=record.time,
    )


def _is_uuid(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _of_client(payment: LostPayment, client_id: int) -> LostPayment:
    return LostPayment(
        payment.payment_hash, payment.bolt11, payment.payout_id, client_id, payment.amount_sats, payment.paid_at
    )


def _is_booked(books: Sequence[Known], payment: LostPayment) -> bool:
    """Whether the books know that this invoice was submitted, or what came of it."""
    return any(one.payment_hash == payment.payment_hash and not one.never_submitted for one in books)


def _payout_without_it(books: Sequence[Known], payment: LostPayment) -> Known | None:
    """The payout that this payment is of, where the books take it for never submitted."""
    for payout in books:
        if payout.payment_hash == payment.payment_hash:
            return payout if payout.never_submitted else None
    for payout in books:
        same = (payout.client_id, payout.amount_sats) == (payment.client_id, payment.amount_sats)
        if (
            payout.payout_id == payment.payout_id
            and payout.payment_hash is None
            and payout.never_submitted
            and same
        ):
            return payout
    return None


def _found(record: WalletRecord, fate: Fate, client_id: int | None, text: str) -> Found:
    payout_id, paid_client_id = record.extra.get("payout_id"), record.extra.get("client")
    assert record.time is not None, "the list was ordered by it"
    return Found(
        payment_hash=record.payment_hash,
        payout_id=payout_id if isinstance(payout_id, str) else None,
        paid_client_id=paid_client_id if isinstance(paid_client_id, int) else None,
        client_id=client_id,
        amount_sats=-record.amount_msat // MSATS_PER_SAT,
        paid_at=record.time,
        status=record.status,
        fate=fate,
        text=text,
    )
