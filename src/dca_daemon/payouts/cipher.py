"""Encrypts the receivers' invoice keys at rest.

The key file holds one Fernet key a line. The first encrypts; all decrypt. To rotate: put a new key on top,
encrypt everything again (`rotate`), then remove the old lines. Fernet is AES-128 in CBC mode with an HMAC.
"""

from __future__ import annotations

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from dca_daemon.domain.errors import ConfigError

MAKE_A_KEY = "dca-daemon db new-key"


class KeyRing:
    """The keys; never shown."""

    def __init__(self, text: str) -> None:
        """`text`: one key a line, besides empty lines and lines that start with #. Raises `ConfigError`."""
        lines = [line.strip() for line in text.splitlines()]
        keys = [line for line in lines if line and not line.startswith("#")]
        if not keys:
            raise ConfigError("there is no encryption key", remedy=f"make one: {MAKE_A_KEY}")
        self._fernet = MultiFernet([_fernet(key, number) for number, key in enumerate(keys, 1)])

    def __repr__(self) -> str:
        return "KeyRing(…)"

    @staticmethod
    def generate() -> str:
        """A new random key, as a line for the key file."""
        return Fernet.generate_key().decode("ascii")

    def encrypt(self, text: str) -> bytes:
        """Encrypts with the first key. Twice the same text gives different results."""
        return self._fernet.encrypt(text.encode("utf-8"))

    def decrypt(self, token: bytes) -> str:
        """The text that was encrypted. Raises `ConfigError` when none of the keys fits."""
        try:
            return self._fernet.decrypt(token).decode("utf-8")
        except InvalidToken:
            raise _no_key_fits() from None

    def rotate(self, token: bytes) -> bytes:
        """Encrypted anew with the first key. Raises `ConfigError` when none of the keys fits."""
        try:
            return self._fernet.rotate(token)
        except InvalidToken:
            raise _no_key_fits() from None


def _fernet(key: str, number: int) -> Fernet:
    try:
        return Fernet(key)
    except ValueError:  # its message could quote the key
        raise ConfigError(
            f"encryption key number {number} is not a key",
            remedy=f"each line is 32 random bytes in URL-safe base64: {MAKE_A_KEY}",
        ) from None


def _no_key_fits() -> ConfigError:
    return ConfigError(
        "none of the encryption keys fits what is stored",
        remedy="put the key back that it was encrypted with, as a further line of the key file",
    )
