"""The books against Lamassu: every success since the baseline is decided, nothing is booked that is not there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Protocol

from dca_daemon.domain.cash_out import CashOutState, SourceRow
from dca_daemon.ledger.db import Database
from dca_daemon.services import baseline
from dca_daemon.services.baseline import Digest
from dca_daemon.services.mirror import OPERATOR, contradicts
from dca_daemon.services.reconciliation.books import EVER, Booked, booked_pages, states_of
from dca_daemon.services.reconciliation.findings import Findings, Kind, NoteKind

CANDIDATES_MAX = 1_000  # successes that may only be too new to be booked: so many are looked at again
_UNDECIDED = (None, CashOutState.FAILED, CashOutState.DUE)


class Source(Protocol):
    """What this needs of Lamassu's database: reading, page by page."""

    async def now(self) -> datetime:
        """The source's own clock."""

    def digests(self, since: timedelta, *, wide: bool = False) -> AsyncIterator[Sequence[Digest]]:
        """Pages of rows of that window; `wide`: and of every success."""

    async def look_up(self, ids: Sequence[str]) -> list[SourceRow]:
        """These rows, without the time of the dispense."""


async def successes_are_booked(db: Database, source: Source, findings: Findings, *, since: datetime) -> list[str]:
    """Every successful cash-out is decided in the books. Gives those that are not, yet, for `still_missing`."""
    if await baseline.show(db) is None:
        findings.note(NoteKind.NO_BASELINE)
        return []
    ever = since <= EVER
    window = timedelta(0) if ever else max(timedelta(0), await source.now() - since)
    candidates: list[str] = []
    async for page in source.digests(window, wide=ever):
        ids = [row.external_id for row in page if row.success]
        states = await states_of(db, ids)
        findings.compared["successful_cash_outs"] += len(ids)
        for external_id in ids:
            if states.get(external_id) is CashOutState.REVIEW:
                findings.note(NoteKind.IN_REVIEW, external_id)
            elif states.get(external_id) in _UNDECIDED and len(candidates) < CANDIDATES_MAX:
                candidates.append(external_id)
            elif states.get(external_id) in _UNDECIDED:
                _missing(external_id, states.get(external_id), findings)
    return candidates


async def still_missing(db: Database, candidates: Sequence[str]) -> dict[str, CashOutState | None]:
    """Which of them the books have not decided meanwhile, with the state that they have."""
    states = await states_of(db, candidates)
    return {c: states.get(c) for c in candidates if states.get(c) in _UNDECIDED}


def tell_missing(missing: dict[str, CashOutState | None], findings: Findings) -> None:
    """They are missing for good."""
    for external_id, state in missing.items():
        _missing(external_id, state, findings)


def _missing(external_id: str, state: CashOutState | None, findings: Findings) -> None:
    have = "do not have it" if state is None else f"have it as {state}"
    text = f"cash-out {external_id} is successful at Lamassu, but the books {have}"
    findings.differs(Kind.CASH_OUT_MISSING, text, external_id=external_id)


async def booked_is_there(
    db: Database, source: Source, findings: Findings, *, since: datetime, page_rows: int
) -> None:
    """Whatever is distributed is at Lamassu, successful, with the same amounts."""
    async for page in booked_pages(db, since, page_rows=page_rows):
        there = {row.external_id: row for row in await source.look_up([booked.external_id for booked in page])}
        for booked in page:
            findings.compared["booked_cash_outs"] += 1
            findings.compared["booked_sats"] += int(booked.crypto_atoms)
            _compare(booked, there.get(booked.external_id), findings)


def _compare(booked: Booked, row: SourceRow | None, findings: Findings) -> None:
    who = f"cash-out {booked.external_id} (our number {booked.cash_out_id})"
    if row is None:
        text = f"{who} is distributed, but Lamassu does not have it"
        findings.differs(Kind.CASH_OUT_UNKNOWN, text, external_id=booked.external_id)
        return
    findings.compared["known_to_lamassu"] += 1
    amounts = (booked.crypto_atoms, booked.fiat, booked.fiat_code)
    against = contradicts(row, amounts, by_order=booked.reason == OPERATOR)
    if against is not None:
        text = f"{who} is distributed, of {_amounts(booked.crypto_atoms, booked.fiat, booked.fiat_code)}; "
        text += f"Lamassu has {_amounts(row.crypto_atoms, row.fiat, row.fiat_code)}: {against}"
        findings.differs(Kind.CASH_OUT_CHANGED, text, external_id=booked.external_id)


def _amounts(atoms: Decimal, fiat: Decimal, currency: str) -> str:
    return f"{atoms:f} sats for {fiat.normalize():f} {currency}"
