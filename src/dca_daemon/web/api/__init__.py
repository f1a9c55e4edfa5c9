"""The API, by subject."""

from dca_daemon.web.api import (
    adjustments,
    clients,
    deposits,
    events,
    users,
    values,
    webhooks,
)

__all__ = [
    "adjustments",
    "clients",
    "deposits",
    "events",
    "users",
    "values",
    "webhooks",
]
