"""The way to log in from wherever one was, and back: never to another site."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dca_daemon.web.desk import desk_of
from dca_daemon.web.rendering import page

HOME = "/"
LOGIN = "/login"
_CHARS_MAX = 1000


def local_path(text: str | None) -> str:
    """The path, if it is one of ours that can be gone to; otherwise the first page."""
    if not text or len(text) > _CHARS_MAX or not text.isascii() or not text.isprintable():
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


def to_login(request: Request) -> Response:
    """For who is not logged in: a page that was asked for comes after the login. After what was posted it is the
    page from which it came."""
    if request.method in ("GET", "HEAD"):
        here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        wanted = local_path(here)
        return RedirectResponse(
            LOGIN if wanted == HOME else f"{LOGIN}?next={quote(wanted, safe='')}", status_code=303
        )
    return login_page(
        request,
        401,
        wanted=_came_from(request),
        error="Your session is over: nothing was done. Log in, and do it again.",
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


def _came_from(request: Request) -> str:
    try:
        referer = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return HOME
    ours = (urlsplit(desk_of(request).base_url).netloc, request.headers.get("host"))
    if not referer.netloc or referer.netloc not in ours:
        return HOME
    return local_path(referer.path + (f"?{referer.query}" if referer.query else ""))
