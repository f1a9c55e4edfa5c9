"""What keeps a client from being erased: money that is its own, or on its way to it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.money import MSATS_PER_SAT, fiat_text, sats_text
from dca_daemon.ledger.db import rows, scalar

_SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Open:
    """Something that must be settled first, and how."""

    what: str
    remedy: str


async def still_open(conn: AsyncConnection, client_id: int) -> list[Open]:
    """Everything that must be settled before the client can be erased. The database has the same rule."""
    return [
        *await _accounts(conn, client_id),
        *await _pending(conn, client_id),
        *await _payouts(conn, client_id),
        *await _shares(conn, client_id),
    ]


async def _accounts(conn: AsyncConnection, client_id: int) -> list[Open]:
    found = await rows(
        conn,
        """SELECT a.purpose, a.unit, a.balance, p.name AS pool FROM account a LEFT JOIN pool p ON p.id = a.pool_id
            WHERE a.client_id = :id AND a.balance <> 0 ORDER BY a.id""",
        id=client_id,
    )
    return [_account(r.purpose, r.unit, r.balance, r.pool, client_id) for r in found]


def _account(purpose: str, unit: str, balance: int, pool: str, client_id: int) -> Open:
    if purpose == "client-fiat":
        give_back = f"give it back: dca-daemon deposit give-back {client_id} AMOUNT"
        return Open(f"it has {fiat_text(-balance, unit)} in the pool {pool!r}", give_back)
    sats = sats_text(abs(balance) // MSATS_PER_SAT)
    if purpose == "client-credit":
        settle = f"settle it: dca-daemon client adjust {client_id} --sats -SATS, or the other way round"
        return Open(f"it was paid {sats} ahead", settle)
    wait = f"wait until it is paid, or correct it: dca-daemon client adjust {client_id}"
    return Open(f"it is owed {sats}", wait)


async def _pending(conn: AsyncConnection, client_id: int) -> list[Open]:
    found = await rows(
        conn, "SELECT id FROM deposit WHERE client_id = :id AND state = 'pending' ORDER BY id", id=client_id
    )
    if not found:
        return []
    ids = _listed([str(r.id) for r in found])
    return [
        Open(f"deposits are pending ({ids})", "confirm or void them: dca-daemon deposit confirm, deposit void")
    ]


async def _payouts(conn: AsyncConnection, client_id: int) -> list[Open]:
    found = await rows(
        conn,
        """SELECT CAST(id AS text) AS id, state FROM payout
            WHERE client_id = :id AND state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held')
            ORDER BY created_at""",
        id=client_id,
    )
    if not found:
        return []
    ids = _listed([f"{r.id} {r.state}" for r in found])
    return [Open(f"payouts are not finished ({ids})", "wait for them, or decide: dca-daemon payout show ID")]


async def _shares(conn: AsyncConnection, client_id: int) -> list[Open]:
    shared = await scalar(
        conn,
        """SELECT EXISTS (SELECT FROM commission_share WHERE client_id = :id
                             AND version_id = (SELECT max(id) FROM commission_version))""",
        id=client_id,
    )
    take = "take its share away: dca-daemon commission set"
    return [Open("it has a share of the commission", take)] if shared else []


def _listed(texts: list[str]) -> str:
    more = f", and {len(texts) - _SHOWN_MAX} more" if len(texts) > _SHOWN_MAX else ""
    return ", ".join(texts[:_SHOWN_MAX]) + more
