"""Commission through a real daemon and a real LNbits: gathered, released from an amount on, paid to its wallet."""

from __future__ import annotations

from dca_daemon.demo import atm_scenarios
from dca_daemon.domain.commission import Pay
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.wallet import Destination, DestinationKind
from dca_daemon.runtime.settings import load_settings
from dca_daemon.services import clients, commission
from dca_daemon.services.commission import PayRule, Wish
from tests.e2e.conftest import Installation, eventually
from tests.services.builders import value

GATHERED = "SELECT coalesce(sum(sats), 0) FROM distribution_record WHERE state = 'gathered'"
OF_ONE = "SELECT sats FROM distribution_record WHERE type = 'commission' AND client_id = :id ORDER BY id LIMIT 1"


async def add_receiver(installation: Installation) -> int:
    """A wallet that only receives commission, at the same LNbits."""
    keys = installation.lnbits.create_wallet("office")
    installation.receivers.append(keys)
    settings = load_settings(installation.config_path)
    source = installation.source.adminkey
    wallet = LnbitsWallet(LnbitsConfig(url=installation.lnbits.url, admin_key=source, requests_per_minute=0))
    view, _ = await clients.add(
        installation.db,
        wallet,
        KeyRing(settings.security.encryption_keys.get_secret_value()),
        name="Office",
        mode=clients.Mode.COMMISSION,
        destination=Destination(DestinationKind.LNBITS, invoice_key=keys.inkey),
        actor="test",
    )
    await wallet.close()
    return view.client_id


async def test_gathered_commission_is_paid_once_it_comes_to_the_amount(installation: Installation) -> None:
    office = await add_receiver(installation)
    shares = ((str(office), "50"), ("Ana", "10"))
    wish = Wish(shares=shares, rule=PayRule(Pay.FROM_AMOUNT, from_sats=10**9))
    seen = await commission.preview(installation.db, wish)
    await commission.apply(installation.db, wish, seen=seen.before, reason=None, actor="test")
    await installation.install_trigger()
    installation.start()
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "lightning")
    await installation.distributed(1)
    await installation.all_settled()
    gathered = await value(installation.db, GATHERED)
    assert gathered > 0 and installation.lnbits.balance_msat(installation.receivers[2].inkey) == 0
    # The second one brings the receiver there, not the client, who has less.
    amount = 2 * await value(installation.db, OF_ONE, id=office)
    wish = Wish(rule=PayRule(Pay.FROM_AMOUNT, from_sats=amount))
    seen = await commission.preview(installation.db, wish)
    await commission.apply(installation.db, wish, seen=seen.before, reason=None, actor="test")
    atm_scenarios.run(installation.atm, "lightning")
    await installation.distributed(2)
    await installation.has_logged("commission.released")
    await eventually(lambda: _paid(installation, amount))
    await installation.all_settled()
    assert await value(installation.db, GATHERED) > 0
    await installation.assert_agrees()


async def _paid(installation: Installation, sats: int) -> bool:
    return installation.lnbits.balance_msat(installation.receivers[2].inkey) == sats * 1000
