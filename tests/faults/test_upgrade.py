"""An installation that pays is upgraded, and set back: nothing is lost meanwhile, and nothing paid twice.

The next release is this one, with another migration.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest

from dca_daemon.domain.errors import DatabaseError
from dca_daemon.ledger import migrate
from tests.e2e.conftest import eventually
from tests.faults.daemon_at_fault_point import MIGRATIONS
from tests.faults.processes import DaemonProcess
from tests.faults.site import Site
from tests.ledger.next_release import ADDS, REASON, TAKES, folder_with


def start(site: Site, release: Path | None) -> DaemonProcess:
    """A daemon of this release, or of another."""
    site.environment.pop(MIGRATIONS, None)
    if release is not None:
        site.environment[MIGRATIONS] = str(release)
    return site.start()


async def stop(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGTERM)
    await eventually(lambda: daemon.exit_status == 0)


async def ended_saying(site: Site, daemon: DaemonProcess, *words: str) -> None:
    """It has ended by itself, with one clear line."""
    await eventually(lambda: daemon.exit_status == 1)
    line = site.log.path.read_text().splitlines()[-1]
    assert all(word in line for word in words), line


async def upgrade(site: Site, release: Path, monkeypatch: pytest.MonkeyPatch) -> migrate.Revision:
    """`db upgrade` of that release."""
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "_folder", lambda: release)
        return await asyncio.to_thread(migrate.upgrade, site.books_db.sqlalchemy_url)


async def test_upgrades_lose_nothing_and_pay_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = migrate.wanted_revision()
    adding = folder_with(tmp_path / "adding", ADDS)

    # The new standby comes too early: it ends with what to do, and not in the night in which it is needed.
    old = start(site, None)
    await site.has_logged("baseline.set")
    await ended_saying(site, start(site, adding), f"revision {own}", "run: dca-daemon db upgrade")

    # The schema is upgraded under the old daemon, at work; the new one stands by, and takes over.
    site.cash_out()
    await upgrade(site, adding, monkeypatch)
    site.cash_out()
    await site.settled()
    new = start(site, adding)
    await site.has_logged("leader.standby")
    site.cash_out()
    await stop(old)
    site.cash_out()
    await site.has_logged("daemon.active", 2)
    await site.settled()

    # Set back: the older program works with what was only added to.
    await stop(new)
    site.cash_out()
    old = start(site, None)
    await site.has_logged("daemon.schema-newer")
    await site.settled()
    await site.assert_agrees()

    # A migration that the old daemon could not live with waits until it is stopped, and then keeps it out.
    with monkeypatch.context() as patched:
        patched.setattr(migrate, "_folder", lambda: adding)
        breaking = folder_with(tmp_path / "breaking", TAKES, breaks=REASON)
    with pytest.raises(DatabaseError, match=r"a daemon is at work.*nothing was changed.*systemctl stop"):
        await upgrade(site, breaking, monkeypatch)
    site.cash_out()
    await site.settled()
    await stop(old)
    site.cash_out()
    assert (await upgrade(site, breaking, monkeypatch)).current == f"{int(own) + 1:04}"
    await ended_saying(site, start(site, None), f"revision {int(own) + 2:04}", "upgraded for a newer dca-daemon")
