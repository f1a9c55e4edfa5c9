"""The agreement at the end: LNbits' balances, the ledger and the ATM's cash-outs, compared to the sat.

Each side is read from its own source: LNbits over its API, Lamassu's tables, the journal's accounts, the records.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from dca_daemon.demo.check_books import BooksSide, read_books
from dca_daemon.demo.narrator import Narrator
from dca_daemon.demo.stage import Stage
from dca_daemon.demo.terms import CURRENCY
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.fixed import sats_for
from dca_daemon.domain.money import MSATS_PER_SAT, fiat_text, sats_text, to_minor
from dca_daemon.ledger import accounts, verify
from dca_daemon.services.clients import Mode
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
    commission_sats: int = 0  # to others than the house
    fixed_sats: int = 0

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
    books = await read_books(stage.books)
    found = Agreement(
        cash_outs=len(books.distributed),
        records=int(books.totals.records),
        payouts=int(books.totals.payouts),
        paid_sats=int(books.totals.paid),
        owed_sats=int(books.totals.owed),
        commission_sats=sum(int(client.commission) for client in books.per_client.values()),
        fixed_sats=sum(int(bought.sats) for bought in books.fixed),
    )
    _compare_wallets(stage, books, found)
    _compare_ledger(stage, books, found)
    _compare_cash_outs(stage, books, found)
    _compare_by_hand(stage, books, found)
    _compare_rest(stage, books, found)
    checks = await verify.verify(stage.books)
    held = sum(check.holds for check in checks)
    found.text("ledger verify: checks = checks that hold", len(checks), held)
    return found


def _compare_wallets(stage: Stage, books: BooksSide, found: Agreement) -> None:
    """LNbits against the records and the payouts."""
    for person in stage.people:
        client = books.per_client[person.client_id]
        paid_sats = int(client.settled) - int(client.credit_used)
        in_wallet = 0 if person.wallet_gone else stage.lnbits.balance_msat(person.wallet.inkey)
        found.sats(f"{person.name}: LNbits wallet = settled records", in_wallet, paid_sats * MSATS_PER_SAT)
    paid_msat = int(books.totals.paid) * MSATS_PER_SAT + int(books.totals.fee_msat)
    left = stage.lnbits.balance_msat(stage.source.inkey)
    expected = stage.topped_up_sats * MSATS_PER_SAT - paid_msat
    found.sats("source wallet: LNbits = top-ups − paid − fees", left, expected)
    sent = [
        record["payment_hash"]
        for record in stage.lnbits.records(stage.source.adminkey)
        if record["amount"] < 0 and record["status"] == "success"
    ]
    found.text("payments: sent by LNbits = settled payouts", len(sent), books.totals.payouts)
    found.text("payments: different invoices = all of them", len(set(sent)), len(sent))


def _compare_ledger(stage: Stage, books: BooksSide, found: Agreement) -> None:
    """The journal's accounts against the records, the deposits and LNbits."""
    paid_msat = int(books.totals.paid) * MSATS_PER_SAT + int(books.totals.fee_msat)
    paid_out = books.moved_msat - books.balance(accounts.coins_source())
    found.sats("ledger: sats paid out = payouts and fees", paid_out, paid_msat)
    owed = sum(-books.balance(accounts.client_payable(person.client_id)) for person in stage.people)
    in_flight = -books.balance(accounts.payouts_in_flight())
    unpaid = int(books.totals.owed) * MSATS_PER_SAT
    found.sats("ledger: owed + in flight = unpaid records", owed + in_flight, unpaid)
    for person in stage.people:
        if person.mode is Mode.COMMISSION:
            continue  # has no cash in the machines
        client = books.per_client[person.client_id]
        left = -books.balance(accounts.client_fiat(person.client_id, DEFAULT_POOL_ID, CURRENCY))
        expected = int(client.put_in) - int(client.fiat)
        found.fiat(f"{person.name}: fiat left = put in − what it bought", left, expected)


def _compare_cash_outs(stage: Stage, books: BooksSide, found: Agreement) -> None:
    """Lamassu's own table against the distributions."""
    before = [key for key, states in stage.expected.items() if states == {CashOutState.BEFORE_BASELINE}]
    successes: dict[str, tuple[Decimal, Decimal]] = {
        key: (atoms, fiat)
        for key, atoms, fiat in stage.lamassu.execute(
            "SELECT id::text, crypto_atoms, fiat FROM public.cash_out_txs WHERE dispense_confirmed"
            " AND crypto_code IN ('BTC', 'LN') AND NOT (id = ANY(%s::uuid[]))",
            (before,),
        )
    }
    left_out = {CashOutState.REVIEW, CashOutState.IGNORED}
    due = {key for key in successes if books.states.get(key) not in left_out}
    distributed = set(books.distributed)
    by_daemon = distributed - books.by_hand.keys()
    found.text("cash-outs: successful since the baseline = distributed", _counted(due), _counted(by_daemon, due))
    found.text("cash-outs: distributions = cash-outs distributed", len(books.distributed), len(distributed))
    others = {key for key, states in stage.expected.items() if CashOutState.DISTRIBUTED not in states}
    found.text("cash-outs: of the other kinds, distributed = none", len(others & distributed), 0)
    as_told = sum(1 for key, states in stage.expected.items() if books.states.get(key) in states)
    found.text("cash-outs: made by ATM or hand = in the right state", len(stage.expected), as_told)
    by_hand = books.by_hand.values()
    received = int(sum(successes[key][0] for key in due) + sum(r.crypto_atoms for r in by_hand)) * MSATS_PER_SAT
    in_ledger = books.balance(accounts.coins_received()) + books.moved_msat + books.move_fees_msat
    found.sats("sats: paid by laypeople = received in the ledger", received, in_ledger)
    house = -books.balance(accounts.house_sats())
    others_sats = (int(books.totals.paid) + int(books.totals.owed) - int(books.totals.credit)) * MSATS_PER_SAT
    found.sats("sats: paid by laypeople = all receivers' + house's", received, others_sats + house)
    notes = sum((successes[key][1] for key in due), Decimal()) + sum((r.fiat for r in by_hand), Decimal())
    expected = int(books.totals.notes_in) - to_minor(notes, CURRENCY)
    in_machines = books.balance(accounts.cash(DEFAULT_POOL_ID, CURRENCY))
    found.fiat("cash: notes put in − notes that left = in the ledger", expected, in_machines)


def _compare_by_hand(stage: Stage, books: BooksSide, found: Agreement) -> None:
    """What Lamassu has of a cash-out that failed against the entry that stands in its place."""
    for external_id, reference in stage.by_hand.items():
        row = stage.lamassu.execute(
            "SELECT crypto_atoms, fiat FROM public.cash_out_txs WHERE id = %s", (external_id,)
        ).fetchone()
        assert row is not None
        entry = books.by_hand.get(reference)
        what = f"{reference}: what Lamassu has = what stands by hand"
        found.text(
            what, _entry(row[0], row[1]), "nothing" if entry is None else _entry(entry.crypto_atoms, entry.fiat)
        )


def _entry(atoms: Decimal, fiat: Decimal) -> str:
    return f"{atoms:,.0f} sats, {fiat:,.2f}"


def _compare_rest(stage: Stage, books: BooksSide, found: Agreement) -> None:
    """The commission and Fixed Mode, reckoned anew."""
    for person in stage.people:
        if due := books.commission_due.get(person.client_id):
            booked = int(books.per_client[person.client_id].commission) * MSATS_PER_SAT
            found.sats(f"{person.name}: commission by percentages = booked", due * MSATS_PER_SAT, booked)
    shared = sum(books.commission_due.values()) * MSATS_PER_SAT
    booked = sum(int(client.commission) for client in books.per_client.values()) * MSATS_PER_SAT
    found.sats("commission: due to all receivers = booked", shared, booked)
    tickers = {
        price for (price,) in stage.lamassu.execute("SELECT DISTINCT raw_ticker_price FROM public.cash_out_txs")
    }
    strange = sum(fixed.rate_fiat not in tickers for fixed in books.fixed)
    found.text("Fixed Mode: prices that no ATM had = none", strange, 0)
    bought = sum(sats_for(int(fixed.fiat_minor), fixed.rate_fiat, CURRENCY) for fixed in books.fixed)
    booked = sum(int(fixed.sats) for fixed in books.fixed)
    found.sats("Fixed Mode: fiat at the ATMs' tickers = bought", bought * MSATS_PER_SAT, booked * MSATS_PER_SAT)


def _counted(keys: set[str], wanted: set[str] | None = None) -> str:
    """Their number, and which are missing or too many."""
    if wanted is None or keys == wanted:
        return str(len(keys))
    return f"{len(keys)} (missing {sorted(wanted - keys)}, too many {sorted(keys - wanted)})"
