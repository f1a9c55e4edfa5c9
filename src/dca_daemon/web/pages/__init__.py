"""The pages, by subject."""

from dca_daemon.web.pages import (
    account,
    cash_outs,
    clients,
    commission,
    deposits,
    filters,
    fixed,
    login,
    machines,
    overview,
    periods,
    treasury,
    users,
    webhooks,
)

__all__ = [
    "account",
    "cash_outs",
    "clients",
    "commission",
    "deposits",
    "filters",
    "fixed",
    "login",
    "machines",
    "overview",
    "periods",
    "treasury",
    "users",
    "webhooks",
]
