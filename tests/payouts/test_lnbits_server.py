"""An LNbits that stops, hangs and limits, as the wallet sees it; and that none is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dca_daemon.demo.lnbits_server import LnbitsServer, install, is_installed
from dca_daemon.domain.errors import (
    ConfigError,
    DcaError,
    WalletRateLimitedError,
    WalletUnknownError,
    WalletUnreachableError,
)
from dca_daemon.payouts.bolt11 import decode
from dca_daemon.payouts.lnbits import LnbitsConfig, LnbitsWallet
from dca_daemon.payouts.pacing import Pacer
from dca_daemon.payouts.wallet import Destination, DestinationKind, PayHint, RecordStatus
from tests.e2e.conftest import eventually

ROOT = Path(__file__).resolve().parents[2]


class Clock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


async def test_an_lnbits_that_limits_hangs_stops_and_comes_back(lnbits_server: LnbitsServer) -> None:
    """One server, since each costs seconds to start."""
    server, clock = lnbits_server, Clock()
    source, ana = server.create_wallet("source"), server.create_wallet("Ana")
    server.top_up(source.id, 10_000)
    receiver = Destination(DestinationKind.LNBITS, wallet_id=ana.id, invoice_key=ana.inkey)
    config = LnbitsConfig(url=server.url, admin_key=source.adminkey, requests_per_minute=0, read_timeout_seconds=1)
    wallet = LnbitsWallet(config, pacer=Pacer(0, clock=clock, sleep=clock.sleep), retry_wait_seconds=0)

    async def invoice(sats: int = 100) -> str:
        made = await wallet.create_invoice(
            receiver, amount_sats=sats, memo="m", expiry_seconds=3_600, payout_id="p", extra={}
        )
        return made.bolt11

    async def status(bolt11: str) -> RecordStatus | None:
        record = await wallet.received(receiver, decode(bolt11).payment_hash)
        return record.status if record else None

    # Its rate limit is per path: what was refused was not carried out, and the other paths go on.
    server.set_rate_limit(2)
    first = await invoice()
    await invoice()
    with pytest.raises(WalletRateLimitedError) as limited:
        await wallet.pay(first, payout_id="p", extra={})
    assert 0 < limited.value.retry_after_seconds <= 61
    assert await wallet.balance_msat() == 10_000_000
    server.set_rate_limit(1_000_000, "second")
    assert (await wallet.pay(first, payout_id="p", extra={})).hint is PayHint.ACCEPTED
    assert clock.now == pytest.approx(limited.value.retry_after_seconds), "the path waited as it was told"

    # Frozen in the middle: nobody knows, until a look-up tells.
    second = await invoice()
    server.pause()
    with pytest.raises(WalletUnknownError):
        await wallet.pay(second, payout_id="p", extra={})
    server.resume()
    assert (await wallet.pay(second, payout_id="p", extra={})).hint in (PayHint.ACCEPTED, PayHint.ALREADY_PAID)
    assert await wallet.balance_msat() == 9_800_000

    # Stopped: provably not sent. Back again: the same wallet object goes on, the invoices are the same.
    made = await wallet.create_invoice(
        receiver, amount_sats=1, memo="m", expiry_seconds=3_600, payout_id="p", extra={}
    )
    newer = [await invoice() for _ in range(10)]
    server.kill()
    with pytest.raises(WalletUnreachableError):
        await wallet.pay(made.bolt11, payout_id="p", extra={})
    with pytest.raises(WalletUnreachableError):
        await wallet.sent(made.payment_hash)
    server.start()
    assert await wallet.sent(made.payment_hash) is None

    # FakeWallet forgets at a restart: the ten newest unpaid invoices are marked failed, and no others.
    async def forgotten() -> bool:
        return {await status(bolt11) for bolt11 in newer} == {RecordStatus.FAILED}

    await eventually(forgotten)
    assert await status(made.bolt11) is RecordStatus.PENDING
    refusal = await wallet.pay(newer[9], payout_id="p", extra={})
    assert (refusal.hint, refusal.text) == (PayHint.REFUSED, "Payment is failed node, retrying is not possible.")
    assert (await wallet.pay(made.bolt11, payout_id="p", extra={})).hint is PayHint.ACCEPTED
    await wallet.close()
    # Its description of itself takes an LNbits under load longer than a second to make.
    patient = LnbitsWallet(LnbitsConfig(url=server.url, admin_key=source.adminkey))
    probe = await patient.probe()
    assert (probe.version, probe.wallet_name, probe.wallet_id) == ("1.6.2", "source", source.id)
    await patient.close()


def test_an_lnbits_ends_with_its_owner_however_that_ends(lnbits_install_dir: Path, tmp_path: Path) -> None:
    program = f"""
import time
from pathlib import Path
from dca_daemon.demo.lnbits_server import LnbitsServer
server = LnbitsServer(Path({str(lnbits_install_dir)!r}), Path({str(tmp_path)!r}))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        watch = os.pidfd_open(pid)
        owner.send_signal(signal.SIGKILL)
    ended, _, _ = select.select([watch], [], [], 20)
    os.close(watch)
    assert ended, "LNbits outlived its owner"


def test_a_taken_port_is_one_clear_error(lnbits_server: LnbitsServer, tmp_path: Path) -> None:
    port = int(lnbits_server.url.rpartition(":")[2])
    second = LnbitsServer(lnbits_server.install_dir, tmp_path / "second", port)
    with pytest.raises(DcaError, match="did not start"):
        second.start()
    assert second.pid is None
    assert lnbits_server.create_wallet("still there").id


def test_an_installation_is_made_once(lnbits_install_dir: Path) -> None:
    before = (lnbits_install_dir / ".installed").stat().st_mtime_ns
    install(lnbits_install_dir)
    assert (lnbits_install_dir / ".installed").stat().st_mtime_ns == before


def test_without_an_installation_it_says_how_to_make_one(tmp_path: Path) -> None:
    assert not is_installed(tmp_path)
    with pytest.raises(ConfigError, match="not installed") as raised:
        LnbitsServer(tmp_path / "nothing", tmp_path / "data")
    assert "install" in (raised.value.remedy or "")


def test_an_installation_that_fails_is_one_line(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    done = subprocess.run(
        [sys.executable, "-m", "dca_daemon.demo.lnbits_server", "install", str(blocked / "lnbits")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "can't be installed" in done.stderr


def test_the_command_line_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dca_daemon.demo.lnbits_server"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "install DIR" in done.stderr
