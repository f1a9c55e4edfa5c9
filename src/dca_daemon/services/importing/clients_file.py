"""Clients of another program as a file for `dca-daemon simulate` and `shadow`: names and balances, no keys."""

from __future__ import annotations

import json

from dca_daemon.domain.money import from_minor
from dca_daemon.services.importing.satmachine import Plan, Theirs


def clients_file(plan: Plan, origin: str) -> str:
    """TOML, as docs/shadow.md has it. Who has nothing left is named in a comment."""
    lines = [f"# From {json.dumps(origin)}: what each has left, in {plan.currency}."]
    for client in plan.clients:
        lines += ["", *_client(client, plan.currency)]
    return "\n".join(lines) + "\n"


def _client(client: Theirs, currency: str) -> list[str]:
    # A name has printable characters only, so that JSON's escapes are TOML's.
    name = json.dumps(client.name, ensure_ascii=False)
    if client.left_minor <= 0:
        return [f"# {name} has nothing left"]
    return [
        "[[client]]",
        f"name = {name}",
        f'fiat = "{from_minor(client.left_minor, currency):f}"',
        f'mode = "{client.mode}"',
        f'status = "{client.status}"',
    ]
