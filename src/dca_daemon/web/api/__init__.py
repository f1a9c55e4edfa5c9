"""The API, by subject."""

from dca_daemon.web.api import (
    adjustments,
    cash_outs,
    clients,
    commission,
    deposits,
    events,
    filters,
    fixed,
    machines,
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
    "events",
    "filters",
    "fixed",
    "machines",
    "periods",
    "treasury",
    "users",
    "values",
    "webhooks",
]
