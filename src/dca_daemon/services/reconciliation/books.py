"""What the books say, page by page: settled payouts, payouts by id or hash, destinations, booked cash-outs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.payout import OPEN_STATES, PayoutState
from dca_daemon.ledger.db import Database, rows, scalar
from dca_daemon.services.baseline import SOURCE
from dca_daemon.services.reconciliation.findings import EXAMPLES_MAX, Findings, NoteKind

EVER = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_ID = "00000000-0000-0000-0000-000000000000"
_RELEASED = (PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID)


@dataclass(frozen=True, slots=True)
class Settled:
    """A settled payout that was paid; what a client's credit covered wholly never was."""

    payout_id: str
    client_id: int
    amount_sats: int
    fee_msat: int
    payment_hash: str
    settled_at: datetime


@dataclass(frozen=True, slots=True)
class KnownPayout:
    """What the books have of a payout that LNbits names."""

    payout_id: str
    client_id: int
    payment_hash: str | None
    state: PayoutState
    written_off: bool

    @property
    def settled(self) -> bool:
        """Whether it is proven paid."""
        return self.state is PayoutState.SETTLED

    @property
    def released(self) -> bool:
        """Whether it ended without paying, so that its records are owed again or paid by another."""
        return self.state in _RELEASED


@dataclass(frozen=True, slots=True)
class ReceiverWallet:
    """An LNbits wallet that payouts of a client went to; its invoice key still sealed."""

    destination_id: int
    wallet_id: str | None
    sealed: bytes
    client_id: int


@dataclass(frozen=True, slots=True)
class Booked:
    """A distributed cash-out."""

    cash_out_id: int
    external_id: str
    crypto_atoms: Decimal
    fiat: Decimal
    fiat_code: str
    happened_at: datetime
    reason: str


async def installation(db: Database) -> str:
    """The id that our payments bear."""
    async with db.transaction() as conn:
        return str(await scalar(conn, "SELECT CAST(id AS text) FROM installation"))


_SETTLED = """
    SELECT CAST(p.id AS text) AS payout_id, p.client_id, p.amount_sats, p.fee_msat, p.payment_hash, p.settled_at
      FROM payout p
     WHERE p.state = 'settled' AND p.amount_sats > 0 AND (p.settled_at, p.id) > (:at, CAST(:id AS uuid)) {only}
     ORDER BY p.settled_at, p.id LIMIT :limit
"""
_ALL_SETTLED = _SETTLED.format(only="")
_SETTLED_TO = _SETTLED.format(only="AND p.destination_id = :destination")


async def settled_pages(
    db: Database, since: datetime, *, destination_id: int | None = None, page_rows: int
) -> AsyncIterator[list[Settled]]:
    """Payouts settled since then, the oldest first; of one destination, or of all."""
    query = _ALL_SETTLED if destination_id is None else _SETTLED_TO
    only: dict[str, Any] = {} if destination_id is None else {"destination": destination_id}
    at, last_id = since, _FIRST_ID
    while True:
        async with db.transaction() as conn:
            found = await rows(conn, query, at=at, id=last_id, limit=page_rows, **only)
        if found:
            yield [Settled(**r._mapping) for r in found]
        if len(found) < page_rows:
            return
        at, last_id = found[-1].settled_at, found[-1].payout_id


async def by_hand(db: Database, payout_ids: Sequence[str]) -> set[str]:
    """Which of these a person called settled, whatever LNbits' records say."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            """SELECT CAST(payout_id AS text) AS payout_id FROM payout_log
                WHERE payout_id = ANY(CAST(:ids AS uuid[])) AND event = 'settled'
                  AND detail ->> 'by' IS NOT NULL""",
            ids=list(payout_ids),
        )
    return {r.payout_id for r in found}


async def known_payouts(db: Database, ids: Sequence[str], hashes: Sequence[str]) -> list[KnownPayout]:
    """The payouts with one of these ids, or one of these payment hashes."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            r"""SELECT CAST(p.id AS text) AS payout_id, p.client_id, p.payment_hash, p.state,
                      EXISTS (SELECT FROM journal_entry e
                               WHERE e.idempotency_key = 'payout:' || p.id || '\:written-off') AS written_off
                 FROM payout p
                WHERE p.id = ANY(CAST(:ids AS uuid[])) OR p.payment_hash = ANY(CAST(:hashes AS text[]))""",
            ids=list(ids),
            hashes=list(hashes),
        )
    return [KnownPayout(**{**r._mapping, "state": PayoutState(r.state)}) for r in found]


async def receiver_wallets(db: Database, *, page_rows: int) -> AsyncIterator[list[ReceiverWallet]]:
    """Every LNbits wallet that a payout was ever made for, present and former."""
    after = 0
    while True:
        async with db.transaction() as conn:
            found = await rows(
                conn,
                """SELECT d.id AS destination_id, d.wallet_id, d.invoice_key_encrypted AS sealed, p.client_id
                     FROM destination d
                    CROSS JOIN LATERAL (SELECT p.client_id FROM payout p
                                         WHERE p.destination_id = d.id ORDER BY p.settled_at LIMIT 1) AS p
                    WHERE d.kind = 'lnbits' AND d.id > :after
                    ORDER BY d.id LIMIT :limit""",
                after=after,
                limit=page_rows,
            )
        if found:
            yield [ReceiverWallet(**{**r._mapping, "sealed": bytes(r.sealed)}) for r in found]
        if len(found) < page_rows:
            return
        after = found[-1].destination_id


async def booked_pages(db: Database, since: datetime, *, page_rows: int) -> AsyncIterator[list[Booked]]:
    """Lamassu's cash-outs that were distributed and happened since then, the oldest first."""
    at, last_id = since, 0
    while True:
        async with db.transaction() as conn:
            found = await rows(
                conn,
                """SELECT id AS cash_out_id, external_id, crypto_atoms, fiat, fiat_code, happened_at, reason
                     FROM cash_out
                    WHERE source = :source AND state = 'distributed' AND (happened_at, id) > (:at, :id)
                    ORDER BY happened_at, id LIMIT :limit""",
                source=SOURCE,
                at=at,
                id=last_id,
                limit=page_rows,
            )
        if found:
            yield [Booked(**r._mapping) for r in found]
        if len(found) < page_rows:
            return
        at, last_id = found[-1].happened_at, found[-1].cash_out_id


async def states_of(db: Database, external_ids: Sequence[str]) -> dict[str, CashOutState]:
    """The states of Lamassu's cash-outs; what the books do not have is left out."""
    async with db.transaction() as conn:
        found = await rows(
            conn,
            "SELECT external_id, state FROM cash_out WHERE source = :source AND external_id = ANY(:ids)",
            source=SOURCE,
            ids=list(external_ids),
        )
    return {r.external_id: CashOutState(r.state) for r in found}


async def note_unfinished(db: Database, findings: Findings) -> None:
    """Names the payouts that have not ended, which nothing is compared of."""
    for kind, states in ((NoteKind.UNDER_WAY, OPEN_STATES), (NoteKind.HELD, (PayoutState.HELD,))):
        listed = ", ".join(f"'{state}'" for state in states)  # literal, so that the partial indexes serve
        async with db.transaction() as conn:
            found = await rows(
                conn,
                f"""SELECT CAST(id AS text) AS id, count(*) OVER () AS n FROM payout
                     WHERE state IN ({listed}) ORDER BY created_at LIMIT :limit""",  # noqa: S608 - our own states
                limit=EXAMPLES_MAX,
            )
        for payout in found:
            findings.note(kind, payout.id)
        if found:
            findings.note(kind, count=int(found[0].n) - len(found))
