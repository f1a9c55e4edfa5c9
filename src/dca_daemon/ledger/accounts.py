"""The chart of accounts. Each function names one account; the journal opens it when it is first used.

Asset and expense accounts normally stand on the debit side (balance > 0), the others on the credit side.
"""

from __future__ import annotations

from dataclasses import dataclass

MSAT = "msat"


@dataclass(frozen=True, slots=True)
class Account:
    """What opens an account. A guarded one never stands on its wrong side: the database refuses it."""

    name: str
    unit: str  # msat, or an ISO 4217 code in its minor unit
    kind: str
    purpose: str
    guarded: bool = False
    client_id: int | None = None
    pool_id: int | None = None


def cash(pool_id: int, currency: str) -> Account:
    """Notes in the machines of a pool. May go below zero when the operator forgot to book a refill."""
    return Account(f"cash:pool:{pool_id}", currency, "asset", "cash", pool_id=pool_id)


def client_fiat(client_id: int, pool_id: int, currency: str) -> Account:
    """What a client still has in: never negative."""
    return Account(
        f"client:{client_id}:fiat:{pool_id}",
        currency,
        "liability",
        "client-fiat",
        guarded=True,
        client_id=client_id,
        pool_id=pool_id,
    )


def house_fiat(pool_id: int, currency: str) -> Account:
    """The operator's own cash in the pool."""
    return Account(f"house:fiat:{pool_id}", currency, "equity", "house-fiat", pool_id=pool_id)


def coins_received() -> Account:
    """What laypeople paid into the ATM's own wallet."""
    return Account("coins:received", MSAT, "asset", "coins-received")


def coins_source() -> Account:
    """What payouts and fees took out of the source wallet (credit), less what was written down as moved in."""
    return Account("coins:source", MSAT, "asset", "coins-source")


def client_payable(client_id: int) -> Account:
    """Owed to a client, not in a payout."""
    return Account(
        f"client:{client_id}:payable", MSAT, "liability", "client-payable", guarded=True, client_id=client_id
    )


def client_credit(client_id: int) -> Account:
    """Paid to a client ahead of what the books say: used up by what it is owed next (docs/payouts.md)."""
    return Account(f"client:{client_id}:credit", MSAT, "asset", "client-credit", guarded=True, client_id=client_id)


def house_sats() -> Account:
    """The house's sats: commission that nobody else gets, and principal that no client's balance covered."""
    return Account("house:sats", MSAT, "equity", "house-sats")


def payouts_in_flight() -> Account:
    """Reserved by payouts whose outcome is not known yet."""
    return Account("payouts:in-flight", MSAT, "liability", "payouts-in-flight", guarded=True)


def losses() -> Account:
    """Sats that left the source wallet and never arrived: the house bears them."""
    return Account("expense:losses", MSAT, "expense", "losses")


def fees() -> Account:
    """Routing fees."""
    return Account("expense:fees", MSAT, "expense", "fees")
