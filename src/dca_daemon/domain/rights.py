"""Who may do what: roles of people, scopes of API tokens."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person may do; each role may do what those before it may."""

    VIEWER = "viewer"  # sees everything, changes nothing
    OPERATOR = "operator"  # the daily work: deposits, cash-outs, payouts, clients
    ADMIN = "admin"  # besides: users, tokens, webhooks, commission, destinations, corrections of the books

    def includes(self, other: Role) -> bool:
        """Whether who has this role may do what `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class Scope(StrEnum):
    """What an API token may do. `read` sees everything; `client` is a client's own token, for itself only."""

    READ = "read"
    CLIENTS = "clients:write"
    DEPOSITS = "deposits:write"
    CASH_OUTS = "cash-outs:write"
    PAYOUTS = "payouts:write"
    FIXED = "fixed:write"
    COMMISSION = "commission:write"
    MACHINES = "machines:write"  # machines, pools, cash, filters
    BOOKS = "books:write"  # adjustments, reversals, treasury
    ADMIN = "admin:write"  # users, tokens, webhooks, where clients are paid, clients' access
    CLIENT = "client"
