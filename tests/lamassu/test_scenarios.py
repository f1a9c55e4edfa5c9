"""Every row of the table of cases, written by SQL in the real order of writes, read back and classified."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from dca_daemon.demo.atm import SimulatedAtm, Terms
from dca_daemon.demo.atm_scenarios import SCENARIOS, begin, run
from dca_daemon.domain.cash_out import Verdict, classify, split_row
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.lamassu.source import LamassuSource


@pytest.mark.parametrize("name", sorted(SCENARIOS))
async def test_each_case_is_classified_as_the_table_says(
    name: str, atm: SimulatedAtm, source: LamassuSource
) -> None:
    scenario = SCENARIOS[name]
    external_id = run(atm, name)
    (row,) = await source.fetch([external_id])
    found = classify(row)
    assert (found.verdict, found.reason) == (scenario.verdict, scenario.reason)
    assert (row.device_id, row.machine_name, row.machine_version) == (atm.device_id, "Mercado Central", "10.0.3")


@pytest.mark.parametrize("name", [n for n, s in SCENARIOS.items() if s.verdict is Verdict.SUCCESS])
async def test_success_comes_with_the_final_write_and_not_before(
    name: str, atm: SimulatedAtm, source: LamassuSource
) -> None:
    cash_out = begin(atm, name)
    verdicts = []
    while True:
        (row,) = await source.fetch([cash_out.id])
        verdicts.append(classify(row).verdict)
        told = cash_out.step()
        if told is None:
            break
    first = verdicts.index(Verdict.SUCCESS)
    assert set(verdicts[:first]) == {Verdict.FAILED} and set(verdicts[first:]) == {Verdict.SUCCESS}


async def test_the_digest_of_a_scan_is_the_digest_of_the_row(atm: SimulatedAtm, source: LamassuSource) -> None:
    ids = [run(atm, name) for name in SCENARIOS]
    digests = {d.external_id: d for page in [p async for p in source.digests(timedelta(days=1))] for d in page}
    rows = {row.external_id: row for row in await source.fetch(ids)}
    assert {i: d.digest for i, d in digests.items()} == {i: row.digest for i, row in rows.items()}
    successes = {i for i, d in digests.items() if d.success}
    confirmed = {i for i, row in rows.items() if classify(row).verdict in (Verdict.SUCCESS, Verdict.REVIEW)}
    assert successes == confirmed


async def test_money_is_exact(atm: SimulatedAtm, source: LamassuSource) -> None:
    """The worked row: 4000 GTQ at 5.5 % and 826091.28 is 512,400 sats, 28,182 of them commission."""
    external_id = run(atm, "on-chain", Decimal(4000))
    (row,) = await source.fetch([external_id])
    assert (row.crypto_atoms, row.fiat) == (Decimal(512400), Decimal("4000.00000"))
    assert row.commission_percentage == Decimal("0.055") and row.raw_ticker_price == Decimal("826091.28")
    parts, fiat_minor = split_row(row, pool_currency="GTQ", method=SplitMethod.RECORDED, charge=Charge.PRINCIPAL)
    assert (parts.commission_sats, parts.principal_sats, fiat_minor) == (28_182, 484_218, 400_000)


@pytest.mark.parametrize("discount", [None, 10, 50, 100])
def test_machines_price_in_steps_of_100_sats(discount: int | None) -> None:
    assert all(Terms(discount=discount).atoms(Decimal(fiat)) % 100 == 0 for fiat in range(100, 5000, 100))


async def test_the_time_is_that_of_the_dispense(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    external_id = run(atm, "redeem-later")
    admin.execute("UPDATE cash_out_actions SET created = now() + interval '3 h' WHERE action = 'dispense'")
    stored = admin.execute("SELECT created FROM cash_out_actions WHERE action = 'dispense'").fetchone()
    (row,) = await source.fetch([external_id])
    assert stored is not None and row.dispensed_at == stored[0]


async def test_an_old_dispense_is_looked_up_among_all_actions(
    atm: SimulatedAtm, source: LamassuSource, admin: psycopg.Connection
) -> None:
    ids = [run(atm, "on-chain"), run(atm, "lightning")]
    admin.execute(
        "INSERT INTO cash_out_actions (tx_id, action) SELECT gen_random_uuid(), 'dispense'"
        " FROM generate_series(1, 2500)"
    )
    (alone,) = await source.fetch(ids[:1])
    together = await source.fetch(ids)
    assert alone.dispensed_at is not None
    assert all(row.dispensed_at is not None for row in together)


async def test_an_unpaired_machine_keeps_its_cash_outs(atm: SimulatedAtm, source: LamassuSource) -> None:
    external_id = run(atm, "on-chain")
    atm.unpair()
    (row,) = await source.fetch([external_id])
    assert (row.device_id, row.machine_name) == (atm.device_id, None)
