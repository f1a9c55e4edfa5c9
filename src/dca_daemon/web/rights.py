"""Who asks, and whether they may: people by their session's cookie, programs by their token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache

from starlette.requests import Request

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.rights import Role, Scope


class LoginNeededError(DcaError):
    """Nobody is logged in, or the token is not known."""

    code = "unauthenticated"


class ForbiddenError(DcaError):
    """Whoever asks may not do this."""

    code = "forbidden"


@dataclass(frozen=True, slots=True)
class Person:
    """Who is logged in."""

    user_id: int
    name: str
    role: Role

    @property
    def actor(self) -> str:
        """For the audit log."""
        return f"user:{self.name}"

    def may(self, role: Role) -> bool:
        """Whether this role is included in the person's own."""
        return self.role.includes(role)


@dataclass(frozen=True, slots=True)
class Caller:
    """A program with a token."""

    actor: str
    scopes: frozenset[Scope]
    client_id: int | None = None


@cache
def at_least(role: Role) -> Callable[[Request], Awaitable[Person]]:
    """Lets in who has this role or more."""

    async def person(request: Request) -> Person:
        raise LoginNeededError("log in first")

    return person


@cache
def scoped(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """Lets in tokens with this scope."""

    async def caller(request: Request) -> Caller:
        raise LoginNeededError("a token is needed")

    return caller


async def sees_still(request: Request) -> Person:
    """A viewer, as before; asking does not count as a use of the session."""
    return await at_least(Role.VIEWER)(request)
