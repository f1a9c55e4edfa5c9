"""What commands work with: the settings, the books, the wallet, who is asking, and whether they mean it."""

from __future__ import annotations

import asyncio
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

from dca_daemon.domain.errors import InputError

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.payouts.wallet import Wallet
    from dca_daemon.runtime.settings import Settings

T = TypeVar("T")
DEBUG_ENV = "DCA_DEBUG"
MAX_SECRET_FILE_BYTES = 65_536


@dataclass
class GlobalOptions:
    """What stood before the command's name."""

    config: Path | None = None
    debug: bool = False


given = GlobalOptions()


def debugging() -> bool:
    """Whether an unexpected fault is shown with its traceback."""
    return given.debug or os.environ.get(DEBUG_ENV, "") not in ("", "0")


def load() -> Settings:
    """The settings, and logging set up so that warnings go to stderr and stdout stays the data's own."""
    from dca_daemon.runtime.logging import configure_logging
    from dca_daemon.runtime.settings import load_settings
    from dca_daemon.runtime.settings_renamed import tell

    settings = load_settings(given.config)
    configure_logging(level="debug" if debugging() else "warning", secrets=settings.secrets())
    tell(settings.renamed)
    return settings


def load_as_service() -> Settings:
    """The same, for a command that logs what it does where systemd runs it; a person sees what it prints."""
    from dca_daemon.runtime.logging import configure_logging

    settings = load()
    served = "JOURNAL_STREAM" in os.environ or "INVOCATION_ID" in os.environ
    if served or not debugging():
        configure_logging(level=settings.log.level if served else "critical", format=settings.log.format)
    return settings


def with_database(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` on our database, whatever its schema."""
    from dca_daemon.ledger.db import Database

    async def session() -> T:
        db = Database(settings.database.sqlalchemy_url, pool_size=2)
        try:
            return await work(db)
        finally:
            await db.close()

    return asyncio.run(session())


def with_books(settings: Settings, work: Callable[[Database], Awaitable[T]]) -> T:
    """Runs `work` on the books, which must be reachable and at the schema that we need."""
    from dca_daemon.ledger.migrate import check_revision

    async def checked(db: Database) -> T:
        await check_revision(db)
        return await work(db)

    return with_database(settings, checked)


async def with_wallet(settings: Settings, work: Callable[[Wallet], Awaitable[T]]) -> T:
    """Runs `work` with the wallet that pays."""
    from dca_daemon.runtime.wiring import wallet as wallet_of

    wallet = wallet_of(settings)
    try:
        return await work(wallet)
    finally:
        await wallet.close()


def actor() -> str:
    """Who is asking, for the audit log: the login user, also behind sudo."""
    behind_sudo = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    if behind_sudo:
        return f"os:{behind_sudo}"
    try:
        return f"os:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:  # a container's user without a name
        return f"os:{os.getuid()}"


def confirm(question: str, *, yes: bool) -> None:
    """Asks a person; goes on only when the answer is yes. Raises `InputError` where nobody can answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise InputError("this needs a confirmation, and there is nobody to ask", remedy="add --yes")
    if not typer.confirm(question, err=True):
        raise InputError("not confirmed: nothing was changed")


def usage_error(message: str) -> Exception:
    """A mistake in how the command was called: exit status 2."""
    return typer.BadParameter(message, param_hint=None)


def read_secret_file(path: Path, what: str) -> str:
    """The single word in a file. Raises `InputError` that names the file and never its content."""
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_SECRET_FILE_BYTES)
    except OSError as error:
        raise InputError(f"can't read {what} from {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file", remedy=f"it must hold {what} and nothing else") from None
    return text.strip()
