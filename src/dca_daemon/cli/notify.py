"""`dca-daemon notify`: the daemon's own notifications."""

from __future__ import annotations

import asyncio
from typing import Any

import typer

from dca_daemon.cli.context import load
from dca_daemon.cli.output import AsJson, print_json, say
from dca_daemon.domain.errors import ConfigError, DcaError

app = typer.Typer(name="notify", no_args_is_help=True, help="Notifications: who is told when something alerts.")


@app.callback()
def group() -> None:
    """Notifications: who is told when something alerts."""


@app.command()
def test(as_json: AsJson = False) -> None:
    """Send a test message to every address in notify.urls, and say which of them took it.

    Exit status 1 when one did not.
    """
    from dca_daemon.runtime.notify_targets import open_targets

    notify = load().notify
    targets = open_targets(notify.addresses)
    if not targets:
        raise ConfigError("nobody is notified: notify.urls is not set", remedy="see docs/alerts.md")
    results = asyncio.run(_send(targets, notify.name))
    if as_json:
        targets_json = [{"name": name, "sent": why is None, "reason": why} for name, why in results.items()]
        print_json({"ok": not any(results.values()), "targets": targets_json})
    else:
        for name, reason in results.items():
            say(f"{name}: {reason or 'sent'}")
    failed = [name for name, reason in results.items() if reason]
    if failed:
        raise DcaError(f"{len(failed)} of {len(results)} could not be sent to, the first: {failed[0]}")


async def _send(targets: Any, name: str) -> dict[str, str | None]:
    """Each target's name → why it did not take the message; None if it did."""
    from dca_daemon.runtime.alert_message import Message

    told = Message(f"{name}: a test", "This is a test. Whoever reads it is told when something alerts.", "info")

    async def one(target: Any) -> str | None:
        try:
            await target.send(told)
        except DcaError as error:
            return error.message
        return None

    return dict(
        zip([t.name for t in targets], await asyncio.gather(*(one(target) for target in targets)), strict=True)
    )
