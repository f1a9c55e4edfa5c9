"""What can be done, by subject: see `web/actions.py`."""

from dca_daemon.web.deeds import (
    adjustments,
    cash_outs,
    client_access,
    clients,
    commission,
    deposits,
    distributions,
    filters,
    fixed,
    machines,
    own,
    payouts,
    tokens,
    treasury,
    users,
    webhooks,
)

__all__ = [
    "adjustments",
    "cash_outs",
    "client_access",
    "clients",
    "commission",
    "deposits",
    "distributions",
    "filters",
    "fixed",
    "machines",
    "own",
    "payouts",
    "tokens",
    "treasury",
    "users",
    "webhooks",
]
