"""Two clients with a past, of which one has a personal link."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from dca_daemon.services import adjustments, client_access, deposits, fixed_amounts
from dca_daemon.services.intake import Intake, IntakeConfig
from tests.services.builders import success
from tests.web.conftest import Console

FIRST = datetime(2026, 11, 1, 12, 2, tzinfo=UTC)
PRICES = (Decimal("800000"), Decimal("812000"), Decimal("790500"), Decimal("826091.28"), Decimal("805000"))


async def a_client_with_a_past(console: Console, cash_outs: int = 14) -> tuple[int, str]:
    """Ana, who has four times as much in as Bea; her id, and the path of her link."""
    db = console.db
    ids = [(await console.add_client(name)).client_id for name in ("Ana", "Bea")]
    for client_id, amount in zip(ids, ("40000", "10000"), strict=True):
        made = await deposits.record(
            db, client=str(client_id), amount=amount, currency=None, note="slip 17", actor="os:test"
        )
        await deposits.confirm(db, made.deposit_id, actor="os:test")
    await deposits.record(db, client="Ana", amount="1500", currency=None, note=None, actor="os:test")
    intake = Intake(db, IntakeConfig())
    for n in range(cash_outs):
        fiat = Decimal(400 + 100 * (n % 4))
        sats = (fiat * 100_000_000 / PRICES[n % 5] / Decimal("0.945")).quantize(Decimal(1))
        row = success(fiat=fiat, crypto_atoms=sats, dispensed_at=FIRST + timedelta(hours=7 * n))
        await intake.process([row])
    await adjustments.apply(db, adjustments.Wish(client="Ana", reason="test", sats="+1500"), actor="os:test")
    await client_access.allow(db, "Ana", switch_mode=True, change_amount=True, actor="os:test")
    await fixed_amounts.change(db, "Ana", per_day="250", actor="os:test")
    _, token = await client_access.make_link(db, "Ana", actor="os:test")
    return ids[0], f"/my/{token}"
