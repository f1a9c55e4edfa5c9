"""Logging in and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dca_daemon.services import sessions
from dca_daemon.services.sessions import LoginRefusedError, Visitor
from dca_daemon.web.desk import desk_of
from dca_daemon.web.login_page import CHARS_MAX, HOME, LOGIN, local_path, login_page
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.rights import cookie_name, session_limits, who

router = APIRouter(include_in_schema=False)

Text = Annotated[str, Form(max_length=1000)]


@router.get("/login")
async def login_form(request: Request, next: str = HOME) -> Response:
    """The form; who is logged in already goes on."""
    wanted = local_path(next)
    if await who(request) is not None:
        return see_other(request, wanted)
    return login_page(request, wanted=wanted)


@router.post("/login")
async def log_in(
    request: Request,
    name: Text = "",
    password: Text = "",
    code: Text = "",
    next: Annotated[str, Form(max_length=CHARS_MAX)] = HOME,
) -> Response:
    """Begins a session, always with a new token: one that somebody else has planted is worth nothing."""
    desk, wanted = desk_of(request), local_path(next)
    wrong = {
        field: "this is needed" for field, text in (("name", name.strip()), ("password", password)) if not text
    }
    if wrong:
        return login_page(request, 422, wanted=wanted, name=name, wrong=wrong)
    try:
        token = await sessions.log_in(
            desk.db, desk.keys, name, password, code, visitor=_visitor(request), limits=session_limits(desk)
        )
    except LoginRefusedError as error:
        return login_page(request, 401, wanted=wanted, name=name, error=str(error))
    return await _let_in(request, token, wanted)


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """Ends the session."""
    desk = desk_of(request)
    token = request.cookies.get(cookie_name(desk))
    if token:
        await sessions.log_out(desk.db, token)
    answer = see_other(request, LOGIN, "You are logged out.")
    answer.delete_cookie(cookie_name(desk), path="/", secure=desk.secure, httponly=True, samesite="lax")
    answer.headers["Clear-Site-Data"] = '"cache"'
    return answer


@router.get("/login/link/{token}")
async def link_form(request: Request, token: str) -> Response:
    """A button: what looks ahead at links (a messenger, a scanner) does not press it."""
    return page(request, "login_link.html", token=token)


@router.post("/login/link/{token}")
async def log_in_by_link(request: Request, token: str) -> Response:
    """Uses the link up."""
    desk = desk_of(request)
    try:
        session = await sessions.log_in_by_link(
            desk.db, token, visitor=_visitor(request), limits=session_limits(desk)
        )
    except LoginRefusedError as error:
        return login_page(request, 401, error=str(error))
    return await _let_in(request, session, HOME)


async def _let_in(request: Request, token: str, wanted: str) -> Response:
    desk = desk_of(request)
    before = request.cookies.get(cookie_name(desk))
    if before:
        await sessions.log_out(desk.db, before)
    answer = RedirectResponse(wanted, status_code=303)
    answer.set_cookie(cookie_name(desk), token, path="/", secure=desk.secure, httponly=True, samesite="lax")
    return answer


def _visitor(request: Request) -> Visitor:
    address = request.client.host if request.client else ""
    return Visitor(address, request.headers.get("user-agent", ""))
