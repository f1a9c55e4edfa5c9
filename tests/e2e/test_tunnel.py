"""The daemon reaches Lamassu through its own SSH tunnel, and gets over its loss: nothing is lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from dca_daemon.demo import atm_scenarios
from tests.cli.conftest import toml_section
from tests.e2e.conftest import Installation, eventually, get
from tests.fixtures.sshd import Sshd


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
    assert installation.logged("tunnel.up")[-1]["away_seconds"] < 5

    sshd.stop()
    await eventually(lambda: ready().status_code == 503 and "SSH server" in ready().text)
    atm_scenarios.run(installation.atm, "on-chain", Decimal(500))
    sshd.start()
    await installation.distributed(3)
    await installation.all_settled()
    await eventually(lambda: ready().status_code == 200)
    assert get(f"{installation.url()}/status").json()["tunnel"] == {"up": True, "trouble": None}
    await installation.assert_agrees()
