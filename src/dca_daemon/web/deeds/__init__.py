"""What can be done, by subject: see `web/actions.py`."""

from dca_daemon.web.deeds import (
    adjustments,
    cash_outs,
    clients,
    commission,
    deposits,
    filters,
    fixed,
    machines,
    treasury,
    users,
)

__all__ = [
    "adjustments",
    "cash_outs",
    "clients",
    "commission",
    "deposits",
    "filters",
    "fixed",
    "machines",
    "treasury",
    "users",
]
