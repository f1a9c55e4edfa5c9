"""The keys of backups: public ones to write them, the secret one to read them. The format is age's own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dca_daemon.domain.errors import InputError

_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - how one begins


@dataclass(frozen=True, slots=True)
class NewKey:
    """A pair: `text` is the secret key's file, as `age-keygen` would write it."""

    public: str
    text: str


def generate(now: datetime) -> NewKey:
    """A new pair. Nothing is stored."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    return NewKey(public, f"# created: {now.isoformat(timespec='seconds')}\n# public key: {public}\n{identity}\n")


def read_recipient(text: str) -> Any:
    """A public key. Raises `InputError`, which never quotes what might be a secret one."""
    from pyrage import RecipientError, x25519

    if text.upper().startswith(_SECRET):
        raise InputError("this is a secret key: the public one that belongs to it begins with age1")
    try:
        return x25519.Recipient.from_str(text)
    except RecipientError:
        raise InputError("must be public age keys, which begin with age1 and are 62 characters long") from None


def read_recipients(texts: Iterable[str]) -> list[Any]:
    """Public keys. Raises `InputError`."""
    return [read_recipient(text) for text in texts]


def read_identities(text: str) -> list[Any]:
    """The secret keys in a key file. Raises `InputError`, which never quotes it."""
    from pyrage import IdentityError, x25519

    if text.lstrip().startswith(("age-encryption.org/", "-----BEGIN AGE ENCRYPTED FILE")):
        raise InputError(
            "this key file is protected by a passphrase", remedy="decrypt it first: age --decrypt FILE"
        )
    lines = [line.strip() for line in text.splitlines()]
    found = [line for line in lines if line and not line.startswith("#")]
    if any(line.startswith("age1") for line in found):
        raise InputError("this is a public key: to read a backup takes the secret one, AGE-SECRET-KEY-…")
    try:
        identities = [x25519.Identity.from_str(line) for line in found]
    except IdentityError:
        identities = []
    if not identities:
        raise InputError("this is no key file of age", remedy="it holds a line that begins with AGE-SECRET-KEY-1")
    return identities
