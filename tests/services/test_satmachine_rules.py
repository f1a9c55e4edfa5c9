"""The rules of the import, for any tables: sums are exact, and junk makes problems, no exceptions."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dca_daemon.services.importing.satmachine import Amounts, PendingPayments, Rules, plan
from dca_daemon.services.importing.tables import Tables
from tests.fixtures.satmachine import COLUMNS

RULES = Rules("GTQ", Amounts.MAIN, PendingPayments.PAID)


def tables(clients: list[Any], deposits: list[Any], payments: list[Any]) -> Tables:
    rows = {"dca_clients": clients, "dca_deposits": deposits, "dca_payments": payments}
    return Tables(rows, {name: frozenset(columns) for name, columns in COLUMNS.items()}, "test")


MONEY = st.integers(0, 10**9).map(lambda minor: str(Decimal(minor).scaleb(-2)))


@given(st.lists(st.tuples(st.integers(0, 3), MONEY, st.booleans())), st.lists(st.tuples(st.integers(0, 3), MONEY)))
def test_sums_are_exact(deposits: list[tuple[int, str, bool]], payments: list[tuple[int, str]]) -> None:
    clients = [{"id": str(n), "username": f"C{n}", "dca_mode": "flow", "status": "active"} for n in range(4)]
    found = plan(
        tables(
            clients,
            [
                {"client_id": str(c), "amount": a, "currency": "GTQ", "status": "confirmed" if ok else "pending"}
                for c, a, ok in deposits
            ],
            [
                {"client_id": str(c), "amount_sats": "7", "amount_fiat": a, "status": "confirmed"}
                for c, a in payments
            ],
        ),
        RULES,
    )
    sums = found.sums()
    assert sums["deposited_minor"] == sum(Decimal(a) * 100 for _, a, ok in deposits if ok)
    assert sums["pending_minor"] == sum(Decimal(a) * 100 for _, a, ok in deposits if not ok)
    assert sums["converted_minor"] == sum(Decimal(a) * 100 for _, a in payments)
    assert sums["received_sats"] == 7 * len(payments)
    assert bool(found.problems) == any(c.left_minor < 0 for c in found.clients)


CELL = st.one_of(
    st.none(), st.text(max_size=8), st.sampled_from(["1", "-1", "0.001", "flow", "active", "pending", "GTQ"])
)


def rows_of(table: str) -> st.SearchStrategy[list[dict[str, str | None]]]:
    return st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS[table], CELL)), max_size=4)


@given(rows_of("dca_clients"), rows_of("dca_deposits"), rows_of("dca_payments"))
def test_junk_makes_problems_and_no_exception(
    clients: list[Any], deposits: list[Any], payments: list[Any]
) -> None:
    found = plan(tables(clients, deposits, payments), RULES)
    assert all("\n" not in problem for problem in found.problems)
    if deposits and not found.clients:
        assert found.problems
