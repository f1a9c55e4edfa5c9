"""One's own account: the password, and where one is logged in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import segno
from fastapi import APIRouter, Depends, Form
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import ConfigError, InputError
from dca_daemon.domain.rights import Role
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.services import second_factor, sessions, users
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.rights import Person, at_least, cookie_name, session_limits

router = APIRouter(prefix="/account", include_in_schema=False)

Whoever = Annotated[Person, Depends(at_least(Role.VIEWER))]
Secret = Annotated[str, Form(max_length=1000)]
Code = Annotated[str, Form(max_length=20)]


@router.get("")
async def show_account(request: Request, person: Whoever) -> Response:
    """The account of who asks."""
    return await _account(request, person)


@router.post("/password")
async def change_password(
    request: Request, person: Whoever, old: Secret = "", password: Secret = "", again: Secret = ""
) -> Response:
    """Ends all other sessions. Nothing that was typed is sent back: all of it is secret."""
    db = desk_of(request).db
    if password != again:
        return await _account(request, person, 422, {"again": "this is not the same"})
    try:
        await users.change_own_password(
            db,
            person.name,
            old=old,
            new=password,
            address=_address(request),
            keep_session=sessions.token_hash(_token(request)),
        )
    except InputError as error:
        return await _account(request, person, 422, {error.field or "password": str(error)})
    return see_other(request, "/account", "Your password is changed; your other sessions were ended.")


@router.post("/second-factor")
async def turn_on(request: Request, person: Whoever, sealed: Secret = "", code: Code = "") -> Response:
    """From now on a login takes a code too. The secret that was shown comes back sealed for this person."""
    desk = desk_of(request)
    try:
        secret = _opened(desk.keys, sealed, person)
        await second_factor.turn_on(desk.db, desk.keys, person.name, secret=secret, code=code, actor=person.actor)
    except InputError as error:
        return await _account(request, person, 422, {"code": str(error)}, sealed=sealed)
    return see_other(request, "/account", "From now on you need a code to log in.")


@router.post("/second-factor/off")
async def turn_off(request: Request, person: Whoever, code: Code = "") -> Response:
    """A login takes no code any more."""
    desk = desk_of(request)
    try:
        await second_factor.turn_off_own(desk.db, desk.keys, person.name, code=code, address=_address(request))
    except InputError as error:
        return await _account(request, person, 422, {"code": str(error)})
    return see_other(request, "/account", "You need no code any more to log in.")


@router.post("/end-others")
async def end_others(request: Request, person: Whoever) -> Response:
    """Ends all sessions of who asks but the one that asks."""
    ended = await sessions.end_others(desk_of(request).db, person.user_id, _token(request))
    return see_other(request, "/account", f"Other sessions that were ended: {ended}.")


async def _account(
    request: Request,
    person: Person,
    status: int = 200,
    wrong: Mapping[str, str] | None = None,
    sealed: str | None = None,
) -> Response:
    desk = desk_of(request)
    found = await sessions.list_open(desk.db, person.user_id, _token(request), limits=session_limits(desk))
    user = await users.show(desk.db, person.name)
    try:
        secret = _opened(desk.keys, sealed or "", person)
    except InputError:
        secret = second_factor.new_secret()
    for_apps = second_factor.address_for_apps(secret, person.name)
    return page(
        request,
        "account.html",
        status,
        sessions=found,
        wrong=wrong or {},
        has_second_factor=user.has_second_factor,
        secret=secret,
        sealed=desk.keys.encrypt(f"{person.name} {secret}").decode(),
        for_apps=for_apps,
        picture=Markup(segno.make(for_apps, error="m").svg_inline(scale=4, dark="#000", light="#fff")),  # noqa: S704
    )


def _opened(keys: KeyRing, sealed: str, person: Person) -> str:
    """Raises `InputError` for what was not sealed by us for this person."""
    try:
        name, _, secret = keys.decrypt(sealed.encode()).partition(" ")
    except ConfigError:
        name, secret = "", ""
    if name != person.name or not secret:
        raise InputError("this page is out of date: begin again", field="code")
    return secret


def _token(request: Request) -> str:
    return request.cookies.get(cookie_name(desk_of(request)), "")


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
