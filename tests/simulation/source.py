"""Lamassu's database, as far as the intake sees it: rows that come, change, and succeed."""

from __future__ import annotations

import uuid
from decimal import Decimal
from random import Random

from dca_daemon.domain.cash_out import SourceRow
from tests.services.builders import success
from tests.simulation.tables import moment, now_seconds


class Source:
    """The rows by id, as they are now."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.rows: dict[str, SourceRow] = {}

    def ask(self) -> str:
        """A layperson asks for cash: nothing has succeeded yet."""
        external_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        self._put(external_id, Decimal(self._random.randint(1, 60) * 50), succeeded=False, version=1)
        return external_id

    def report(self, external_id: str, *, succeeded: bool) -> None:
        """The machine says how it ended."""
        row = self.rows[external_id]
        self._put(external_id, row.fiat, succeeded=succeeded, version=row.tx_version + 1, atoms=row.crypto_atoms)

    def _put(
        self, external_id: str, fiat: Decimal, *, succeeded: bool, version: int, atoms: Decimal | None = None
    ) -> None:
        self.rows[external_id] = success(
            external_id=external_id,
            fiat=fiat,
            crypto_atoms=atoms or Decimal(self._random.randint(1, 90_000)),
            dispense_confirmed=succeeded,
            tx_version=version,
            dispensed_at=moment(now_seconds()) if succeeded else None,
        )

    @property
    def successes(self) -> set[str]:
        return {row.external_id for row in self.rows.values() if row.dispense_confirmed}
