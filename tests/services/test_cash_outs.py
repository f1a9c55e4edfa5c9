"""Cash-outs as people look at them: found, explained, and previewed by the very rules that book them."""

from __future__ import annotations

import dataclasses
from decimal import Decimal
from typing import Any

import pytest

from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.split import Charge, SplitMethod
from dca_daemon.ledger.db import Database, execute
from dca_daemon.ledger.verify import verify
from dca_daemon.services import cash_out_preview, cash_outs
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.status import status
from tests.ledger.filled import fill
from tests.services.builders import client, success, value

FINGERPRINT = """
    SELECT (SELECT count(*) FROM journal_entry) || ' ' || (SELECT count(*) FROM cash_out_log) || ' '
        || (SELECT count(*) FROM distribution_record) || ' ' || (SELECT sum(version) FROM account) || ' '
        || (SELECT string_agg(state, ' ' ORDER BY id) FROM cash_out)"""


@pytest.mark.parametrize(
    ("config", "changes"),
    [
        (IntakeConfig(), {}),
        (IntakeConfig(charge=Charge.DISPENSED), {"discount": 35}),
        (IntakeConfig(split_method=SplitMethod.TICKER), {}),
        (IntakeConfig(), {"fiat": Decimal(40000), "crypto_atoms": Decimal(5124000)}),  # more than all have
    ],
)
async def test_a_preview_is_what_is_booked_then_and_writes_nothing(
    books: Database, config: IntakeConfig, changes: dict[str, Any]
) -> None:
    for deposit in ("20000", "333.33", "0.01"):
        await client(books, deposit)
    failed = success(dispense_confirmed=False, tx_version=4, **changes)
    await Intake(books, config).process([failed])
    before = await value(books, FINGERPRINT)
    split, shares, _ = await cash_out_preview.preview(books, config, failed.external_id)
    assert await value(books, FINGERPRINT) == before
    await Intake(books, config).process([success(external_id=failed.external_id, **changes)])
    booked = await cash_outs.show(books, failed.external_id)
    assert booked.split == split
    assert [dataclasses.replace(s, state="preview") for s in booked.shares] == shares


async def test_what_is_distributed_or_left_out_has_no_preview(books: Database) -> None:
    await client(books, "20000")
    done, eth, bad = success(), success(crypto_code="ETH"), success(commission_percentage=None)
    await Intake(books, IntakeConfig()).process([done, eth, bad])
    with pytest.raises(ConflictError, match="is distributed already"):
        await cash_out_preview.preview(books, IntakeConfig(), done.external_id)
    with pytest.raises(InputError, match="is left out: ETH is not bitcoin"):
        await cash_out_preview.preview(books, IntakeConfig(), eth.external_id)
    with pytest.raises(InputError, match="no commission_percentage"):
        await cash_out_preview.preview(books, IntakeConfig(), bad.external_id)


async def test_a_cash_out_is_explained_with_its_payments(books: Database) -> None:
    ids = await fill(books)
    view = await cash_outs.show(books, str(ids.shared))
    assert view.split is not None
    assert sum(s.sats for s in view.shares) + view.split.house_sats == 512400
    assert [(s.client_id, s.state, s.payout_id, s.payout_state) for s in view.shares] == [
        (ids.a, "settled", ids.settled, "settled"),
        (ids.b, "owed", None, None),
    ]
    assert [e["event"] for e in view.log][:3] == ["seen", "booked", "payout reserved"]
    assert "payout settled" in {e["event"] for e in view.log}
    assert view.summary.settled_sats == view.shares[0].sats


async def test_a_cash_out_is_found_by_our_id_or_the_beginning_of_lamassus(books: Database) -> None:
    first, second = success(external_id="abcdef01-x"), success(external_id="abcdef02-y")
    await Intake(books, IntakeConfig()).process([first, second])
    assert (await cash_outs.show(books, "ABCDEF01")).summary.external_id == first.external_id
    with pytest.raises(ConflictError, match="several cash-outs begin with 'abcdef'"):
        await cash_outs.show(books, "abcdef")
    for reference in ("abcde", "", "999999", "%", "abcdef03"):
        with pytest.raises(NotFoundError, match="there is no cash-out"):
            await cash_outs.show(books, reference)


async def test_the_list_is_filtered(books: Database) -> None:
    await client(books, "20000")
    ln, other = success(crypto_code="LN"), success(device_id="e" * 64, machine_name="Flores")
    failed = success(dispense_confirmed=False)
    await Intake(books, IntakeConfig()).process([ln, other, failed])

    async def listed(**filters: Any) -> set[str]:
        return {c.external_id for c in await cash_outs.list_all(books, **filters)}

    assert await listed() == {ln.external_id, other.external_id, failed.external_id}
    assert await listed(coin="LN") == {ln.external_id}
    assert await listed(device="Flores") == await listed(device="eeee") == {other.external_id}
    assert await listed(states=("failed",)) == {failed.external_id}
    assert len(await listed(limit=1)) == 1


@pytest.mark.parametrize("changes", [{"crypto_atoms": Decimal(1)}, {"fiat": Decimal(1)}, {"fiat_code": "USD"}])
async def test_a_distributed_row_that_changes_at_the_source_stays_as_booked(
    books: Database, changes: dict[str, Any]
) -> None:
    """Lamassu never changes them; should somebody do it by hand, nothing of ours may stop for it."""
    await client(books, "20000")
    row, good = success(), success()
    intake = Intake(books, IntakeConfig())
    await intake.process([row])
    changed = success(external_id=row.external_id, tx_version=9, **changes)
    result = await intake.process([changed, good])
    assert [d.row.external_id for d in result.distributed] == [good.external_id]
    view = await cash_outs.show(books, row.external_id)
    assert view.summary.state is CashOutState.DISTRIBUTED
    assert (view.summary.crypto_atoms, view.summary.fiat, view.summary.fiat_code) == (
        Decimal(512400),
        Decimal(4000),
        "GTQ",
    )
    assert [check for check in await verify(books) if not check.holds] == []


async def test_the_status_counts_what_there_is(books: Database) -> None:
    empty = await status(books)
    assert (empty.cash_outs, empty.payouts, empty.owed_sats, empty.oldest_owed_seconds) == ({}, {}, 0, None)
    ids = await fill(books)
    await Intake(books, IntakeConfig()).process([success(crypto_code="ETH")])
    found = await status(books)
    assert found.cash_outs == {"distributed": 2, "failed": 1, "ignored": 1}
    assert found.payouts == {"failed": 1, "invoiced": 1, "settled": 1}
    assert found.settled_sats + found.in_payout_sats + found.owed_sats == 2 * 484218
    assert (found.held_sats, found.duplicates) == (0, 0)
    assert found.oldest_owed_seconds is not None and found.oldest_owed_seconds >= 0
    async with books.transaction() as conn:  # what a payout has taken up waits too, while LNbits is away
        await execute(conn, "UPDATE distribution_record SET state = 'in-payout' WHERE state = 'owed'")
    assert (await status(books)).oldest_owed_seconds is not None
    assert ids.a
