"""Errors at the doors: problem details for programs (RFC 9457), a page for people."""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import compile_path

from dca_daemon.domain.errors import DcaError
from dca_daemon.runtime.redaction import redact_text
from dca_daemon.web.login_page import to_login
from dca_daemon.web.personal import PERSONAL
from dca_daemon.web.rendering import page
from dca_daemon.web.rights import LoginNeededError
from dca_daemon.web.wishes import problems

log = structlog.get_logger()

API = "/api/"
OWN = "/api/v1/me"
_STATUS = {
    "input": 422,
    "not-found": 404,
    "conflict": 409,
    "unauthenticated": 401,
    "forbidden": 403,
    "login-refused": 401,
    "config": 500,
    "books": 500,
    "database": 503,
    "source": 503,
    "no-rate": 503,
    "too-many-streams": 503,
}


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(BaseModel):
    """What went wrong (RFC 9457); nothing was changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:dca-daemon:error:input",
                    "title": "Unprocessable Content",
                    "status": 422,
                    "detail": "amount: 12.345 GTQ has more digits than the currency",
                    "code": "input",
                    "remedy": None,
                    "errors": [{"field": "amount", "message": "12.345 GTQ has more digits than the currency"}],
                }
            ]
        }
    )
    type: str = Field(description="Stable: urn:dca-daemon:error: and the code.")
    title: str
    status: int
    detail: str
    code: str = Field(description="As in the reference of error codes.")
    remedy: str | None = None
    errors: list[FieldProblem] = []


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": http.HTTPStatus(status).phrase,
        "model": Problem,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 502, 503)
}


def status_of(error: DcaError) -> int:
    """The HTTP status that fits an error of ours; a wallet's failure is one of a gateway."""
    return _STATUS.get(error.code, 502 if error.code.startswith(("wallet", "invoice")) else 422)


def install(app: FastAPI) -> None:
    """Has every error answered in its way."""
    app.add_exception_handler(DcaError, _ours)
    app.add_exception_handler(RequestValidationError, _not_valid)
    app.add_exception_handler(ValidationError, _not_valid)
    app.add_exception_handler(StarletteHTTPException, _http)


async def _ours(request: Request, error: Exception) -> Response:
    assert isinstance(error, DcaError)
    status = status_of(error)
    if isinstance(error, LoginNeededError):
        return await _not_logged_in(request, error)
    if status >= 500:
        log.warning("console.failed", path=_template(request), code=error.code, error=error.message)
        if request.url.path.startswith((PERSONAL, OWN)):  # how things stand here is no client's business
            return answer(request, status, error.code, "this can't be told at present", remedy="try again later")
    fields = {error.field: error.message} if error.field else {}
    return answer(request, status, error.code, error.message, remedy=error.remedy, fields=fields)


async def _not_logged_in(request: Request, error: LoginNeededError) -> Response:
    if request.url.path.startswith(API):
        headers = {"WWW-Authenticate": 'Bearer realm="dca-daemon"'}
        return answer(request, 401, error.code, error.message, remedy=error.remedy, headers=headers)
    if "text/event-stream" in request.headers.get("accept", ""):  # a form is no answer to a stream
        return answer(request, 401, error.code, error.message, remedy=error.remedy)
    return await to_login(request)


async def _not_valid(request: Request, error: Exception) -> Response:
    if isinstance(error, ValidationError):
        fields = problems(error)
    else:
        assert isinstance(error, RequestValidationError)
        fields = {_place(item): _said(item) for item in error.errors()}
    detail = "; ".join(f"{name}: {text}" if name else text for name, text in fields.items())
    return answer(request, 422, "input", detail, fields=fields)


def _place(item: Mapping[str, Any]) -> str:
    """The field, whatever is wrong within it; none where it is no JSON at all."""
    _, *names = item["loc"]
    return str(names[0]) if names and isinstance(names[0], str) else ""


def _said(item: Mapping[str, Any]) -> str:
    if item["type"] in ("missing", "string_too_short"):
        return "this is needed"
    if item["type"] == "extra_forbidden":
        return "there is no such field"
    return str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    code = "not-found" if error.status_code == 404 else "http"
    words = "there is nothing at this address" if error.status_code == 404 else str(error.detail)
    return answer(request, error.status_code, code, words, headers=headers)


def _methods(request: Request) -> set[str]:
    """All that the path may be asked for with; each route knows only its own."""
    return {
        method
        for route in iter_route_contexts(request.app.routes)
        if compile_path(str(route.path))[0].match(request.url.path)
        for method in route.methods or ()
    }


def unexpected(request: Request, error: Exception) -> Response:
    """A bug: told to who runs this, not to who asked."""
    log.error("console.bug", path=_template(request), error=redact_text(repr(error)), exc_info=error)
    return answer(request, 500, "error", "something went wrong here; it is in the console's log", remedy=None)


def _template(request: Request) -> str:
    """The route's path without what is filled in, which may be a secret, as in a login link."""
    return str(getattr(request.scope.get("route"), "path", "no route"))


def answer(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    remedy: str | None = None,
    fields: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The error as whoever asks can read it."""
    if request.url.path.startswith(API):
        problem = Problem(
            type=f"urn:dca-daemon:error:{code}",
            title=http.HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            code=code,
            remedy=remedy,
            errors=[FieldProblem(field=name, message=text) for name, text in (fields or {}).items()],
        )
        return JSONResponse(
            problem.model_dump(), status, dict(headers or {}), media_type="application/problem+json"
        )
    response = page(
        request, "error.html", status, title=http.HTTPStatus(status).phrase, detail=detail, remedy=remedy
    )
    response.headers.update(headers or {})
    return response
