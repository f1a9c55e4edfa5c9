"""Passwords of people who use the console: only an argon2id hash of each is kept."""

from __future__ import annotations

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.text import storable

MIN_CHARS = 12
MAX_CHARS = 128

# Each takes its memory and a processor for a moment: no more than two at a time, whoever asks.
_THREADS = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
hasher = PasswordHasher()


def check_password(password: str, name: str) -> None:
    """Raises `InputError` for one that is too short or too long, or is the person's own name."""
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise InputError(f"a password has {MIN_CHARS} to {MAX_CHARS} characters", field="password")
    if password != storable(password):
        raise InputError("the password has a character that can't be kept", field="password")
    if not password.casefold().replace(name.casefold(), "").strip("0123456789 .-_!"):
        raise InputError("the password is made of the name: choose another", field="password")
    if len(set(password)) < 4:
        raise InputError("the password is the same few characters over and over", field="password")


async def hashed(password: str) -> str:
    """The hash to keep. It takes a while, by design."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, hasher.hash, password)


async def verified(kept: str | None, password: str) -> bool:
    """Whether the password is the one. Takes as long without a hash, so that nobody learns which names exist."""
    if len(password) > MAX_CHARS:
        password = ""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _verify, kept, password)


def outdated(kept: str) -> bool:
    """Whether the hash was made by weaker rules than today's."""
    return hasher.check_needs_rehash(kept)


def _verify(kept: str | None, password: str) -> bool:
    try:
        hasher.verify(kept or _nobodys(hasher), password)
    except (VerificationError, InvalidHashError):
        return False
    return kept is not None


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    return hasher.hash(secrets.token_urlsafe())
