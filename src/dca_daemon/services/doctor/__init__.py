"""Looks at everything that the daemon depends on, and says of each thing whether it is well, and what to do.

A check never raises: what it can't look at is its finding. To add one, write a function that takes a `Subject`
and returns findings into the module of its area, and put it into `CHECKS`. docs/doctor.md explains each finding.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from sqlalchemy.exc import DBAPIError

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import first_line
from dca_daemon.services.doctor.backups import check_backups
from dca_daemon.services.doctor.books import check_baseline, check_books, check_keys, check_pool
from dca_daemon.services.doctor.commission import check_commission
from dca_daemon.services.doctor.disk import check_disk
from dca_daemon.services.doctor.findings import Check, Finding, Level, Subject
from dca_daemon.services.doctor.fixed import check_fixed
from dca_daemon.services.doctor.source import check_lamassu
from dca_daemon.services.doctor.wallet import check_lnbits

__all__ = ["CHECKS", "Check", "Finding", "Level", "Subject", "check_books", "check_lamassu", "examine"]

CHECK_SECONDS = 30.0


async def examine(subject: Subject, areas: Collection[str] | None = None) -> list[Finding]:
    """All findings, or those of some areas, in the order of `CHECKS`."""
    findings: list[Finding] = []
    for area, check in CHECKS:
        if areas is None or area in areas:
            findings += await _safely(area, check, subject)
    return findings


async def _safely(area: str, check: Check, subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await check(subject)
    except DcaError as error:
        return [Finding(area, "reachable", Level.FAIL, error.message, error.remedy or "")]
    except DBAPIError as error:
        text = f"our database refuses: {first_line(error)}"
        return [Finding(area, "readable", Level.FAIL, text, "check the rights of database.url's role")]
    except TimeoutError:
        return [Finding(area, "in-time", Level.FAIL, f"no answer within {CHECK_SECONDS:g} s", "look at its load")]
    except Exception as error:  # noqa: BLE001 - one check's fault must not hide what the others find
        text = f"the check itself failed: {type(error).__name__}: {first_line(error) if str(error) else ''}"
        return [Finding(area, "check", Level.FAIL, text.rstrip(": "), "report it: this is a fault of ours")]


CHECKS: tuple[tuple[str, Check], ...] = (
    ("database", check_books),
    ("pool", check_pool),
    ("keys", check_keys),
    ("lamassu", check_lamassu),
    ("commission", check_commission),
    ("baseline", check_baseline),
    ("lnbits", check_lnbits),
    ("fixed", check_fixed),
    ("backups", check_backups),
    ("disk", check_disk),
)
