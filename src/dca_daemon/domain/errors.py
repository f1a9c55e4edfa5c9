"""Every error of ours, with a stable code, a sentence for people, and what to do about it.

DcaError
├── ConfigError        a setting is missing or wrong
├── InputError         what somebody entered is wrong: nothing was changed
│   ├── NotFoundError  an id that names nothing
│   └── ConflictError  what is asked for does not fit the present state
├── DatabaseError      our own database is away, or not at the schema we need
├── SourceError        Lamassu's database is away, or not as we need it
├── WalletError        LNbits (or a Lightning address) gave an answer that we can't use
│   ├── WalletUnreachableError   the request provably was not sent
│   ├── WalletUnknownError       the request may or may not have been carried out
│   ├── WalletRefusedError       LNbits understood, and refused
│   ├── WalletRateLimitedError   429; says how long to wait
│   └── WalletReplyError         the reply contradicts what was asked (amount, hash, ids)
├── BackupError        a backup can't be made, used or restored there
├── NoRateError        nobody tells what a bitcoin costs, or not recently enough
└── BooksError         the books would not balance: a bug or tampering, never input
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class DcaError(Exception):
    """Base of all. `code` is stable and documented in docs/reference.md; `remedy` says what to do; `field` is the
    parameter that is at fault, where one is."""

    code = "error"

    def __init__(
        self, message: str, *, remedy: str | None = None, code: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.field = field
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigError(DcaError):
    """A setting is missing or wrong; the message names its key."""

    code = "config"


class InputError(DcaError):
    """What was entered can't be used; nothing was changed."""

    code = "input"


class NotFoundError(InputError):
    """An id that names nothing."""

    code = "not-found"


class ConflictError(InputError):
    """What is asked for does not fit the present state."""

    code = "conflict"


@contextmanager
def at_field(name: str) -> Iterator[None]:
    """What is refused within is the fault of this parameter."""
    try:
        yield
    except InputError as error:
        error.field = name
        raise


class DatabaseError(DcaError):
    """Our own database is away, or not at the schema that this program needs."""

    code = "database"


class SourceError(DcaError):
    """Lamassu's database is away, or lacks something that we need of it."""

    code = "source"


class WalletError(DcaError):
    """The wallet side gave an answer that can't be used."""

    code = "wallet"


class WalletUnreachableError(WalletError):
    """The connection was never made: the request provably was not sent."""

    code = "wallet-unreachable"


class WalletUnknownError(WalletError):
    """The request may or may not have been carried out."""

    code = "wallet-unknown"


class WalletRefusedError(WalletError):
    """LNbits understood the request and refused it. `status` is the HTTP status."""

    code = "wallet-refused"

    def __init__(self, message: str, *, status: int, remedy: str | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status


class WalletRateLimitedError(WalletError):
    """Too many requests: wait `retry_after_seconds`."""

    code = "wallet-rate-limited"

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class WalletReplyError(WalletError):
    """The reply contradicts what was asked: another amount, hash, wallet or id."""

    code = "wallet-reply"


class InvoiceExpiredError(WalletReplyError):
    """The invoice that came back is over, or nearly: the receiver's clock, or ours, is wrong."""

    code = "invoice-expired"


class NoRateError(DcaError):
    """What a bitcoin costs is not known well enough to buy at; it is worth trying again."""

    code = "no-rate"


class BooksError(DcaError):
    """The books would not balance. Never the fault of input: stop and look."""

    code = "books"


class BackupError(DcaError):
    """A backup can't be made, or one is damaged, foreign, too new, or can't be restored there."""

    code = "backup"
