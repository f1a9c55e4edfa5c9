"""Who gets sats in the demo: clients with deposits, some in Fixed Mode, and one who only gets commission."""

from __future__ import annotations

from dataclasses import dataclass

from dca_daemon.demo.lnbits_admin import WalletKeys
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.terms import RUNNER
from dca_daemon.ledger.db import Database
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.services import clients, fixed_amounts
from dca_daemon.services.clients import Mode


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody to be added. `per_day`: what who is in Fixed Mode buys; `by_address`: paid by Lightning address."""

    name: str
    mode: Mode = Mode.FLOW
    per_day: str | None = None
    by_address: bool = False


ANA = Wanted("Ana Morales")
BRUNO = Wanted("Bruno Castillo")
CARLA = Wanted("Carla Méndez", by_address=True)
ELENA = Wanted("Elena Ruano")
FERNANDO = Wanted("Fernando Paz")
HUGO = Wanted("Hugo Batz")
DIEGO = Wanted("Diego Fuentes", Mode.FIXED, per_day="150")
GABRIELA = Wanted("Gabriela Soto", Mode.FIXED, per_day="120")
MARTA = Wanted("Marta Juárez", Mode.COMMISSION)

FIRST = (ANA, BRUNO, CARLA, ELENA, DIEGO, MARTA)  # the others come during the week
SHARES = ((MARTA.name, "50"), (ANA.name, "20"))  # percent of each commission


@dataclass(slots=True)
class Person:
    """A client or receiver, as the outside world knows it. `wallet_gone`: it was deleted, empty."""

    client_id: int
    name: str
    mode: Mode
    wallet: WalletKeys
    destination: str
    wallet_gone: bool = False

    @property
    def text(self) -> str:
        """One line about it."""
        does = {
            Mode.FLOW: "buys with every cash-out",
            Mode.FIXED: "buys a fixed amount a day",
            Mode.COMMISSION: "lets the premises, receives commission",
        }[self.mode]
        return f"{self.name}: {does}, paid to {self.destination}"


async def add(books: Database, lnbits: LnbitsServer, payer: LnbitsWallet, keys: KeyRing, wanted: Wanted) -> Person:
    """A wallet, and the client that is paid to it, once the destination has answered."""
    wallet = lnbits.create_wallet(wanted.name)
    destination = Destination(kind=DestinationKind.LNBITS, wallet_id=wallet.id, invoice_key=wallet.inkey)
    if wanted.by_address:
        address = f"{wallet.lightning_address}@{lnbits.url.partition('://')[2]}"
        destination = Destination(kind=DestinationKind.LIGHTNING_ADDRESS, address=address)
    view, _ = await clients.add(
        books, payer, keys, name=wanted.name, mode=wanted.mode, destination=destination, actor=RUNNER
    )
    if wanted.per_day is not None:
        await fixed_amounts.change(books, wanted.name, per_day=wanted.per_day, actor=RUNNER)
    return Person(view.client_id, wanted.name, wanted.mode, wallet, view.destination)
