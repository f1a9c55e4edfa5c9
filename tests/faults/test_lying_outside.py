"""Payments to Lightning addresses: pending for minutes, failed, or called failed and not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from tests.faults.lying_world import World, is_outcome, make_world
from tests.lnbits_double import Direction, Kind, Lie, Route
from tests.services.builders import sql, success

MINUTES = 600
SETTLES = Route(after_seconds=MINUTES, fee_msat=12_345)
FAILS = Route(after_seconds=MINUTES, settles=False)
UNPROVEN = "held: only the node behind it can prove"


@pytest.fixture
async def world(books: Database, keys: KeyRing) -> AsyncIterator[World]:
    """One client, who is paid at a Lightning address."""
    made = await make_world(books, keys, 1)
    made.double.service.payments.node_wait_seconds = 0
    await sql(
        books,
        """WITH d AS (INSERT INTO destination (kind, name, address)
                      VALUES ('lightning-address', 'ana@example.com', 'ana@example.com') RETURNING id)
           UPDATE client SET destination_id = d.id FROM d""",
    )
    await made.cash_out(success())
    yield made


async def run(world: World, *, after_seconds: float = 0, patient: bool = True) -> str:
    """Two restarts, that much later; the outcome."""
    world.clock.advance(after_seconds)
    for _ in range(2):
        await world.run(patient=patient)
    (found,) = (await world.outcomes()).values()
    return found


@pytest.mark.parametrize("trust", [False, True])
async def test_what_is_pending_for_minutes_is_waited_for(world: World, trust: bool) -> None:
    world.config["trust_external_failures"] = trust
    world.routes.append(SETTLES)
    assert await run(world) == "waits"
    assert await run(world, after_seconds=MINUTES / 2) == "waits"
    assert await run(world, after_seconds=MINUTES) == "settled"
    (payouts,) = (await world.payouts_by_client()).values()
    assert payouts[0].fee_msat == 12_345
    await world.assert_sound()


@pytest.mark.parametrize("route", [FAILS, Route(settles=False)], ids=["after minutes", "at once"])
@pytest.mark.parametrize("trust", [False, True])
async def test_what_failed_outside_is_paid_anew_only_where_that_is_trusted(
    world: World, route: Route, trust: bool
) -> None:
    world.config["trust_external_failures"] = trust
    world.routes.extend([route, Route(fee_msat=1)])
    assert is_outcome(await run(world, patient=False), "waits" if route is FAILS or not trust else "paid anew")
    assert is_outcome(await run(world, after_seconds=MINUTES), "paid anew" if trust else UNPROVEN)
    await world.assert_sound()
    assert len(world.double.moves(direction=Direction.ARRIVED)) == int(trust)


async def test_what_is_called_failed_and_arrives_later_is_held_until_lnbits_knows(world: World) -> None:
    world.routes.append(Route(after_seconds=MINUTES, called_failed=True))
    assert is_outcome(await run(world), UNPROVEN)
    assert is_outcome(await run(world, after_seconds=MINUTES), UNPROVEN)
    await world.assert_sound()

    (payouts,) = (await world.payouts_by_client()).values()
    record = world.double.core.table.outgoing(payouts[0].payment_hash or "")
    assert record is not None
    world.double.service.payments.hear(record)  # its operator asks the node
    await world.release_held()
    assert await run(world) == "settled"
    await world.assert_sound()


async def test_trust_in_a_failure_that_is_none_pays_twice_which_is_why_it_is_off(world: World) -> None:
    world.config["trust_external_failures"] = True
    world.routes.extend([Route(after_seconds=MINUTES, called_failed=True), Route()])
    assert await run(world) == "paid anew"
    world.clock.advance(MINUTES)
    assert len(world.double.moves(direction=Direction.ARRIVED)) == 2


async def test_an_lnbits_killed_meanwhile_hears_of_it_when_it_is_back(world: World) -> None:
    world.routes.append(SETTLES)
    assert await run(world) == "waits"
    world.double.kill()
    assert await run(world, after_seconds=2 * MINUTES) == "waits"
    world.double.restart()
    assert await run(world) == "settled"
    await world.assert_sound()


@pytest.mark.parametrize(
    "lie",
    [
        *(Lie.RESET_BEFORE, Lie.TAKE_AND_RESET, Lie.TAKE_AND_ERROR_500, Lie.TAKE_AND_HTML, Lie.RATE_LIMITED),
        *(Lie.CLAIM_PAID, Lie.CLAIM_PENDING, Lie.CLAIM_REFUSED, Lie.TAKE_AND_CLAIM_REFUSED, Lie.CLAIM_SHORT),
        *(Lie.TAKE_AND_CLAIM_FAILED, Lie.TAKE_AND_HIDE, Lie.OTHER_PAYMENT),
    ],
    ids=lambda lie: lie.name,
)
async def test_lies_about_a_payment_outside_settle_once(world: World, lie: Lie) -> None:
    world.routes.append(SETTLES)
    world.double.policy = lambda call: lie if call.kind is Kind.PAY else None
    await run(world, patient=False)
    assert await run(world) == "waits"
    world.double.be_honest()
    await run(world)
    assert await run(world, after_seconds=MINUTES) == "settled"
    await world.assert_sound()
