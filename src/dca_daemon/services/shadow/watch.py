"""The shadow itself: listens and scans as the daemon does, and books what it sees on scratch books."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.lamassu.listener import Listener
from dca_daemon.lamassu.scanner import ScanConfig, Scanner
from dca_daemon.lamassu.source import LamassuSource, RowDigest
from dca_daemon.ledger.db import Database
from dca_daemon.services import baseline
from dca_daemon.services.baseline import Baseline
from dca_daemon.services.intake import Intake, IntakeConfig, IntakeResult
from dca_daemon.services.shadow.history import as_second_reader, patient
from dca_daemon.services.shadow.opening import Clients, Opening
from dca_daemon.services.shadow.planting import ACTOR, follow

SESSION = "dca-daemon shadow"


class Shadow:
    """Books each cash-out as the daemon would, pays nothing: it has nothing to pay with.

    `tell` is called with what each batch came to, and who took part.
    """

    def __init__(
        self,
        db: Database,
        clients: Clients,
        source: SourceConfig,
        scans: ScanConfig,
        config: IntakeConfig,
        tell: Callable[[IntakeResult, Opening], None],
    ) -> None:
        self._db = db
        self._clients = clients
        self._config = config
        self._tell = tell
        self._intake = Intake(db, config)
        reading = as_second_reader(source, SESSION)
        self._source = LamassuSource(reading)
        self._listener = Listener(reading, lambda ids: self._scanner.notify(ids), self._on_connected)
        self._scanner = Scanner(
            self._source, self._outdated, self._take, lambda: self._listener.listening, patient(scans)
        )

    async def begin(self) -> Baseline:
        """At the first run from now on, later from where the last one ended.

        Raises `InputError`, `SourceError` and `DatabaseError`.
        """
        await follow(self._db, self._clients)
        await self._source.open()
        found = await baseline.ensure(
            self._db, self._source, actor=ACTOR, new_machines_wait=self._config.new_machines_wait
        )
        await baseline.look_again(self._db)
        return found

    async def run(self) -> None:
        """Runs until it is cancelled; what it needs may be away for any time."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listener.run(), name="listener")
            group.create_task(self._scanner.run(), name="scanner")

    async def close(self) -> None:
        """Closes the connections to Lamassu's database."""
        await self._source.close()

    def _on_connected(self) -> None:
        self._scanner.wake(sweep=True)

    async def _outdated(self, digests: Sequence[RowDigest]) -> list[str]:
        await follow(self._db, self._clients)  # while that fails no row is read, so that none is refused
        return await baseline.outdated(self._db, digests)

    async def _take(self, rows: list[SourceRow]) -> None:
        """Balances and settings first: what came to them before this cash-out takes part in it."""
        opening = await follow(self._db, self._clients)
        result = await self._intake.process(rows)
        if result.distributed or result.changed:
            self._tell(result, opening)
