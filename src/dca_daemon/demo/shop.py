"""The daemon's own parts, each called when the shop's clock says so: for a week that is played within seconds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Self

from dca_daemon.demo import people
from dca_daemon.demo.atm_scenarios import begin
from dca_daemon.demo.clock import ShopClock
from dca_daemon.demo.daemon_process import DemoError
from dca_daemon.demo.people import Person, Wanted
from dca_daemon.demo.stage import CHANNEL, Stage
from dca_daemon.demo.terms import CURRENCY, PACE, RUNNER
from dca_daemon.domain.cash_out import CashOutState, Verdict
from dca_daemon.domain.money import to_minor
from dca_daemon.lamassu.source import LamassuSource, SourceConfig
from dca_daemon.payouts.books import SqlPayoutBooks
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.lnbits_rates import LnbitsRates
from dca_daemon.payouts.lnurl import LnurlConfig
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.payer import Payer, PayerConfig
from dca_daemon.runtime.fixed_runner import FixedRunner
from dca_daemon.services import commission_release, deposits, payouts
from dca_daemon.services.intake import Intake, IntakeConfig
from dca_daemon.services.rates import Rates, RatesConfig
from dca_daemon.services.reconcile import ReconcileConfig, Sides, reconcile
from dca_daemon.services.reconciliation import runs

_STATES = {
    Verdict.SUCCESS: CashOutState.DISTRIBUTED,
    Verdict.FAILED: CashOutState.FAILED,
    Verdict.IGNORED: CashOutState.IGNORED,
    Verdict.REVIEW: CashOutState.REVIEW,
}
_TAKES = {"lightning": 1, "on-chain": 14, "redeem-later": 45}  # minutes from the asking to the notes
_USUALLY_TAKES = 6
_TRIES, _BEFORE_NEXT_TRY = 10, timedelta(seconds=20)  # until a destination that refuses is given up


@dataclass(slots=True)
class Day:
    """What was distributed on one day."""

    cash_outs: int = 0
    fiat_minor: int = 0
    sats: int = 0


class Shop:
    """What happens at the machines, and what the daemon makes of it. `cash_minor`: what is in each machine."""

    def __init__(self, stage: Stage, clock: ShopClock) -> None:
        self.stage = stage
        self.clock = clock
        self.source = LamassuSource(SourceConfig(dsn=stage.reader_dsn, channel=CHANNEL))
        self.wallet = LnbitsWallet(
            LnbitsConfig(
                url=stage.lnbits.url,
                admin_key=stage.source.adminkey,
                requests_per_minute=PACE,
                lnurl=LnurlConfig(allow_private=True),
            )
        )
        self.intake = Intake(stage.books, IntakeConfig())
        self.cash_minor = dict.fromkeys(range(len(stage.atms)), 0)
        self.day = Day()
        self.passwords: dict[str, str] = {}
        self.jammed = ""  # Lamassu's id of the one whose notes got stuck
        self._payer = Payer(SqlPayoutBooks(stage.books), self.wallet, stage.keys, PayerConfig())
        self._feed = LnbitsRates(stage.lnbits.url, pacer=Pacer(PACE))
        rates = Rates(stage.books, self._feed, RatesConfig(), now=clock.now)
        self._fixed = FixedRunner(stage.books, rates, lambda: None, retry_seconds=0, now=clock.now)
        self._closing = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for part in (self._feed, self.wallet, self.source):
            self._closing.push_async_callback(part.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._closing.aclose()

    async def add(self, wanted: Wanted) -> Person:
        """A new client, or receiver of commission."""
        person = await people.add(self.stage.books, self.stage.lnbits, self.wallet, self.stage.keys, wanted)
        self.stage.people.append(person)
        return person

    async def deposit(self, client: str, amount: str, note: str | None = None) -> int:
        """Notes handed over, and put into the machine that has the fewest; the deposit's number."""
        recorded = await deposits.record(
            self.stage.books, client=client, amount=amount, currency=CURRENCY, note=note, actor=RUNNER
        )
        emptiest = min(self.cash_minor, key=lambda machine: (self.cash_minor[machine], machine))
        name = self.stage.atms[emptiest].name
        await deposits.confirm(self.stage.books, recorded.deposit_id, actor=RUNNER, machine=name)
        self.cash_minor[emptiest] += recorded.amount_minor
        return recorded.deposit_id

    async def cash_out(self, scenario: str, fiat: int, *, machine: int) -> str:
        """Somebody comes to a machine; to the fullest one, where that has too few notes. Gives Lamassu's id."""
        fiat_minor = to_minor(Decimal(fiat), CURRENCY)
        if self.cash_minor[machine] < fiat_minor:
            machine = max(self.cash_minor, key=lambda one: self.cash_minor[one])
        atm = self.stage.atms[machine]
        atm.ago = self.clock.lag
        asked_before = timedelta(minutes=_TAKES.get(scenario, _USUALLY_TAKES))
        running = begin(atm, scenario, Decimal(fiat), ago=asked_before)
        external_id = running.run()
        state = _STATES[running.scenario.verdict]
        self.stage.expect(external_id, state)
        booked = await self.intake.process(await self.source.fetch([external_id]))
        for distributed in booked.distributed:
            self.cash_minor[machine] -= fiat_minor
            self.day.cash_outs += 1
            self.day.fiat_minor += fiat_minor
            self.day.sats += distributed.split.total_sats
        return external_id

    def end_day(self) -> None:
        """The next day is counted anew."""
        self.day = Day()

    async def pay(self) -> None:
        """Pays whatever is owed."""
        await self._payer.drain()

    async def look_at_the_time(self) -> None:
        """What the daemon does by the clock: Fixed Mode's purchases, and commission that was gathered."""
        await self._fixed.look()
        await commission_release.look(self.stage.books)
        await self.pay()

    async def until_held(self) -> None:
        """Pays until a destination has refused often enough. Raises `DemoError` if none ever does."""
        for _ in range(_TRIES):
            if (await payouts.count_by_state(self.stage.books))["held"]:
                return
            self.clock.set_to(self.clock.now() + _BEFORE_NEXT_TRY)
            await self.pay()
        raise DemoError("a payout whose destination is gone is not held")

    async def compare(self) -> None:
        """The nightly comparison with LNbits and Lamassu."""
        sides = Sides(db=self.stage.books, book=self.wallet, keys=self.stage.keys, source=self.source)
        began_at = self.clock.now()
        found = await reconcile(sides, config=ReconcileConfig())
        await runs.save(self.stage.books, replace(found, began_at=began_at), actor=runs.DAEMON, routine=True)
        if not found.agrees:
            raise DemoError(f"the nightly comparison differs: {'; '.join(d.text for d in found.differences)}")
