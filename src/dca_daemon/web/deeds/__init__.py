"""What can be done, by subject: see `web/actions.py`."""

from dca_daemon.web.deeds import (
    adjustments,
    cash_outs,
    clients,
    commission,
    deposits,
    distributions,
    filters,
    fixed,
    machines,
    payouts,
    treasury,
    users,
    webhooks,
)

__all__ = [
    "adjustments",
    "cash_outs",
    "clients",
    "commission",
    "deposits",
    "distributions",
    "filters",
    "fixed",
    "machines",
    "payouts",
    "treasury",
    "users",
    "webhooks",
]
