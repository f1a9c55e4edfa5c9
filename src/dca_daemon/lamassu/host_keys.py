"""The host keys that are pinned: who the SSH server must prove to be. Compared by their SHA-256 fingerprints."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from dca_daemon.domain.errors import ConfigError
from dca_daemon.domain.text import plain

_KIND = re.compile(r"(ssh|ecdsa)-[a-z0-9-]+|sk-[a-z0-9@.-]+")
_EXAMPLE = (
    "write `ssh-ed25519 AAAA…` as in the server's /etc/ssh/ssh_host_ed25519_key.pub, or its SHA256:… fingerprint"
)


@dataclass(frozen=True, slots=True)
class HostKey:
    """A public key that the server may have. `kind` is like `ssh-ed25519`, None where it is not known."""

    kind: str | None
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}" if self.kind else self.fingerprint


def parse_host_keys(text: str) -> tuple[HostKey, ...]:
    """One key a line: a line of known_hosts or of a .pub file, or a fingerprint. Raises `ConfigError`."""
    lines = [line.strip() for line in text.splitlines()]
    keys = tuple(_parse(line) for line in lines if line and not line.startswith("#"))
    if not keys:
        raise ConfigError("is empty", remedy=_EXAMPLE)
    return keys


def _parse(line: str) -> HostKey:
    if line.startswith("@"):
        raise ConfigError("must be the host's own key: marked lines (@cert-authority, @revoked) can't be pinned")
    if re.match(r"(MD5:)?([0-9a-f]{2}:){15}[0-9a-f]{2}$", line, re.IGNORECASE):
        raise ConfigError("must be a SHA-256 fingerprint: MD5 ones can be forged", remedy=_EXAMPLE)
    if line.startswith("SHA256:"):
        digest = line.split()[0].removeprefix("SHA256:").rstrip("=")
        if not re.fullmatch(r"[A-Za-z0-9+/]{43}", digest):
            raise ConfigError("is not a whole fingerprint: SHA256: and 43 characters", remedy=_EXAMPLE)
        return HostKey(None, f"SHA256:{digest}")
    words = line.split()
    at = next((at for at, word in enumerate(words[:2]) if _KIND.fullmatch(word)), None)
    if at is None or len(words) < at + 2:
        raise ConfigError(f"{plain(line, 40)!r} is no host key", remedy=_EXAMPLE)
    return _of_blob(words[at], words[at + 1])


def _of_blob(kind: str, encoded: str) -> HostKey:
    try:
        blob = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        blob = b""
    length = int.from_bytes(blob[:4])
    if blob[4 : 4 + length] != kind.encode() or len(blob) <= 4 + length:
        raise ConfigError(f"the {kind} key is cut off, or not one", remedy=_EXAMPLE)
    return HostKey(kind, fingerprint_of(blob))


def fingerprint_of(blob: bytes) -> str:
    """As `ssh-keygen -l` writes it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
