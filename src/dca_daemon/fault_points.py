"""Named places between durable steps, at which a test can kill the process, raise, or pause. Free when unused.

A durable step is one transaction of intake, baseline, fixed runs or payer, or one call of a wallet service. Each
has a name; a point stands before and after its commit, or before and after the call. The program itself never
installs a handler: that is for tests (tests/faults, tests/simulation).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal

CommitStep = Literal[
    "baseline.set",
    "intake.book",
    "intake.book-alone",
    "intake.keep-refused",
    "fixed.run",
    "payout.reserve",
    "payout.invoiced",
    "payout.submitting",
    "payout.unanswered",
    "payout.unknown",
    "payout.settle",
    "payout.release",
    "payout.hold",
    "payout.postpone",
]
CallStep = Literal["wallet.create-invoice", "wallet.pay", "wallet.sent", "wallet.received", "wallet.balance"]
Handler = Callable[[str], Awaitable[None]]

_handler: Handler | None = None


def install(handler: Handler | None) -> None:
    """From now on `handler` is awaited at each point, with its name (`payout.settle.before-commit`)."""
    global _handler
    _handler = handler


async def before_commit(step: CommitStep | None) -> None:
    """All of the transaction is written, and nothing of it committed."""
    if _handler is not None and step is not None:
        await _handler(f"{step}.before-commit")


async def after_commit(step: CommitStep | None) -> None:
    """It is committed, and nothing has followed from it yet."""
    if _handler is not None and step is not None:
        await _handler(f"{step}.after-commit")


@asynccontextmanager
async def around_call(step: CallStep) -> AsyncIterator[None]:
    """A call of the wallet service: before it is made, and after its answer has come."""
    if _handler is not None:
        await _handler(f"{step}.before-call")
    yield
    if _handler is not None:
        await _handler(f"{step}.after-call")
