"""Names and addresses of computers."""

from __future__ import annotations

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether it can only be this computer itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
