"""What can be done, by subject: see `web/actions.py`."""

from dca_daemon.web.deeds import (
    adjustments,
    clients,
    deposits,
    users,
)

__all__ = [
    "adjustments",
    "clients",
    "deposits",
    "users",
]
