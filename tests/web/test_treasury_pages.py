"""The treasury in the console: what is owed and lacks, and moves that are written down once."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from dca_daemon.domain.rights import Role
from dca_daemon.services import treasury
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.web.daemon_status import Answer
from tests.services.builders import client, success
from tests.web.conftest import Console, carry_out


async def test_the_treasury(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    await client(console.db, "20000")
    now_is = datetime.now(UTC)
    row = success(created=now_is, confirmed_at=now_is, dispensed_at=now_is)
    await Intake(console.db, IntakeConfig()).process([row])
    seen: dict[str, Any] = {"source_wallet_balance_sats": 84_218}

    async def read() -> Answer:
        return Answer(seen, {})

    async with console.person(Role.ADMIN) as browser:
        for days in ("many", "0", "93"):
            refused = await browser.get("/treasury", params={"days": days})
            assert refused.status_code == 422 and "no number of days from 1 to 92" in refused.text
        alone = (await browser.get("/treasury", params={"days": ""})).text
        assert "can't be told" in alone and "484,218 sats" in alone and "28,182 sats" in alone
        monkeypatch.setattr(console.desk.daemon, "read", read)
        assert "Move 400,000 sats into the source wallet." in (await browser.get("/treasury")).text
        for fields, why in (
            ({"sats": "0", "reason": "x"}, "0 sats can&#39;t be moved"),
            ({"sats": "1.5", "reason": "x"}, "must be a whole number"),
            ({"sats": "9" * 30, "reason": "x"}, "less than or equal"),
            ({"sats": "5", "fee_sats": "5", "reason": "x"}, "does not fit a move"),
            ({"sats": "5"}, "this is needed"),
        ):
            refused = await browser.post("/treasury/move", data=fields)
            assert refused.status_code == 422 and why in refused.text and 'class="wrong"' in refused.text, fields
        assert await treasury.moves(console.db) == []
        await carry_out(browser, "/treasury/move", {"sats": "400000", "fee_sats": "12", "reason": "on <foot>"})
        shown = (await browser.get("/treasury", params={"days": "1"})).text
        assert "on &lt;foot&gt;" in shown and "user:some-admin" in shown
        again = (await browser.post("/treasury/move", data={"sats": "200000", "reason": "more"})).text
        assert "more than laypeople ever paid in" in again and "The last one was" in again
        assert (await browser.get("/treasury", params={"after": 99})).status_code == 404
        for by in ("day", "week", "month", "year"):
            report = await browser.get("/treasury/periods", params={"by": by})
            assert report.status_code == 200 and "4,000.00 GTQ" in report.text
    async with console.program() as program:
        body, key = {"sats": -1000, "reason": "back"}, {"Idempotency-Key": "back"}
        first, second = [await program.post("/api/v1/treasury/moves", json=body, headers=key) for _ in range(2)]
        assert first.status_code == 201 and first.json() == second.json()
        assert first.json()["source_after_msat"] == 399_000_000
        assert (await program.post("/api/v1/treasury/moves", json={**body, "sats": True})).status_code == 422
        now = (await program.get("/api/v1/treasury", params={"days": 3})).json()
        assert (now["to_move_sats"], now["moved_msat"], now["days"][-1]["moved_msat"]) == (
            400_000,
            *2 * [399_000_000],
        )
        newest = (await program.get("/api/v1/treasury/moves", params={"limit": 1})).json()
        assert [one["sats"] for one in newest["moves"]] == [-1000] and newest["next"]
        rest = (await program.get("/api/v1/treasury/moves", params={"after": newest["next"]})).json()
        assert [one["sats"] for one in rest["moves"]] == [400_000] and rest["next"] is None
        seen["source_wallet_balance_sats"] = None
        assert (await program.get("/api/v1/treasury")).json()["to_move_sats"] is None
        report = (await program.get("/api/v1/reports/periods", params={"by": "day"})).json()
        assert [(one["cash_outs"], one["fiat"]) for one in report["currencies"]] == [(1, "4000.00")]
        assert report["sats"][-1]["fees_msat"] == 12_000
        assert (await program.get("/api/v1/reports/periods", params={"by": "year"})).status_code == 422
