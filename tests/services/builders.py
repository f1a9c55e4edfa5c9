"""Short ways to the rows and clients that tests need."""

from __future__ import annotations

import itertools
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.ledger.db import Database, execute, scalar
from dca_daemon.services import deposits

_names = itertools.count(1)
_SEALED = b"sealed"


def success(**changes: Any) -> SourceRow:
    """The worked row of lamassu.md §3: 4000 GTQ at 5.5 %, 512,400 sats."""
    values: dict[str, Any] = {
        "external_id": str(uuid.uuid4()),
        "device_id": "d" * 64,
        "crypto_code": "BTC",
        "crypto_atoms": Decimal(512400),
        "fiat": Decimal("4000.00000"),
        "fiat_code": "GTQ",
        "status": "confirmed",
        "dispense": True,
        "dispense_confirmed": True,
        "redeem": False,
        "error": None,
        "error_code": None,
        "created": datetime(2026, 11, 1, 12, tzinfo=UTC),
        "confirmed_at": datetime(2026, 11, 1, 12, 1, tzinfo=UTC),
        "commission_percentage": Decimal("0.05500"),
        "discount": None,
        "raw_ticker_price": Decimal("826091.28000"),
        "fixed_fee": None,
        "tx_version": 5,
        "machine_name": "Antigua",
        "machine_version": "v10.0.3",
        "dispensed_at": datetime(2026, 11, 1, 12, 2, tzinfo=UTC),
    }
    return SourceRow(**{**values, **changes})


async def client(db: Database, deposit: str | None = None, *, mode: str = "flow") -> int:
    """A client (written straight into the books: no wallet is asked), with a confirmed deposit."""

    async def work(conn: AsyncConnection) -> int:
        destination = await scalar(
            conn,
            "INSERT INTO destination (kind, invoice_key_encrypted) VALUES ('lnbits', :key) RETURNING id",
            key=_SEALED,
        )
        client_id: int = await scalar(
            conn,
            "INSERT INTO client (name, mode, destination_id) VALUES (:name, :mode, :destination) RETURNING id",
            name=f"Client {next(_names)}",
            mode=mode,
            destination=destination,
        )
        return client_id

    client_id = await db.run(work)
    if deposit is not None:
        recorded = await deposits.record(
            db, client=str(client_id), amount=deposit, currency=None, note=None, actor="test"
        )
        await deposits.confirm(db, recorded.deposit_id, actor="test")
    return client_id


async def sql(db: Database, statement: str, **parameters: Any) -> int:
    """Runs a statement in a transaction of its own."""
    async with db.transaction() as conn:
        return await execute(conn, statement, **parameters)


async def value(db: Database, query: str, **parameters: Any) -> Any:
    """One value."""
    async with db.transaction() as conn:
        return await scalar(conn, query, **parameters)
