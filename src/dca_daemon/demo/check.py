"""The agreement at the end: LNbits' balances, the ledger and the ATM's cash-outs, compared to the sat.

Each side is read from its own source: LNbits over its API, Lamassu's tables, the journal's accounts, the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.stage import CURRENCY, TOP_UP_SATS, Stage
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.money import MSATS_PER_SAT, fiat_text, sats_text
from dca_daemon.ledger import accounts, verify
from dca_daemon.ledger.db import one, rows
from dca_daemon.services.pools import DEFAULT_POOL_ID


@dataclass(frozen=True, slots=True)
class Comparison:
    """One thing, seen from two sides."""

    what: str
    one_side: str
    other_side: str

    @property
    def agrees(self) -> bool:
        """Whether both sides say the same."""
        return self.one_side == self.other_side


@dataclass(slots=True)
class Agreement:
    """The comparisons, and the counts that scripts want."""

    comparisons: list[Comparison] = field(default_factory=list)
    cash_outs: int = 0
    records: int = 0
    payouts: int = 0
    paid_sats: int = 0
    owed_sats: int = 0

    @property
    def agrees(self) -> bool:
        """Whether everything agrees."""
        return all(c.agrees for c in self.comparisons)

    def sats(self, what: str, one_msat: int, other_msat: int) -> None:
        """Compares two amounts in msat."""
        self.comparisons.append(Comparison(what, _sats(one_msat), _sats(other_msat)))

    def fiat(self, what: str, one_minor: int, other_minor: int) -> None:
        """Compares two amounts of the pool's currency."""
        self.comparisons.append(Comparison(what, fiat_text(one_minor, CURRENCY), fiat_text(other_minor, CURRENCY)))

    def text(self, what: str, one_side: object, other_side: object) -> None:
        """Compares anything else."""
        self.comparisons.append(Comparison(what, str(one_side), str(other_side)))


def _sats(msat: int) -> str:
    whole, rest = divmod(msat, MSATS_PER_SAT)
    return f"{whole:,} sats" if not rest else f"{Decimal(msat).scaleb(-3):,} sats"


@dataclass(frozen=True, slots=True)
class _Books:
    """What the books say: the journal's accounts (msat or minor units, debit > 0), the records, the payouts."""

    accounts: Mapping[str, int]
    per_client: Mapping[int, Any]  # records: settled sats, fiat; confirmed deposits
    totals: Any
    states: Mapping[str, CashOutState]
    distributed: list[str]


async def check(stage: Stage, narrator: Narrator) -> Agreement:
    """Compares, and shows the table."""
    narrator.heading("Do LNbits, the ledger and the ATM's cash-outs agree?")
    found = await compare(stage)
    narrator.table(
        ("one side = other side", ">one side", ">other side", ""),
        [[c.what, c.one_side, c.other_side, "agrees" if c.agrees else "DIFFERS"] for c in found.comparisons],
    )
    narrator.say()
    if found.agrees:
        narrator.say("Everything agrees to the sat:", style="bold green")
        narrator.line(
            "",
            f"{found.cash_outs} cash-outs, {found.records} shares, {found.payouts} payments, "
            f"{sats_text(found.paid_sats)} paid, {sats_text(found.owed_sats)} owed.",
            style="bold green",
        )
    else:
        wrong = sum(not c.agrees for c in found.comparisons)
        narrator.say(f"{wrong} of {len(found.comparisons)} comparisons DIFFER.", style="bold red")
    return found


async def compare(stage: Stage) -> Agreement:
    """Reads all sides, and compares."""
    books = await _read_books(stage)
    found = Agreement(
        cash_outs=len(books.distributed),
        records=int(books.totals.records),
        payouts=int(books.totals.payouts),
        paid_sats=int(books.totals.paid),
        owed_sats=int(books.totals.owed),
    )
    _compare_wallets(stage, books, found)
    _compare_ledger(stage, books, found)
    _compare_cash_outs(stage, books, found)
    checks = await verify.verify(stage.books)
    held = sum(check.holds for check in checks)
    found.text("ledger verify: checks = checks that hold", len(checks), held)
    return found


async def _read_books(stage: Stage) -> _Books:
    async with stage.books.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        per_client = await rows(
            conn,
            """SELECT c.id AS client_id,
                      (SELECT coalesce(sum(sats), 0) FROM distribution_record r
                        WHERE r.client_id = c.id AND r.state = 'settled') AS settled,
                      (SELECT coalesce(sum(fiat_minor), 0) FROM distribution_record r
                        WHERE r.client_id = c.id AND r.state <> 'reversed') AS fiat,
                      (SELECT coalesce(sum(amount_minor), 0) FROM deposit d
                        WHERE d.client_id = c.id AND d.state = 'confirmed') AS deposited
                 FROM client c""",
        )
        totals = await one(
            conn,
            """SELECT (SELECT count(*) FROM distribution_record) AS records,
                      (SELECT coalesce(sum(sats), 0) FROM distribution_record
                        WHERE state IN ('gathered', 'owed', 'in-payout')) AS owed,
                      count(*) AS payouts, coalesce(sum(amount_sats), 0) AS paid,
                      coalesce(sum(fee_msat), 0) AS fee_msat
                 FROM payout WHERE state = 'settled'""",
        )
        return _Books(
            accounts={r.name: int(r.balance) for r in await rows(conn, "SELECT name, balance FROM account")},
            per_client={r.client_id: r for r in per_client},
            totals=totals,
            states={
                r.external_id: CashOutState(r.state)
                for r in await rows(conn, "SELECT external_id, state FROM cash_out")
            },
            distributed=[
                r.external_id
                for r in await rows(
                    conn,
                    """SELECT c.external_id FROM distribution d JOIN cash_out c ON c.id = d.cash_out_id
                        WHERE d.reversed_at IS NULL""",
                )
            ],
        )


def _compare_wallets(stage: Stage, books: _Books, found: Agreement) -> None:
    """LNbits against the records and the payouts."""
    for person in stage.people:
        settled = int(books.per_client[person.client_id].settled)
        in_wallet = stage.lnbits.balance_msat(person.wallet.inkey)
        found.sats(f"{person.name}: LNbits wallet = settled records", in_wallet, settled * MSATS_PER_SAT)
    paid_msat = int(books.totals.paid) * MSATS_PER_SAT + int(books.totals.fee_msat)
    left = stage.lnbits.balance_msat(stage.source.inkey)
    expected = TOP_UP_SATS * MSATS_PER_SAT - paid_msat
    found.sats("source wallet: LNbits = top-up − paid − fees", left, expected)
    sent = [
        record["payment_hash"]
        for record in stage.lnbits.records(stage.source.adminkey)
        if record["amount"] < 0 and record["status"] == "success"
    ]
    found.text("payments: sent by LNbits = settled payouts", len(sent), books.totals.payouts)
    found.text("payments: different invoices = all of them", len(set(sent)), len(sent))


def _compare_ledger(stage: Stage, books: _Books, found: Agreement) -> None:
    """The journal's accounts against the records, the deposits and LNbits."""
    paid_msat = int(books.totals.paid) * MSATS_PER_SAT + int(books.totals.fee_msat)
    found.sats("ledger: sats paid out = payouts and fees", -_balance(books, accounts.coins_source()), paid_msat)
    owed = sum(-_balance(books, accounts.client_payable(person.client_id)) for person in stage.people)
    in_flight = -_balance(books, accounts.payouts_in_flight())
    found.sats("ledger: owed + in flight = nothing", owed + in_flight, 0)
    for person in stage.people:
        client = books.per_client[person.client_id]
        left = -_balance(books, accounts.client_fiat(person.client_id, DEFAULT_POOL_ID, CURRENCY))
        expected = int(client.deposited) - int(client.fiat)
        found.fiat(f"{person.name}: fiat left = deposit − what it bought", left, expected)


def _balance(books: _Books, account: accounts.Account) -> int:
    return books.accounts.get(account.name, 0)


def _compare_cash_outs(stage: Stage, books: _Books, found: Agreement) -> None:
    """Lamassu's own table against the distributions."""
    before = [key for key, states in stage.expected.items() if states == {CashOutState.BEFORE_BASELINE}]
    successes: dict[str, Decimal] = dict(
        stage.lamassu.execute(
            "SELECT id::text, crypto_atoms FROM public.cash_out_txs WHERE dispense_confirmed"
            " AND crypto_code IN ('BTC', 'LN') AND NOT (id = ANY(%s::uuid[]))",
            (before,),
        ).fetchall()
    )
    waiting = {key for key in successes if books.states.get(key) is CashOutState.REVIEW}
    due = successes.keys() - waiting
    distributed = set(books.distributed)
    found.text("cash-outs: successful since the baseline = distributed", _counted(due), _counted(distributed, due))
    found.text("cash-outs: distributions = cash-outs distributed", len(books.distributed), len(distributed))
    others = {key for key, states in stage.expected.items() if CashOutState.DISTRIBUTED not in states}
    found.text("cash-outs: of the other kinds, distributed = none", len(others & distributed), 0)
    as_told = sum(1 for key, states in stage.expected.items() if books.states.get(key) in states)
    found.text("cash-outs: made by the ATM = in the right state", len(stage.expected), as_told)
    received = sum(int(successes[key]) for key in due) * MSATS_PER_SAT
    found.sats(
        "sats: paid by laypeople = received in the ledger", received, _balance(books, accounts.coins_received())
    )
    house = -_balance(books, accounts.house_sats())
    clients = (int(books.totals.paid) + int(books.totals.owed)) * MSATS_PER_SAT
    found.sats("sats: paid by laypeople = clients' + house's", received, clients + house)


def _counted(keys: set[str], wanted: set[str] | None = None) -> str:
    """Their number, and which are missing or too many."""
    if wanted is None or keys == wanted:
        return str(len(keys))
    return f"{len(keys)} (missing {sorted(wanted - keys)}, too many {sorted(keys - wanted)})"
