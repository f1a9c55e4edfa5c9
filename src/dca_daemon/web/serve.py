"""`dca-daemon console`: a process of its own, so that no page can disturb the daemon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from zoneinfo import ZoneInfo

import structlog

from dca_daemon.domain.errors import ConfigError
from dca_daemon.lamassu.source import LamassuSource
from dca_daemon.ledger.migrate import check_revision
from dca_daemon.runtime import sdnotify, wiring
from dca_daemon.runtime.health import HealthServer
from dca_daemon.runtime.settings import Settings
from dca_daemon.runtime.supervisor import Service, stop_on_signals, supervise
from dca_daemon.runtime.zone import local_zone
from dca_daemon.services import destinations, users
from dca_daemon.web.app import create_app
from dca_daemon.web.daemon_status import DaemonStatus
from dca_daemon.web.desk import Desk
from dca_daemon.web.events_room import events_room

log = structlog.get_logger()

NEEDED = ("database", "pool", "security", "lamassu", "fixed", "http", "console")
_GRACE_SECONDS = 5.0


async def run_console(settings: Settings) -> None:
    """Serves until SIGTERM or SIGINT. Raises `ConfigError`, also when nobody could log in as an admin."""
    settings.require(*NEEDED)
    stop = asyncio.Event()
    stop_on_signals(stop)
    await serve(settings, stop)


async def serve(settings: Settings, stop: asyncio.Event, started: Callable[[str], None] | None = None) -> None:
    """Serves until `stop` is set; `started` is told the address."""
    console = settings.console
    desk = _desk(settings, console.base_url or "")
    try:
        await check_revision(desk.db)
        if not await users.has_admin(desk.db):
            raise ConfigError(
                "nobody could log in to the console as an admin", remedy="dca-daemon user add NAME --role admin"
            )
        await destinations.check_keys(desk.db, desk.keys, (destinations.WEBHOOKS, destinations.SECOND_FACTORS))
        streams, services = events_room(settings, desk.db, desk.keys, stop)
        server = HealthServer(
            create_app(desk, streams),
            console.host,
            console.port,
            setting="console",
            behind_proxy=console.behind_proxy,
        )
        port = server.bind()
        address = desk.base_url or f"http://{_bracketed(console.host)}:{port}"
        log.info("console.listening", host=console.host, port=port, address=address)
        sdnotify.ready("serving")
        if started is not None:
            started(address)
        every: dict[str, Service] = {
            **services,
            "http": lambda: server.run(stop),
        }
        await supervise(every, stop, _GRACE_SECONDS)
    finally:
        sdnotify.stopping()
        for part in (desk.receivers, desk.prices, desk.lamassu, desk.daemon, desk.db):
            await part.close()
        log.info("console.stopped")


def _desk(settings: Settings, base_url: str) -> Desk:
    console = settings.console
    return Desk(
        db=wiring.open_database(settings),
        keys=wiring.key_ring(settings),
        receivers=wiring.receivers(settings),
        prices=wiring.price_feed(settings),
        lamassu=LamassuSource(wiring.source_config(settings, telling=True)),
        daemon=DaemonStatus(console.daemon_url or _daemon_url(settings)),
        settings=settings,
        zone=ZoneInfo(console.zone) if console.zone else local_zone(),
        base_url=base_url,
    )


def _daemon_url(settings: Settings) -> str | None:
    http = settings.http
    return f"http://{_bracketed(http.host)}:{http.port}" if http.port else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
