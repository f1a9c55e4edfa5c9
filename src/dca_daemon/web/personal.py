"""Addresses that are secrets: a client's personal link. They are in no log, and browsers tell them to nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dca_daemon.web.desk import Desk

PERSONAL = "/my/"


def link_to(desk: Desk, token: str) -> str:
    """The whole address, as browsers reach us."""
    return f"{desk.base_url or desk.settings.console.address}{PERSONAL}{token}"
