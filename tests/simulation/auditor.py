"""What must hold at every moment (design.md, invariants), looked at after each commit and each move of money."""

from __future__ import annotations

from collections import Counter, defaultdict

from dca_daemon.domain.payout import PayoutState
from tests.lnbits_double import Direction, Move
from tests.simulation.source import Source
from tests.simulation.tables import PayoutRow, Tables

_MAY_BE_PAID = (PayoutState.SUBMITTED, PayoutState.UNKNOWN, PayoutState.HELD)
_PAID_NOTHING = (PayoutState.FAILED, PayoutState.EXPIRED, PayoutState.VOID)


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Auditor:
    """Knows what really moved; the program does not."""

    def __init__(self, tables: Tables, source: Source) -> None:
        self._tables = tables
        self._source = source
        self.left: dict[str, Move] = {}  # by payment hash
        self.arrived: dict[str, Move] = {}
        self.paid_by: dict[int, str] = {}  # record → the payment that left for it
        self.violations: list[ViolationError] = []  # whoever swallows the error: it is not forgotten

    def moved(self, move: Move) -> None:
        """Money moves at LNbits."""
        payout = self._tables.payouts.get(move.external_id or "")
        self._must(payout is not None, f"money moves for a payout that is not in the books: {move}")
        assert payout is not None
        self._must(
            payout.payment_hash == move.payment_hash, f"another invoice than the stored one is paid: {move}"
        )
        self._must(move.amount_msat == payout.amount_sats * 1000, f"another amount moves: {move}")
        if move.direction is Direction.LEFT:
            self._leaves(move, payout)
        else:
            self._must(move.payment_hash not in self.arrived, f"money arrives twice: {move}")
            self.arrived[move.payment_hash] = move

    def _leaves(self, move: Move, payout: PayoutRow) -> None:
        self._must(payout.state in _MAY_BE_PAID, f"money leaves for a payout that is {payout.state}: {move}")
        self._must(move.payment_hash not in self.left, f"money leaves twice for one invoice: {move}")
        self.left[move.payment_hash] = move
        for record_id in payout.record_ids:
            self._must(record_id not in self.paid_by, f"record {record_id} is paid twice: {move}")
            self.paid_by[record_id] = move.payment_hash

    def committed(self) -> None:
        """The books have changed."""
        self._cash_outs()
        self._records()
        for payout in self._tables.payouts.values():
            self._payout(payout)
        for client in self._tables.clients.values():
            self._must(client.balance_minor >= 0, f"client {client.client_id} has {client.balance_minor} left")

    def _cash_outs(self) -> None:
        times = Counter(d.row.external_id for d in self._tables.distributions)
        self._must(all(n == 1 for n in times.values()), f"a cash-out is distributed twice: {times}")
        self._must(set(times) <= self._source.successes, "something else than a success is distributed")
        for d in self._tables.distributions:
            shared = sum(s.sats for s in d.allocation.shares) + d.commission.shared_sats + d.house_sats
            self._must(shared == int(d.row.crypto_atoms), f"sats of {d.row.external_id} are missing")
        houses = sum(d.house_sats for d in self._tables.distributions)
        recorded = sum(r.sats for r in self._tables.records.values())
        total = sum(int(d.row.crypto_atoms) for d in self._tables.distributions)
        self._must(recorded + houses == total, "the records do not add up to the cash-outs")

    def _records(self) -> None:
        holders: defaultdict[int, list[PayoutState]] = defaultdict(list)
        for payout in self._tables.payouts.values():
            if payout.state not in _PAID_NOTHING:
                for record_id in payout.record_ids:
                    holders[record_id].append(payout.state)
        for record in self._tables.records.values():
            states = holders[record.record_id]
            expected = {"gathered": 0, "owed": 0, "nothing": 0, "in-payout": 1, "settled": 1}[record.state]
            self._must(
                len(states) == expected, f"record {record.record_id} is {record.state}, in payouts {states}"
            )
            settled = states == [PayoutState.SETTLED]
            self._must(
                settled == (record.state == "settled"), f"record {record.record_id} is {record.state}: {states}"
            )

    def _payout(self, payout: PayoutRow) -> None:
        payment_hash = payout.payment_hash or ""
        if payout.state is PayoutState.SETTLED:
            proven = payment_hash in self.left and payment_hash in self.arrived
            self._must(proven, f"payout {payout.payout_id} counts as settled, and was not paid")
        elif payout.state in _PAID_NOTHING:
            self._must(
                payment_hash not in self.left,
                f"payout {payout.payout_id} counts as {payout.state}, and money left",
            )

    def at_the_end(self) -> None:
        """The storm is over, and everything has had its time."""
        self.committed()
        distributed = {d.row.external_id for d in self._tables.distributions}
        self._must(distributed == self._source.successes, f"not booked: {self._source.successes - distributed}")
        owed = [r for r in self._tables.records.values() if r.state == "owed"]
        self._must(not owed, f"still owed: {owed}")
        for payout in self._tables.payouts.values():
            self._must(not payout.open, f"still open: {payout}")
            if payout.state is PayoutState.HELD:
                torn = (payout.payment_hash or "") in self.left.keys() - self.arrived.keys()
                self._must(torn, f"held without need: {payout}")

    def _must(self, holds: bool, text: str) -> None:
        if not holds:
            self.violations.append(ViolationError(text))
            raise self.violations[-1]

    def raise_violation(self) -> None:
        """Raises the first violation, whatever else has gone wrong because of it."""
        if self.violations:
            raise self.violations[0]
