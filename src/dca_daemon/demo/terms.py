"""What the demo's parts agree on."""

from __future__ import annotations

CURRENCY = "GTQ"
ZONE = "America/Guatemala"
ACTOR = "demo"
RUNNER = "user:rosa"  # who runs the shop
PACE = 60_000  # requests a minute: this LNbits has no limit
