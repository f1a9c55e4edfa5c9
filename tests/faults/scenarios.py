"""How each step is brought about, and what is put right afterwards. A step without a scenario fails a test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from dca_daemon.services import payouts
from tests.e2e.conftest import eventually
from tests.faults.lnbits_proxy import Fate, LnbitsProxy, Request, Rule, honest
from tests.faults.site import Site
from tests.services.builders import sql

Deed = Callable[[Site, LnbitsProxy], Awaitable[None]]


async def nothing(_: Site, __: LnbitsProxy) -> None:
    """An ordinary cash-out comes by."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """`provoke` comes before the cash-outs, `relieve` when all daemons are dead."""

    provoke: Deed = nothing
    relieve: Deed = nothing
    at_start: bool = False  # the step is taken when a daemon begins its work, and then rarely


def lying(rule: Callable[[Site], Rule]) -> Deed:
    async def provoke(site: Site, proxy: LnbitsProxy) -> None:
        proxy.rule = rule(site)

    return provoke


async def truthful(_: Site, proxy: LnbitsProxy) -> None:
    proxy.rule = honest


def receipts(site: Site, fate: Fate) -> Rule:
    """What becomes of look-ups at the receivers."""
    return lambda request: fate if request.looks_up and request.key != site.source.adminkey else Fate.PASS


def lose_answers_to_pay(request: Request) -> Fate:
    return Fate.LOSE_ANSWER if request.pays else Fate.PASS


async def release_held(site: Site, proxy: LnbitsProxy) -> None:
    """The operator has found LNbits' mistake, and lets the payouts go on."""
    proxy.rule = honest
    for held in await payouts.list_all(site.db):
        if held.state == "held":
            await payouts.release(site.db, held.payout_id, reason="LNbits is mended", actor="test")


# Put right without touching the table: a paused daemon may be in the middle of a transaction on it.
_REFUSE = """
CREATE OR REPLACE FUNCTION test_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN IF (SELECT count(*) FROM added) > {more_than} THEN RAISE EXCEPTION 'refused by a test'; END IF; RETURN NULL;
END $$"""
_REFUSE_ON = """
CREATE OR REPLACE TRIGGER test_refuse AFTER INSERT ON distribution REFERENCING NEW TABLE AS added
   FOR EACH STATEMENT EXECUTE FUNCTION test_refuse()"""
_AGE = """
CREATE OR REPLACE FUNCTION test_age() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.submit_until := now() + interval '{}'; RETURN NEW; END $$"""
_AGE_ON = """
CREATE OR REPLACE TRIGGER test_age BEFORE UPDATE ON payout FOR EACH ROW
   WHEN (OLD.state = 'reserved' AND NEW.state = 'invoiced') EXECUTE FUNCTION test_age()"""


def refusing_distributions(more_than: int) -> Deed:
    """From now on the books refuse to write more than so many at once."""

    async def provoke(site: Site, _: LnbitsProxy) -> None:
        before = await site.distributed()
        site.cash_out()
        await eventually(lambda: _more_than(site, before + 1))  # the daemon's batches grow beyond one
        await sql(site.db, _REFUSE.format(more_than=more_than))
        await sql(site.db, _REFUSE_ON)

    return provoke


async def _more_than(site: Site, count: int) -> bool:
    return await site.distributed() > count


async def accept_again(site: Site, _: LnbitsProxy) -> None:
    await sql(site.db, _REFUSE.format(more_than=1_000_000))


async def age_invoices(site: Site, _: LnbitsProxy) -> None:
    """Each invoice counts as running out as soon as it is there."""
    await sql(site.db, _AGE.format("-1 s"))
    await sql(site.db, _AGE_ON)


async def age_no_more(site: Site, _: LnbitsProxy) -> None:
    await sql(site.db, _AGE.format("1 day"))


# Two slots of yesterday that nobody ran, at minutes of their own each time.
_MISSED = """
INSERT INTO fixed_schedule (pool_id, zone, times, missed, default_max_minor, created_at, actor)
SELECT 1, 'UTC', ARRAY['00:' || lpad(n::text, 2, '0'), '00:' || lpad((n + 1)::text, 2, '0')], 'catch-up', 200000,
       now() - interval '2 days', 'test'
  FROM (SELECT 10 + 2 * count(*) AS n FROM fixed_schedule) s"""
_AMOUNT = """
INSERT INTO fixed_amount (client_id, pool_id, daily_minor, actor)
SELECT id, 1, 10000 * (1 + (SELECT count(*) FROM fixed_schedule)), 'test' FROM client WHERE name = 'Client 2'"""


async def miss_fixed_runs(site: Site, _: LnbitsProxy) -> None:
    """Client 2 has been in Fixed Mode since, and no daemon was there when it was to buy."""
    site.stop()
    await sql(site.db, "UPDATE client SET mode = 'fixed' WHERE name = 'Client 2'")
    await sql(site.db, _AMOUNT)
    await sql(site.db, _MISSED)


_unseen = lying(lambda site: receipts(site, Fate.EMPTY))
SCENARIOS: dict[str, Scenario] = {
    "baseline.set": Scenario(at_start=True),
    "intake.book": Scenario(),
    "intake.book-alone": Scenario(refusing_distributions(1), accept_again),
    "intake.keep-refused": Scenario(refusing_distributions(0), accept_again),
    "fixed.run": Scenario(miss_fixed_runs, at_start=True),
    "payout.reserve": Scenario(),
    "payout.invoiced": Scenario(),
    "payout.submitting": Scenario(),
    "payout.unanswered": Scenario(lying(lambda _: lose_answers_to_pay), truthful),
    "payout.unknown": Scenario(_unseen, truthful),
    "payout.settle": Scenario(),
    "payout.release": Scenario(age_invoices, age_no_more),
    "payout.hold": Scenario(lying(lambda site: receipts(site, Fate.RAISED)), release_held),
    "payout.postpone": Scenario(_unseen, truthful),
    "wallet.create-invoice": Scenario(),
    "wallet.pay": Scenario(),
    "wallet.sent": Scenario(),
    "wallet.received": Scenario(),
    "wallet.balance": Scenario(at_start=True),
}
