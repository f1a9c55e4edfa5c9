"""A payer that gives each payout one turn, so that a test tells what comes of each attempt."""

from __future__ import annotations

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.books import SqlPayoutBooks, Waiting
from dca_daemon.payouts.store import Payout


class OneRound(SqlPayoutBooks):
    """The real books, which let each payout and each client have one turn, however long a test takes."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self._had: set[str | int] = set()

    async def waiting(self, limit: int) -> Waiting:
        found = await super().waiting(limit + len(self._had))
        return Waiting(
            [payout_id for payout_id in found.payout_ids if payout_id not in self._had],
            [client_id for client_id in found.client_ids if client_id not in self._had],
        )

    async def load(self, payout_id: str) -> Payout:
        self._had.add(payout_id)
        return await super().load(payout_id)

    async def reserve(self, client_id: int, *, max_sats: int) -> tuple[str, list[int]] | None:
        self._had.add(client_id)
        return await super().reserve(client_id, max_sats=max_sats)
