"""Who gets sats in the demo: clients with deposits, one of them in Fixed Mode, and a partner for commission."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.terms import ACTOR, CURRENCY, PACE
from dca_daemon.domain.money import fiat_text
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.lnurl import LnurlConfig
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, commission, deposits, fixed_amounts, fixed_schedules, pools
from dca_daemon.services.clients import Mode

SHARES = (("Partner", "50"), ("Ana", "20"))  # percent of each commission
FIXED_PER_DAY = "250"
FIXED_ZONE = "America/Guatemala"

# Who, how, how much cash they have in the machines, and whether they are paid by Lightning address.
_PEOPLE = (
    ("Ana", Mode.FLOW, "20000", False),
    ("Bruno", Mode.FLOW, "10000", False),
    ("Carla", Mode.FLOW, "5000", True),
    ("Diego", Mode.FIXED, "3000", False),
    ("Partner", Mode.COMMISSION, None, False),
)


@dataclass(frozen=True, slots=True)
class Person:
    """A client or receiver, as the outside world knows it. `deposit_minor` is what it handed over."""

    client_id: int
    name: str
    mode: Mode
    wallet: WalletKeys
    destination: str
    deposit_minor: int

    @property
    def text(self) -> str:
        """One line about it."""
        if self.mode is Mode.COMMISSION:
            return f"{self.name}: receives commission, paid to {self.destination}"
        deposited = f"{self.name}: {fiat_text(self.deposit_minor, CURRENCY)} deposited"
        if self.mode is Mode.FIXED:
            deposited += f", buys {FIXED_PER_DAY} {CURRENCY} a day"
        return f"{deposited}, paid to {self.destination}"


async def add_people(books: Database, lnbits: LnbitsServer, source: WalletKeys, keys: KeyRing) -> list[Person]:
    """Destinations that have answered, deposits recorded and confirmed, commission shared, a schedule set."""
    payer = LnbitsWallet(
        LnbitsConfig(
            url=lnbits.url,
            admin_key=source.adminkey,
            requests_per_minute=PACE,
            lnurl=LnurlConfig(allow_private=True),
        )
    )
    try:
        await pools.ensure_default_pool(books, name="default", currency=CURRENCY)
        people = [await _add(books, lnbits, payer, keys, *who) for who in _PEOPLE]
        await _share_commission(books)
        await _set_fixed_mode(books, people)
        return people
    finally:
        await payer.close()
        await books.close()  # its connections belong to this event loop


async def _add(
    books: Database,
    lnbits: LnbitsServer,
    payer: LnbitsWallet,
    keys: KeyRing,
    name: str,
    mode: Mode,
    amount: str | None,
    by_address: bool,
) -> Person:
    wallet = lnbits.create_wallet(name)
    destination = Destination(kind=DestinationKind.LNBITS, wallet_id=wallet.id, invoice_key=wallet.inkey)
    if by_address:
        address = f"{wallet.lightning_address}@{lnbits.url.partition('://')[2]}"
        destination = Destination(kind=DestinationKind.LIGHTNING_ADDRESS, address=address)
    view, _ = await clients.add(books, payer, keys, name=name, mode=mode, destination=destination, actor=ACTOR)
    deposit_minor = 0
    if amount is not None:
        recorded = await deposits.record(
            books, client=name, amount=amount, currency=CURRENCY, note="notes handed over", actor=ACTOR
        )
        deposit_minor = (await deposits.confirm(books, recorded.deposit_id, actor=ACTOR)).after_minor
    return Person(view.client_id, name, mode, wallet, view.destination, deposit_minor)


async def _share_commission(books: Database) -> None:
    wish = commission.Wish(shares=SHARES)
    seen = (await commission.preview(books, wish)).before
    await commission.apply(books, wish, seen=seen, reason="agreed with the partner", actor=ACTOR)


async def _set_fixed_mode(books: Database, people: list[Person]) -> None:
    """Half a day from now: nobody runs it by itself while the story lasts."""
    now = datetime.now(ZoneInfo(FIXED_ZONE))
    times = [f"{(now.hour + 12) % 24:02d}:00"]
    await fixed_schedules.change(books, zone=FIXED_ZONE, times=times, actor=ACTOR)
    for person in people:
        if person.mode is Mode.FIXED:
            await fixed_amounts.change(books, person.name, per_day=FIXED_PER_DAY, actor=ACTOR)
