"""Compares three tellings of the same money: Lamassu's cash-outs, the books, and LNbits' own records."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from dca_daemon.demo.lnbits_admin import LnbitsAdmin, WalletKeys
from dca_daemon.ledger.db import Database, rows
from dca_daemon.ledger.verify import verify
from dca_daemon.payouts.wallet import TAG
from tests.services.builders import value

_OVER = ("failed", "expired", "void")


@dataclass(frozen=True, slots=True)
class Payment:
    """One record of one wallet at LNbits; `amount_msat` > 0 came in, < 0 went out."""

    wallet_id: str
    payment_hash: str
    amount_msat: int
    status: str
    payout_id: str | None


def payments_shown(lnbits: LnbitsAdmin, wallets: Sequence[WalletKeys]) -> list[Payment]:
    """Our payments as LNbits shows them: at most 1,000 of each wallet."""
    found = [row for wallet in wallets for row in lnbits.records(wallet.inkey, tag=TAG)]
    return [_payment(row, row["extra"]) for row in found]


def payments_stored(database: Path) -> list[Payment]:
    """Our payments as LNbits has them in its SQLite file."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as conn:
        conn.row_factory = sqlite3.Row
        found = conn.execute("SELECT * FROM apipayments WHERE tag = ?", (TAG,)).fetchall()
    conn.close()
    return [_payment(row, json.loads(row["extra"])) for row in found]


def _payment(row: Any, extra: dict[str, Any]) -> Payment:
    return Payment(
        row["wallet_id"], row["payment_hash"], int(row["amount"]), row["status"], extra.get("payout_id")
    )


@dataclass(slots=True)
class Accounts:
    """What was found: `differences` must be empty. `torn` names held payouts that left and never arrived."""

    payouts: dict[str, int] = field(default_factory=dict)  # how many in each state
    torn: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)


async def account(
    db: Database,
    lnbits: LnbitsAdmin,
    payments: Sequence[Payment],
    *,
    source: WalletKeys,
    receivers: Sequence[WalletKeys],
    funded_sats: int,
    lamassu_dsn: str,
) -> Accounts:
    """Compares everything with everything, to the msat. `receivers`: the clients', in the order of their ids."""
    found = Accounts()
    async with db.transaction() as conn:
        payouts = await rows(
            conn,
            """SELECT CAST(p.id AS text) AS id, client_id, amount_sats, state, payment_hash, reason,
                      EXISTS (SELECT FROM journal_entry
                               WHERE idempotency_key = 'payout:' || p.id || :written_off) AS lost
                 FROM payout p""",
            written_off=":written-off",
        )
    moved: dict[str, list[Payment]] = defaultdict(list)
    for payment in payments:
        if payment.status == "success":
            moved[payment.payment_hash].append(payment)
        if payment.status == "pending" and payment.amount_msat < 0:
            found.differences.append(f"{payment.payment_hash} is pending at LNbits")
    for payout in payouts:
        found.payouts[payout.state] = found.payouts.get(payout.state, 0) + 1
        _compare(found, payout, moved.pop(payout.payment_hash, []), source.id, receivers[payout.client_id - 1].id)
    found.differences += [f"the books know nothing of {payment}" for left in moved.values() for payment in left]
    await _compare_balances(found, db, lnbits, payments, source, receivers, funded_sats)
    found.differences += [f"verify: {c.name}: {c.findings}" for c in await verify(db) if not c.holds]
    found.differences += await _records(db)
    found.differences += await _cash_outs(db, lamassu_dsn)
    return found


def _compare(found: Accounts, payout: Any, moved: list[Payment], source_id: str, receiver_id: str) -> None:
    """One payout, and what moved at LNbits by its payment hash."""
    seen = sorted((p.wallet_id == source_id, p.wallet_id == receiver_id, p.amount_msat) for p in moved)
    out, arrived = (True, False, -payout.amount_sats * 1000), (False, True, payout.amount_sats * 1000)
    left_only = seen == [out]
    if payout.state == "settled" or (payout.state == "void" and payout.lost):
        expected = [arrived, out] if payout.state == "settled" else [out]
        if seen != expected:
            found.differences.append(f"{payout.id} is {payout.state}, and at LNbits there is {moved}")
    elif payout.state in _OVER:
        if seen:
            found.differences.append(f"{payout.id} is {payout.state}, and money moved: {moved}")
    elif payout.state == "held" and left_only:
        found.torn.append(payout.id)
    else:
        found.differences.append(f"{payout.id} is {payout.state} ({payout.reason}); at LNbits: {moved}")
    if any(payment.payout_id != payout.id for payment in moved):
        found.differences.append(f"{payout.id}: its hash is tagged with another payout: {moved}")


async def _compare_balances(
    found: Accounts,
    db: Database,
    lnbits: LnbitsAdmin,
    payments: Sequence[Payment],
    source: WalletKeys,
    receivers: Sequence[WalletKeys],
    funded_sats: int,
) -> None:
    async with db.transaction() as conn:
        settled = await rows(
            conn,
            """SELECT client_id, sum(sats) * 1000 AS msat FROM distribution_record
                WHERE state = 'settled' GROUP BY client_id""",
        )
        in_torn = await rows(
            conn,
            "SELECT amount_sats FROM payout WHERE CAST(id AS text) = ANY(:ids)",
            ids=found.torn,
        )
    by_client = {row.client_id: int(row.msat) for row in settled}
    for client_id, receiver in enumerate(receivers, start=1):
        balance, booked = lnbits.balance_msat(receiver.inkey), by_client.get(client_id, 0)
        if balance != booked:
            found.differences.append(f"client {client_id} has {balance} msat, the books say {booked}")
    left = -sum(p.amount_msat for p in payments if p.wallet_id == source.id and p.status == "success")
    balance = lnbits.balance_msat(source.inkey)
    if balance != funded_sats * 1000 - left:
        found.differences.append(
            f"the source has {balance} msat: {funded_sats} sats less {left} msat are not that"
        )
    booked = await value(db, "SELECT coalesce(-sum(balance), 0) FROM account WHERE name = 'coins:source'")
    torn = sum(row.amount_sats for row in in_torn) * 1000
    if booked != left - torn:
        found.differences.append(f"the books say {booked} msat left, LNbits {left}, of them torn and held {torn}")


async def _records(db: Database) -> list[str]:
    """Each record is paid by one payout when it is settled, and by none when it is not."""
    async with db.transaction() as conn:
        wrong = await rows(
            conn,
            """SELECT r.id, r.state, count(p.id) AS times
                 FROM distribution_record r
                 LEFT JOIN payout_record pr ON pr.record_id = r.id
                 LEFT JOIN payout p ON p.id = pr.payout_id AND p.state = 'settled'
                WHERE r.sats > 0 GROUP BY r.id
               HAVING count(p.id) <> CASE r.state WHEN 'settled' THEN 1 ELSE 0 END""",
        )
    return [f"record {row.id} is {row.state}, and {row.times} settled payouts pay it" for row in wrong]


async def _cash_outs(db: Database, lamassu_dsn: str) -> list[str]:
    """What Lamassu dispensed is distributed once each, but for what lies before the baseline."""
    with psycopg.connect(lamassu_dsn) as conn:
        query = "SELECT id::text FROM cash_out_txs WHERE dispense_confirmed AND crypto_code IN ('BTC', 'LN')"
        dispensed = sorted(row[0] for row in conn.execute(query))
    async with db.transaction() as books:
        booked = await rows(
            books,
            """SELECT external_id FROM cash_out c LEFT JOIN distribution d ON d.cash_out_id = c.id
                WHERE d.id IS NOT NULL OR c.state = 'before-baseline' ORDER BY external_id""",
        )
    known = [row.external_id for row in booked]
    if dispensed == known:
        return []
    return [f"Lamassu dispensed {len(dispensed)} cash-outs, the books distributed or left out {len(known)}"]
