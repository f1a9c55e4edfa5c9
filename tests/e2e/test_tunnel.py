"""The daemon reaches Lamassu through its own SSH tunnel, and gets over its loss: nothing is lost."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from dca_daemon.demo import atm_scenarios
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.services.doctor import Finding, Level, Subject
from dca_daemon.services.doctor.wallet import check_lnbits
from tests.cli.conftest import toml_section
from tests.e2e.conftest import Installation, eventually, get
from tests.fixtures.sshd import Sshd
from tests.services.builders import sql


async def test_the_tunnel_is_killed_in_the_middle(installation: Installation, sshd: Sshd) -> None:
    with installation.config_path.open("a") as config:
        config.write(toml_section("tunnel", sshd.settings()))

    def ready() -> Any:
        return get(f"{installation.url()}/readyz")

    await installation.install_trigger()
    installation.start(DCA_LAMASSU__SCAN_INTERVAL_SECONDS="3600")
    await installation.has_logged("listener.connected")
    await installation.has_logged("baseline.set")
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(1)
    assert "dca_tunnel_up 1.0" in get(f"{installation.url()}/metrics").text

    sshd.drop()  # the connections only: sshd takes new ones
    atm_scenarios.run(installation.atm, "lightning", Decimal(500))
    await installation.distributed(2)
    await installation.has_logged("tunnel.up", 2)
    assert len(installation.logged("tunnel.lost")) == 1
    assert installation.logged("tunnel.up")[-1]["away_seconds"] < 15

    sshd.stop()
    await eventually(lambda: ready().status_code == 503 and "SSH server" in ready().text)
    atm_scenarios.run(installation.atm, "on-chain", Decimal(500))
    sshd.start()
    await installation.distributed(3)
    await installation.all_settled()
    await eventually(lambda: ready().status_code == 200)
    assert get(f"{installation.url()}/status").json()["tunnel"] == {"up": True, "trouble": None}
    await installation.assert_agrees()
    await _doctor_knows_the_wallet(installation)


async def _doctor_knows_the_wallet(installation: Installation) -> None:
    """While there are real payments to look at."""
    other = installation.lnbits.create_wallet("other")

    async def look(key: str, **others: Any) -> dict[str, Finding]:
        config = LnbitsConfig(url=installation.lnbits.url, admin_key=key, requests_per_minute=0)
        wallet = LnbitsWallet(config, **others)
        subject = Subject(books=installation.db, lnbits=wallet, requests_per_minute=300)
        try:
            return {finding.name: finding for finding in await check_lnbits(subject)}
        finally:
            await wallet.close()

    found = await look(installation.source.adminkey)
    assert (found["wallet"].level, found["clock"].level, found["limits"].level) == (Level.OK,) * 3
    assert found["pace"].level is Level.WARN and "(200)" in found["pace"].text
    late = await look(installation.source.adminkey, now=lambda: datetime.now(UTC) - timedelta(hours=1))
    assert late["clock"].level is Level.WARN and "s apart" in late["clock"].text
    for _ in range(2):  # without any payment of its own, and with one that came in
        wrong = (await look(other.adminkey))["wallet"]
        assert wrong.level is Level.WARN and "'other'" in wrong.text and "did not pay payout" in wrong.text
        installation.lnbits.top_up(other.id, 1000)
    unpaid = await look(installation.source.inkey)
    assert unpaid["admin-key"].level is Level.FAIL and "invoice key" in unpaid["admin-key"].remedy
    await sql(
        installation.db,
        """INSERT INTO payout_log (payout_id, event, detail)
           SELECT id, 'postponed', '{"reason": "The time limit of 60 seconds between payments has been reached."}'
             FROM payout LIMIT 1""",
    )
    limits = (await look(installation.source.adminkey))["limits"]
    assert limits.level is Level.WARN and "The time limit of 60 seconds" in limits.text
