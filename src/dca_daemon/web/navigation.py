"""The menu: every page's place, and who sees it."""

from __future__ import annotations

from dataclasses import dataclass

from dca_daemon.domain.rights import Role


@dataclass(frozen=True, slots=True)
class Place:
    """One entry; `path` is where it leads, and what pages under it begin with."""

    path: str
    title: str
    role: Role = Role.VIEWER


MENU = (
    Place("/", "Overview"),
    Place("/clients", "Clients"),
    Place("/deposits", "Deposits"),
    Place("/cash-outs", "Cash-outs"),
    Place("/payouts", "Payouts"),
    Place("/fixed", "Fixed Mode"),
    Place("/commission", "Commission"),
    Place("/machines", "Machines"),
    Place("/treasury", "Treasury"),
    Place("/reconciliation", "Reconciliation"),
    Place("/ledger", "Ledger"),
    Place("/system", "System"),
    Place("/audit", "Audit"),
    Place("/users", "Users", Role.ADMIN),
    Place("/tokens", "Tokens", Role.ADMIN),
    Place("/webhooks", "Webhooks", Role.ADMIN),
)
