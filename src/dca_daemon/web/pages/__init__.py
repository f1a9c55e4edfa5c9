"""The pages, by subject."""

from dca_daemon.web.pages import (
    account,
    clients,
    deposits,
    login,
    overview,
    users,
    webhooks,
)

__all__ = [
    "account",
    "clients",
    "deposits",
    "login",
    "overview",
    "users",
    "webhooks",
]
