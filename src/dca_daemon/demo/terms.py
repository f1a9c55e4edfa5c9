"""What the demo's parts agree on."""

from __future__ import annotations

CURRENCY = "GTQ"
ACTOR = "demo"
PACE = 60_000  # requests a minute: this LNbits has no limit
