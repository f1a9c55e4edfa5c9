"""One round: a burst of payouts, SIGKILL of LNbits in the middle of it, restart, and an account of every sat.

An internal payment of LNbits is two commits: killed between them, it leaves a payment that was debited and never
credited (torn). Such a payout must be held, with an alert that names the payment and both wallets; it is then
written off, and its client paid anew. Everything else must settle by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.ledger.db import rows
from dca_daemon.services.payout_resolution import Resolution, resolve
from tests.e2e.conftest import eventually
from tests.faults.accounting import Accounts, payments_stored
from tests.faults.daemon_at_fault_point import PATIENCE
from tests.faults.site import Site, make_site
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.services.builders import sql, value

CLIENTS = 12
FUNDED_SATS = 200_000_000
# Shorter than any setting allows. It is the time in which a request that nobody answered may still run; here
# LNbits is dead in between, and with it all that it was asked.
PATIENCE_SECONDS = 3.0
RECOVERY_SECONDS = 150.0
KILL_WITHIN_SECONDS = 0.15  # of a payout's submission: the two commits lie in there


@dataclass(frozen=True, slots=True)
class Round:
    """What a round came to. `payouts`: how many of those that it began ended in which state."""

    number: int
    cash_outs: int
    killed_after: int  # so many submissions of this round
    payouts: Counter[str]
    resubmitted: int
    torn: int
    unexplained: list[str]
    seconds: float

    def line(self) -> str:
        """For a person who watches."""
        ended = ", ".join(f"{count} {state}" for state, count in sorted(self.payouts.items()))
        told = "".join(f"\n    UNEXPLAINED {text}" for text in self.unexplained)
        return (
            f"round {self.number:3}: {self.cash_outs} cash-outs, killed after {self.killed_after} submissions: "
            f"{ended}; {self.resubmitted} submitted again, {self.torn} torn ({self.seconds:.1f} s){told}"
        )


@dataclass
class Soak:
    """An installation, and the LNbits that gets killed."""

    site: Site
    server: LnbitsServer
    chance: random.Random
    lost_sats: int = 0
    rounds: list[Round] = field(default_factory=list)

    async def round(self) -> Round:
        began = time.monotonic()
        site, number = self.site, len(self.rounds) + 1
        first_line, known = len(site.log.lines()), await self._payout_ids()
        cash_outs, submissions = self.chance.randint(1, 3), self.chance.randint(1, CLIENTS)
        site.cash_out(cash_outs, fiat=100 * self.chance.randint(2, 10))
        await eventually(lambda: len(site.log.of("payout.submitted", first_line)) >= submissions, 60)
        await asyncio.sleep(self.chance.uniform(0, KILL_WITHIN_SECONDS))
        await asyncio.to_thread(self.server.kill)
        await asyncio.to_thread(self.server.start)
        dispensed = site.dispensed()
        await eventually(lambda: self._over(dispensed), RECOVERY_SECONDS)
        accounts = await site.accounts()
        unexplained = accounts.differences + await self._write_off(accounts)
        new = await self._payouts_since(known)
        self.rounds.append(
            Round(
                number=number,
                cash_outs=cash_outs,
                killed_after=submissions,
                payouts=Counter(row[1] for row in new),
                resubmitted=sum(row[2] > 1 for row in new),
                torn=len(accounts.torn),
                unexplained=unexplained,
                seconds=time.monotonic() - began,
            )
        )
        return self.rounds[-1]

    async def finish(self) -> list[str]:
        """Waits until those are paid whose first payment was lost; what is unexplained at the very end."""
        await self.site.settled()
        accounts = await self.site.accounts()
        written_off = await value(self.site.db, "SELECT sum(balance) FROM account WHERE name = 'expense:losses'")
        differences = accounts.differences + [f"{payout} is still torn" for payout in accounts.torn]
        if (written_off or 0) != self.lost_sats * 1000:
            differences.append(f"{written_off} msat are written off, {self.lost_sats} sats are lost")
        return differences

    async def _over(self, cash_outs: int) -> bool:
        """Whether all is booked, and each payout has ended or is held."""
        # A client whose payout failed waits ten seconds and more before the next one: not here.
        await sql(
            self.site.db,
            """UPDATE payout SET next_attempt_at = next_attempt_at - interval '1 day'
                WHERE state = 'failed' AND next_attempt_at > now() - interval '2 hours'""",
        )
        missing = await value(
            self.site.db,
            """SELECT (SELECT count(*) FROM distribution_record WHERE state = 'owed')
                    + (SELECT count(*) FROM payout
                        WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown'))""",
        )
        return missing == 0 and await self.site.distributed() == cash_outs

    async def _write_off(self, accounts: Accounts) -> list[str]:
        """Checks the alert of each torn payout and ends it; what is missing in the alerts."""
        missing: list[str] = []
        for payout_id in accounts.torn:
            alerts = [line for line in self.site.log.of("payout.held") if line["payout_id"] == payout_id]
            if not any(alert_tells_all(line, self.site) for line in alerts):
                missing.append(f"torn payout {payout_id} is held without a useful alert: {alerts}")
            view = await resolve(
                self.site.db,
                payout_id,
                Resolution.WRITTEN_OFF,
                reason="debited and not credited at LNbits, which was killed",
                actor="soak",
            )
            self.lost_sats += view.amount_sats
        return missing

    async def _payout_ids(self) -> set[str]:
        return {row[0] for row in await self._payouts_since(set())}

    async def _payouts_since(self, known: set[str]) -> list[tuple[str, str, int]]:
        async with self.site.db.transaction() as conn:
            found = await rows(conn, "SELECT CAST(id AS text) AS id, state, submits FROM payout")
        return [(row.id, row.state, row.submits) for row in found if row.id not in known]


def alert_tells_all(line: dict[str, Any], site: Site) -> bool:
    """Whether an alert about a torn payout says which payment it is, and in which wallets to look for it."""
    receiver = site.receivers[line["client_id"] - 1]
    reason = line["reason"]
    return (
        line["level"] == "error"
        and line["payment_hash"] in reason
        and site.source.id in reason
        and receiver.id in reason
        and line["payout_id"] in line["remedy"]
    )


@contextlib.asynccontextmanager
async def soaking(
    folder: Path, books_db: TestDb, lamassu_db: LamassuDb, server: LnbitsServer, seed: int
) -> AsyncIterator[Soak]:
    """A daemon that pays a dozen clients, four at a time, through an LNbits that can be killed."""
    database = server.data_dir / "data" / "database.sqlite3"
    async with make_site(
        folder,
        books_db,
        lamassu_db,
        server,
        client_count=CLIENTS,
        funded_sats=FUNDED_SATS,
        payments=lambda: payments_stored(database),
    ) as site:
        site.environment[PATIENCE] = str(PATIENCE_SECONDS)
        site.start()
        await site.has_logged("baseline.set")
        yield Soak(site, server, random.Random(seed))
