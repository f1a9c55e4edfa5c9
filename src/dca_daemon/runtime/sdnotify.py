"""Tells systemd how we are (`Type=notify`, `WatchdogSec=`). Without systemd all of it does nothing."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable


def notify(message: str) -> bool:
    """Sends one message to `$NOTIFY_SOCKET`; whether it went out. A deaf systemd is no reason to fail."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):  # an abstract socket: its name begins with a zero byte
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)
            sock.sendto(message.encode(), address)
    except OSError:
        return False
    return True


def ready(status: str = "") -> bool:
    """We have started."""
    return notify(f"READY=1\nSTATUS={_line(status)}" if status else "READY=1")


def status(text: str) -> bool:
    """The line that `systemctl status` shows."""
    return notify(f"STATUS={_line(text)}")


def stopping() -> bool:
    """We are on our way out."""
    return notify("STOPPING=1")


def watchdog() -> bool:
    """We are alive."""
    return notify("WATCHDOG=1")


def watchdog_interval_seconds() -> float | None:
    """How often to call `watchdog`: a third of what systemd allows. None where it does not watch us."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    try:
        allowed_microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return allowed_microseconds / 3_000_000 if allowed_microseconds > 0 else None


async def run_watchdog(fresh: Callable[[], bool], stop: asyncio.Event) -> None:
    """Pings while `fresh()` says that all services live, until `stop`; one that hangs has us restarted."""
    interval_seconds = watchdog_interval_seconds()
    while not stop.is_set():
        if interval_seconds is not None and fresh():
            watchdog()
        try:
            await asyncio.wait_for(stop.wait(), interval_seconds)
        except TimeoutError:
            continue


def _line(text: str) -> str:
    return " ".join(text.split())
