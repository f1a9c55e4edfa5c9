"""An LNbits that lies, real books, the real payer: what becomes of each payout, by `lying_table.py`.

Whatever is told, nobody is sent the same records twice without proof that the first did not move, what is
called settled has happened, and the books hold (`World.assert_sound`).
"""

from __future__ import annotations

from decimal import Decimal
from itertools import islice

import pytest

from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from tests.faults.lying_table import EXPECTED
from tests.faults.lying_world import is_outcome, make_world
from tests.lnbits_double import Kind, Lie, cases
from tests.services.builders import success

LIES_AT_ONCE = 10  # each has two clients of its own
# There must be an invoice that was given before, or a wallet that is known from the one before.
NEED_HISTORY = {Lie.GIVEN_BEFORE, Lie.OTHERS_INVOICE}


def chunks() -> list[tuple[Kind, tuple[Lie, ...]]]:
    made = []
    for kind in (Kind.CREATE, Kind.PAY, Kind.LIST):
        lies = iter([lie for lie in Lie if kind in lie.kinds])
        while chunk := tuple(islice(lies, LIES_AT_ONCE)):
            made.append((kind, chunk))
    return made


def test_every_lie_has_an_expected_outcome() -> None:
    assert set(EXPECTED) == set(cases())
    assert all(lie.meaning.endswith((".", "'")) for lie in Lie)


@pytest.mark.parametrize(
    ("kind", "lies"), chunks(), ids=lambda value: value if isinstance(value, str) else value[0].name
)
async def test_a_lie_ends_as_expected(books: Database, keys: KeyRing, kind: Kind, lies: tuple[Lie, ...]) -> None:
    world = await make_world(books, keys, 2 * len(lies))
    once, always = dict(zip(range(1, 100, 2), lies, strict=False)), dict(zip(range(2, 100, 2), lies, strict=False))
    if NEED_HISTORY & set(lies):
        await world.cash_out(success())
        await world.run()
        await world.forget_what_was()
    await world.cash_out(success())

    world.tell({client: {kind: lie} for client, lie in (once | always).items()})
    await world.run()
    world.tell({client: {kind: lie} for client, lie in always.items()})
    for patient in (False, True, True):
        world.clock.advance(60)
        await world.run(patient=patient)
    while_lying = await world.outcomes()
    await world.assert_sound()

    world.double.be_honest()
    world.clock.advance(3_600)
    for _ in range(2):
        await world.run(patient=True)
    honest = await world.outcomes()
    await world.assert_sound()

    if await world.release_held():
        for _ in range(2):
            await world.run(patient=True)
    released = await world.outcomes()
    await world.assert_sound()

    problems = []
    for client, lie in (once | always).items():
        expected = EXPECTED[kind, lie]
        stages = [
            ("while LNbits lies", while_lying[client], expected.once if client in once else expected.always),
            ("once it is honest", honest[client], expected.honest if client in always else None),
            ("once released", released[client], expected.released if client in always else None),
        ]
        problems += [
            f"{lie.name} {when}: {what}, not {wanted}"
            for when, what, wanted in stages
            if wanted is not None and not is_outcome(what, wanted)
        ]
    assert problems == []


async def test_lies_about_the_balance_only_delay(books: Database, keys: KeyRing) -> None:
    world = await make_world(books, keys, 1)
    for lie in Lie:
        if Kind.WALLET not in lie.kinds:
            continue
        await world.cash_out(success(fiat=Decimal(400), crypto_atoms=Decimal(51240)))
        world.double.policy = lambda call, lie=lie: lie if call.kind is Kind.WALLET else None
        for patient in (False, True):
            await world.run(patient=patient)
        (found,) = (await world.outcomes()).values()
        assert found == EXPECTED[Kind.WALLET, lie].always, lie
        world.double.be_honest()
        await world.run()
        (found,) = (await world.outcomes()).values()
        assert found == EXPECTED[Kind.WALLET, lie].honest, lie
        await world.assert_sound()
        await world.forget_what_was()
