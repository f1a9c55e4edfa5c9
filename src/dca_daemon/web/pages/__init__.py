"""The pages, by subject."""

from dca_daemon.web.pages import (
    account,
    cash_outs,
    clients,
    commission,
    deposits,
    distributions,
    filters,
    fixed,
    login,
    machines,
    overview,
    payouts,
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
    "distributions",
    "filters",
    "fixed",
    "login",
    "machines",
    "overview",
    "payouts",
    "periods",
    "treasury",
    "users",
    "webhooks",
]
