"""Whether a connection on loopback is our own account's: nobody else of this computer may use the tunnel."""

from __future__ import annotations

import os
from pathlib import Path

_TABLE = Path("/proc/self/net/tcp")
_LOOPBACK = "0100007F"  # 127.0.0.1 as the kernel writes it: little-endian


def is_ours(port: int) -> bool:
    """Whether the socket on that port of 127.0.0.1 belongs to our account. Where the kernel does not tell: yes."""
    try:
        lines = _TABLE.read_text(encoding="ascii").splitlines()[1:]
    except OSError:
        return True
    end = f"{_LOOPBACK}:{port:04X}"
    owners = {int(words[7]) for words in map(str.split, lines) if words[1] == end}
    return os.geteuid() in owners
