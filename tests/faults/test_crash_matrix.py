"""A daemon is killed at every fault point, and started again: everything is paid exactly once.

Real processes, real PostgreSQL, real LNbits. Each chain goes through its points on one installation, with fresh
cash-outs at each; after each the books, LNbits and Lamassu are compared. At the payer's points the daemon dies
twice: the second time while it recovers, or at the next client's payout. With DCA_TEST_SOAK it is also killed when
it comes to a point for the second and the third time.
"""

from __future__ import annotations

import os
from functools import partial

import pytest

from tests.e2e.conftest import eventually
from tests.faults.lnbits_proxy import LnbitsProxy
from tests.faults.points import POINTS, STEPS, points_of
from tests.faults.scenarios import SCENARIOS
from tests.faults.site import Site
from tests.services.builders import value

pytestmark = pytest.mark.timeout(600)
CHAINS = {
    "baseline": ["baseline.set"],
    "intake": ["intake.book", "intake.book-alone", "intake.keep-refused"],
    "fixed": ["fixed.run"],
    "to-pay": ["payout.reserve", "wallet.create-invoice", "payout.invoiced", "payout.submitting", "wallet.pay"],
    "paid": ["payout.unanswered", "wallet.sent", "wallet.received", "payout.settle"],
    "troubles": ["payout.unknown", "payout.postpone", "payout.hold", "payout.release", "wallet.balance"],
}
_NTH = (1, 2, 3) if os.environ.get("DCA_TEST_SOAK") else (1,)


def test_every_point_has_a_scenario_and_a_chain() -> None:
    assert set(SCENARIOS) == set(STEPS)
    assert sorted(step for chain in CHAINS.values() for step in chain) == sorted(STEPS)
    assert len(POINTS) == 2 * len(STEPS) == len(set(POINTS))


@pytest.mark.parametrize("point", points_of("baseline.set"))
async def test_killed_at_the_first_look_history_stays_history(site: Site, point: str) -> None:
    site.cash_out()
    site.plan("kill", [point])
    site.start()
    await site.killed_at(point)
    site.plan_nothing()
    site.start()
    await eventually(lambda: value(site.db, "SELECT count(*) FROM baseline"))
    site.cash_out()
    await site.settled()
    await site.assert_agrees()
    assert await site.distributed() == 2
    assert await value(site.db, "SELECT count(*) FROM cash_out WHERE state = 'before-baseline'") == 2


@pytest.mark.parametrize("nth", _NTH)
@pytest.mark.parametrize("chain", [name for name in CHAINS if name != "baseline"])
async def test_killed_at_each_point_everything_is_paid_once(
    site: Site, proxy: LnbitsProxy, chain: str, nth: int
) -> None:
    site.start()
    await site.has_logged("baseline.set")
    for step in CHAINS[chain]:
        if nth > 1 and SCENARIOS[step].at_start:
            continue  # it comes by once a minute
        for point in points_of(step):
            await _killed_at(site, proxy, step, point, nth)
            await site.settled()
            await site.assert_agrees()


async def _killed_at(site: Site, proxy: LnbitsProxy, step: str, point: str, nth: int) -> None:
    scenario = SCENARIOS[step]
    await scenario.provoke(site, proxy)
    if scenario.at_start:
        site.stop()
    site.plan("kill", [point], nth)
    await _cash_outs(site, nth)
    if not site.running:
        site.start()
    await site.killed_at(point)
    if nth == 1 and step.startswith(("payout.", "wallet.")):  # what is booked is not booked again
        site.plan("kill", [point])
        site.start()
        await site.killed_at(point)
    await scenario.relieve(site, proxy)
    site.plan_nothing()
    site.start()


async def _cash_outs(site: Site, batches: int) -> None:
    """Two at once; several times, if a step is to be taken several times."""
    for number in range(batches):
        before = await site.distributed()
        site.cash_out()
        if number + 1 < batches:
            await eventually(partial(_booked_or_dead, site, before))


async def _booked_or_dead(site: Site, before: int) -> bool:
    refused = "SELECT count(*) FROM cash_out WHERE state = 'review'"
    return not site.running or await site.distributed() > before or await value(site.db, refused) > 0
