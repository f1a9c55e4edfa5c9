"""Where imported clients are paid: by their wallets at LNbits, or as the operator says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dca_daemon.domain.errors import InputError, WalletError
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.payouts.wallet import Wallet as PayingWallet
from dca_daemon.services.importing.satmachine import Plan
from dca_daemon.services.importing.tables import Wallet

UNCHECKED = "not checked"


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where an imported client is paid, and what that answered."""

    destination: Destination
    info: DestinationInfo


def receivers(
    plan: Plan, wallets: Mapping[str, Wallet], given: Mapping[str, str]
) -> tuple[dict[str, Receiver], list[str]]:
    """Where each is paid, by its id there, and who has none. What the operator gave goes before the wallets."""
    found: dict[str, Receiver] = {}
    problems = []
    for client in plan.clients:
        names = (client.external_id, client.name, client.wallet_id or "")
        where = next((given[name] for name in names if name in given), None)
        wallet = wallets.get(client.wallet_id or "")
        if where is not None and "@" in where:
            address = Destination(DestinationKind.LIGHTNING_ADDRESS, address=where.lower())
            found[client.external_id] = Receiver(address, DestinationInfo(where.lower()))
        elif where is not None:  # perhaps another wallet than there: its id is learnt from the first invoice
            destination = Destination(DestinationKind.LNBITS, invoice_key=where)
            found[client.external_id] = Receiver(destination, DestinationInfo(UNCHECKED))
        elif wallet is not None:
            key = wallet.invoice_key
            destination = Destination(DestinationKind.LNBITS, wallet_id=client.wallet_id, invoice_key=key)
            found[client.external_id] = Receiver(destination, DestinationInfo(wallet.name or UNCHECKED))
        else:
            problems.append(
                f"{client.name}: no invoice key is known for its wallet {client.wallet_id or '(none)'}"
            )
    return found, problems


async def check_receivers(
    wallet: PayingWallet, plan: Plan, chosen: Mapping[str, Receiver]
) -> tuple[dict[str, Receiver], list[str]]:
    """Asks each destination, as `client add` does. Pays nothing."""
    checked, problems = dict(chosen), []
    for client in plan.clients:
        receiver = chosen.get(client.external_id)
        if receiver is None:
            continue
        try:
            info = await wallet.check_destination(receiver.destination)
        except (WalletError, InputError) as error:
            problems.append(f"{client.name}: {error.message}")
        else:
            checked[client.external_id] = Receiver(receiver.destination, info)
    return checked, problems
