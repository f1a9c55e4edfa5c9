"""What can be done through the console: each action once, for its page and for the API.

An action says what it is given, who may do it, and which service does it. From that come its form, its preview by
the same code rolled back, its confirmation with a one-use intent (`action_pages.py`), and its endpoint with an
idempotency key (`action_api.py`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.ledger.db import Database
from dca_daemon.web.desk import Desk
from dca_daemon.web.wishes import Wish

W = TypeVar("W", bound=Wish)
R = TypeVar("R")

INTENT = "intent"  # the field of a confirmation
Facts = Sequence[tuple[str, str]]  # what a person reads: name and value


class Standing(str):
    """The value of a fact that moves by itself, as balances do with each cash-out: shown as it stands, and not
    compared when the person confirms. All other facts must be the same then, so none may hold a new number or the
    time of now."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Call:
    """One carrying out. `db`: everything done in it is rolled back, or committed, as one. `prepared`: what was
    asked of the outside before it began. `client_id`: whose own deed it is, where it is a client's."""

    desk: Desk
    db: Database
    actor: str
    prepared: Any = None
    client_id: int | None = None


@dataclass(frozen=True, slots=True)
class Action(Generic[W, R]):
    """`name` as in the audit log. `path`: of its page; the API has it under /api/v1, at `api_path` if given.

    `work` calls one service. `facts`: what came of it, or would. `leads_to`: the page to look at afterwards.
    `answer`: the same for programs. `prepare` asks the outside (a destination, a rate) before any transaction.
    `one_step`: nothing of money or rights changes, so that it is done without a preview.
    """

    name: str
    title: str
    path: str
    wish: type[W]
    role: Role | None  # None: on no page of the console
    scope: Scope
    work: Callable[[Call, W], Awaitable[R]]
    facts: Callable[[R], Facts]
    leads_to: Callable[[R], str]
    answer: Callable[[R], BaseModel]
    answer_model: type[BaseModel]
    explanation: str = ""  # above the form
    button: str | None = None  # on the form's button; default: the title
    prepare: Callable[[Call, W], Awaitable[Any]] | None = None
    one_step: bool = False
    api_path: str | None = None
    api_status: int = 200
    said: Callable[[R], str] | None = None  # the sentence afterwards; default: the title, done
    # A page in place of leading on, for what is shown once; only with `one_step`.
    shows_once: str | None = None

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The names in braces."""
        return tuple(re.findall(r"{(\w+)(?::\w+)?}", self.path))

    def told(self, result: R) -> Facts:
        """The facts that must be the same when it is confirmed."""
        return [(name, value) for name, value in self.facts(result) if not isinstance(value, Standing)]

    def field_of(self, error: DcaError) -> str | None:
        """Which field is at fault, if one is. Services call a client `client`, where an address has its id."""
        names = (error.field, f"{error.field}_id")
        return next((name for name in names if name in self.wish.model_fields), None)

    def says(self, result: R) -> str:
        """What is told once it is done."""
        if self.said is not None:
            return self.said(result)
        return f"{self.title}: done."


def at(path: str, fields: Mapping[str, object]) -> str:
    """The path with its fields filled in."""
    return re.sub(r"{(\w+)(?::\w+)?}", lambda found: str(fields[found[1]]), path)
