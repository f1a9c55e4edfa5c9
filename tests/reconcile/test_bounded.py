"""However long the history is, a comparison holds a few pages of it in memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import TAG, Destination, RecordStatus, WalletRecord
from dca_daemon.services.reconciliation import books as books_of
from dca_daemon.services.reconciliation.findings import DETAILS_MAX, Kind
from tests.reconcile.conftest import Two
from tests.services.builders import client

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
SATS = 5


def payment_hash(number: int) -> str:
    return f"{number:064x}"


def payout_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012x}"


class LongHistory:
    """An LNbits that makes its records up when it is asked: so many payments, each as the books have it."""

    def __init__(self, payments: int, installation: str) -> None:
        self.payments = payments
        self.installation = installation

    def record(self, number: int, destination: Destination | None) -> WalletRecord:
        return WalletRecord(
            payment_hash=payment_hash(number),
            wallet_id="source" if destination is None else "receiver",
            amount_msat=(-1 if destination is None else 1) * SATS * 1000,
            fee_msat=0,
            status=RecordStatus.SUCCESS,
            internal=True,
            external_id=payout_id(number),
            tag=TAG,
            time=BEGAN + timedelta(seconds=number),
            extra={"tag": TAG, "payout_id": payout_id(number), "installation": self.installation, "client": 1},
        )

    async def records_by_hash(
        self, hashes: Sequence[str], destination: Destination | None = None
    ) -> dict[str, WalletRecord]:
        numbers = (int(one, 16) for one in hashes)
        return {payment_hash(n): self.record(n, destination) for n in numbers if n <= self.payments}

    async def payments_tagged(
        self, since: datetime, *, tag: str = TAG, destination: Destination | None = None
    ) -> AsyncIterator[WalletRecord]:
        for number in range(1, self.payments + 1):
            yield self.record(number, destination)


async def fill(two: Two, keys: KeyRing, first: int, last: int) -> None:
    """The books' side of it: settled payouts, straight into the table."""
    async with two.db.transaction() as conn:
        await conn.exec_driver_sql("SET LOCAL session_replication_role = replica")
        await conn.exec_driver_sql("UPDATE destination SET invoice_key_encrypted = %s", (keys.encrypt("key"),))
        await conn.exec_driver_sql(
            """INSERT INTO payout (id, client_id, destination_id, amount_sats, state, memo, bolt11, payment_hash,
                                   invoice_expires_at, submit_until, fee_msat, settled_at)
               SELECT CAST(lpad(to_hex(n), 32, '0') AS uuid), 1, 1, %s, 'settled', 'x', 'x',
                      lpad(to_hex(n), 64, '0'), now(), now(), 0, %s + make_interval(secs => n)
                 FROM generate_series(CAST(%s AS integer), CAST(%s AS integer)) n""",
            (SATS, BEGAN, first, last),
        )


async def peak_bytes(two: Two, payments: int) -> int:
    """What a comparison of that many payments takes at most, and that it compares them all."""
    history = LongHistory(payments, await books_of.installation(two.db))
    tracemalloc.start()
    try:
        found = await replace(two, book=history).reconcile()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.complete
    kinds = {Kind.BOOKS_BROKEN}  # the payouts have no records in these books
    assert found.counts.keys() == kinds
    for name in ("settled_payouts", "source_paid", "source_listed", "received", "received_listed"):
        assert found.compared[name] == payments
    return peak


async def test_ten_times_the_history_takes_no_more_memory(two: Two, keys: KeyRing) -> None:
    await client(two.db)
    await fill(two, keys, 1, 400)
    await peak_bytes(two, 400)  # whatever is made once and kept
    small = await peak_bytes(two, 400)
    await fill(two, keys, 401, 4_000)
    large = await peak_bytes(two, 4_000)
    assert large < small + 100_000, f"{small:,} bytes for 400 payments, {large:,} for 4,000"


async def test_of_very_many_differences_all_are_counted_and_some_kept(two: Two) -> None:
    history = LongHistory(3_000, await books_of.installation(two.db))
    found = await replace(two, book=history).reconcile()
    assert found.counts == {Kind.PAYMENT_UNKNOWN: 3_000}
    assert len(found.differences) == DETAILS_MAX
