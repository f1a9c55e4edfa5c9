"""The archive: what pg_dump writes, encrypted on its way to the disk. No more than a chunk is ever in memory."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from dca_daemon.domain.errors import BackupError

CHUNK_BYTES = 1 << 18
_AGE_MAGIC = b"age-encryption.org/v1\n"
_DUMP_MAGIC = b"PGDMP"


class Writer(Protocol):
    """Where bytes go."""

    def write(self, data: bytes, /) -> int: ...

    def flush(self) -> None: ...


class Sink:
    """Hands bytes on, counts and sums them, and remembers a failure: pyrage forgets one of the last write."""

    def __init__(self, target: Writer | None) -> None:
        self._target = target
        self._sum = hashlib.sha256()
        self.size_bytes = 0
        self.begin = b""
        self.error: OSError | None = None

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()

    def write(self, data: bytes) -> int:
        if len(self.begin) < len(_DUMP_MAGIC):
            self.begin = (self.begin + data)[: len(_DUMP_MAGIC)]
        self._sum.update(data)
        self.size_bytes += len(data)
        if self._target is not None:
            self._guarded(lambda target: target.write(data))
        return len(data)

    def flush(self) -> None:
        if self._target is not None:
            self._guarded(lambda target: target.flush())

    def _guarded(self, do: Any) -> None:
        try:
            do(self._target)
        except OSError as error:
            self.error = self.error or error
            raise


def write(path: Path, source: IO[bytes], recipients: Sequence[Any] | None) -> Sink:
    """Writes a new file, readable by its owner only, and sees it on the disk. `recipients` None: not encrypted.

    Raises `BackupError` when the disk is full or fails.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=CHUNK_BYTES) as file:
            sink = Sink(file)
            if recipients is None:
                while chunk := source.read(CHUNK_BYTES):
                    sink.write(chunk)
            else:
                _encrypt(source, sink, recipients)
            sink.flush()
            if sink.error is not None:
                raise sink.error
            os.fsync(file.fileno())
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise BackupError(
            f"the archive could not be written: {reason}", remedy=f"look at {path.parent}"
        ) from error
    return sink


def _encrypt(source: IO[bytes], sink: Sink, recipients: Sequence[Any]) -> None:
    from pyrage import EncryptError, encrypt_io

    try:
        encrypt_io(source, sink, list(recipients))
    except EncryptError as error:
        raise sink.error or BackupError(f"the archive could not be encrypted: {error}") from error


def sha256_of(path: Path) -> str:
    """Of the whole file. Raises `BackupError`."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BackupError(f"can't read {path}: {error.strerror}") from None


def read(path: Path, target: Writer | None, identities: Sequence[Any] | None) -> int:
    """Decrypts the archive into `target`; the bytes of the dump. `identities` None: it is not encrypted.

    Raises `BackupError` when no key fits or the archive is damaged, `BrokenPipeError` when `target` has enough.
    """
    from pyrage import DecryptError, decrypt_io

    sink = Sink(target)
    try:
        with path.open("rb") as file:
            if identities is None:
                while chunk := file.read(CHUNK_BYTES):
                    sink.write(chunk)
            else:
                if file.read(len(_AGE_MAGIC)) != _AGE_MAGIC:
                    raise BackupError(f"{path.name} is damaged, or no archive: it is not encrypted with age")
                file.seek(0)
                decrypt_io(file, sink, list(identities))
        sink.flush()
    except DecryptError as error:
        if sink.error is not None:
            raise sink.error from None
        if "key" in str(error).lower():
            raise BackupError(
                f"this key does not open {path.name}", remedy="the manifest names the public keys it was made for"
            ) from None
        raise BackupError(f"{path.name} is damaged: it can't be decrypted") from None
    except OSError as error:
        if sink.error is not None:
            raise sink.error from None
        raise BackupError(f"{path.name} is damaged: {error.strerror or error}") from None
    if sink.error is not None:
        raise sink.error
    if sink.begin != _DUMP_MAGIC:
        raise BackupError(f"{path.name} is no archive of pg_dump")
    return sink.size_bytes
