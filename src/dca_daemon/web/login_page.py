"""The way to log in from wherever one was, and back: never to another site."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dca_daemon.web.actions import INTENT, Action
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page
from dca_daemon.web.wishes import as_posted, form_fields

HOME = "/"
LOGIN = "/login"
CHARS_MAX = 4000


def local_path(text: str | None) -> str:
    """The path, if it is one of ours that can be gone to; otherwise the first page."""
    if not text or len(text) > CHARS_MAX or not text.isascii() or not text.isprintable():
        return HOME
    if not text.startswith("/") or text.startswith("//") or "\\" in text:
        return HOME
    try:
        parts = urlsplit(text)
    except ValueError:
        return HOME
    if (
        parts.scheme
        or parts.netloc
        or parts.path == LOGIN
        or parts.path.startswith(("/login/", "/logout", "/api/"))
    ):
        return HOME
    return text


async def to_login(request: Request) -> Response:
    """For who is not logged in: a page that was asked for comes after the login. After what was posted it is the
    form, with what was entered in it, or the page from which it came."""
    if request.method in ("GET", "HEAD"):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = local_path(here)
        return RedirectResponse(
            LOGIN if wanted == HOME else f"{LOGIN}?next={quote(wanted, safe='')}", status_code=303
        )
    return login_page(
        request,
        401,
        wanted=await _form_again(request) or _came_from(request),
        error="Your session is over: nothing was done. Log in, and do it again: what you entered is kept, but for "
        "secrets.",
    )


def login_page(
    request: Request,
    status: int = 200,
    *,
    wanted: str = HOME,
    name: str = "",
    error: str | None = None,
    wrong: Mapping[str, str] | None = None,
) -> Response:
    """The form. The name that was typed is kept, the password never."""
    return page(request, "login.html", status, wanted=wanted, name=name, error=error, wrong=wrong or {})


async def _form_again(request: Request) -> str | None:
    """Where the form is that was posted, begun with what was entered; None for what is no form of an action."""
    action = getattr(request.scope.get("endpoint"), "action", None)
    if not isinstance(action, Action):
        return None
    fields = {field.name for field in form_fields(action.wish, action.path_fields) if not field.secret}
    entered = as_posted(await request.form())
    kept = {name: text for name, text in entered.items() if text and name in (*fields, INTENT)}
    wanted = local_path(f"{request.url.path}?{urlencode(kept)}")
    return wanted if wanted != HOME else local_path(request.url.path)


def _came_from(request: Request) -> str:
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return HOME
    ours = (urlsplit(desk_of(request).base_url).netloc, request.headers.get("host"))
    if not referer.netloc or referer.netloc not in ours:
        return HOME
    return local_path(referer.path + (f"?{referer.query}" if referer.query else ""))
