"""Who asks, and whether they may: people by their session's cookie, programs by their token."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from starlette.requests import Request

from dca_daemon.domain.errors import DcaError
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import api_tokens, sessions
from dca_daemon.web.desk import Desk, desk_of

_TOKEN_CHARS_MAX = 200


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
    """Lets in who has this role or more. Raises `LoginNeededError`, `ForbiddenError`."""

    async def guard(request: Request) -> Person:
        person = await who(request)
        request.state.person = person
        return _with_role(person, role)

    return guard


viewer = at_least(Role.VIEWER)
operator = at_least(Role.OPERATOR)
admin = at_least(Role.ADMIN)


async def sees_still(request: Request) -> Person:
    """The same for viewers, without counting as a use of the session: for streams that look again."""
    return _with_role(await who(request, touch=False), Role.VIEWER)


async def who(request: Request, *, touch: bool = True) -> Person | None:
    """Who is logged in with the cookie of this request, if somebody is."""
    desk = desk_of(request)
    token = request.cookies.get(cookie_name(desk), "")
    if not token or len(token) > _TOKEN_CHARS_MAX:
        return None
    found = await sessions.find(desk.db, token, idle=session_limits(desk).idle, touch=touch)
    return None if found is None else Person(found.user_id, found.name, found.role)


def _with_role(person: Person | None, role: Role) -> Person:
    if person is None:
        raise LoginNeededError("you are not logged in, or your session is over", remedy="log in")
    if not person.may(role):
        raise ForbiddenError(
            f"this takes the role {role.value}; yours is {person.role.value}", remedy="ask an admin of the console"
        )
    return person


@cache
def scoped(scope: Scope) -> Callable[[Request], Awaitable[Caller]]:
    """Lets in tokens with this scope. Any scope but `client`'s own includes reading."""

    async def guard(request: Request) -> Caller:
        caller = await _caller(request)
        request.state.caller = caller
        reads = scope is Scope.READ and Scope.CLIENT not in caller.scopes
        if scope not in caller.scopes and not reads:
            raise ForbiddenError(f"this takes a token with the scope {scope.value}")
        return caller

    return guard


async def _caller(request: Request) -> Caller:
    given = request.headers.getlist("authorization")
    kind, _, token = (given[0] if len(given) == 1 else "").partition(" ")
    found = None
    if kind.lower() == "bearer" and len(token) <= _TOKEN_CHARS_MAX:
        found = await api_tokens.find(desk_of(request).db, token.strip())
    if found is None:
        raise LoginNeededError(
            "this needs a token that is in force", remedy="send it as: Authorization: Bearer dca_…"
        )
    actor = f"token:{found.name}" if found.client_id is None else f"client:{found.client_id}"
    return Caller(actor, frozenset(found.scopes), found.client_id)


def cookie_name(desk: Desk) -> str:
    """Of the session. Browsers let nobody else set one with the prefix, but take it through TLS only."""
    return "__Host-dca" if desk.secure else "dca"


def session_limits(desk: Desk) -> sessions.Limits:
    """How long sessions last, by the settings."""
    console = desk.settings.console
    return sessions.Limits(
        idle=timedelta(minutes=console.session_idle_minutes), absolute=timedelta(hours=console.session_hours)
    )
