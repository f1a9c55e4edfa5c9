"""The API, by subject."""

from dca_daemon.web.api import (
    adjustments,
    cash_outs,
    clients,
    commission,
    deposits,
    distributions,
    events,
    filters,
    fixed,
    machines,
    payouts,
    periods,
    treasury,
    users,
    values,
    webhooks,
)

__all__ = [
    "adjustments",
    "cash_outs",
    "clients",
    "commission",
    "deposits",
    "distributions",
    "events",
    "filters",
    "fixed",
    "machines",
    "payouts",
    "periods",
    "treasury",
    "users",
    "values",
    "webhooks",
]
