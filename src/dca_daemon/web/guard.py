"""What guards every answer."""

from __future__ import annotations

from fastapi import FastAPI

from dca_daemon.web.desk import Desk


def guarded(app: FastAPI, desk: Desk) -> None:
    """Adds them."""
