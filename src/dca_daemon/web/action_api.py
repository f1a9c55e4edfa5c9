"""The endpoints of actions: one transaction, once per Idempotency-Key, or only rehearsed."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Path, Query
from pydantic import BaseModel, create_model
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dca_daemon.domain.errors import DcaError
from dca_daemon.ledger.db import Database
from dca_daemon.runtime.logging import held_back
from dca_daemon.services import intents
from dca_daemon.web.action_pages import prepared
from dca_daemon.web.actions import Action, Call
from dca_daemon.web.desk import desk_of
from dca_daemon.web.rights import Caller, scoped
from dca_daemon.web.wishes import Wish, with_example

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=intents.KEY_MAX_CHARS,
        description="A name of yours for this request: sent again with it, it is not done again, and answered as "
        "it was then. Kept for 7 days.",
        examples=["deposit-2026-11-25-001"],
    ),
]
DryRun = Annotated[bool, Query(description="Only tell what would come of it; nothing is changed.")]


def action_api(actions: Iterable[Action[Any, Any]], tag: str) -> APIRouter:
    """A POST for each action."""
    router = APIRouter(tags=[tag])
    for action in actions:
        router.add_api_route(
            action.api_path or action.path,
            _endpoint(action),
            methods=["POST"],
            name=action.name,
            summary=action.title,
            description=action.explanation or None,
            status_code=action.api_status,
            response_model=action.answer_model,
            openapi_extra={"x-scope": str(action.scope)},
        )
    return router


def _endpoint(action: Action[Any, Any]) -> Any:
    async def endpoint(
        request: Request,
        caller: Caller,
        idempotency_key: str | None,
        dry_run: bool,
        body: BaseModel | None = None,
        **path_values: Any,
    ) -> Response:
        given = {} if body is None else body.model_dump(exclude_unset=True)
        wish = action.wish.model_validate({**given, **path_values})
        try:
            return await _carry_out(request, action, caller, wish, idempotency_key, dry_run)
        except DcaError as error:
            error.field = action.field_of(error)
            raise

    endpoint.__signature__ = _signature(action)  # type: ignore[attr-defined]  # what FastAPI reads
    return endpoint


def _signature(action: Action[Any, Any]) -> inspect.Signature:
    """Path fields, then the rest of the wish as the body."""

    def keyword(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)

    fields = action.wish.model_fields
    parameters = [
        keyword("request", Request),
        keyword("caller", Caller, Depends(scoped(action.scope))),
        keyword("idempotency_key", IdempotencyKey, None),
        keyword("dry_run", DryRun, False),
    ]
    for name in action.path_fields:
        info = fields[name]
        place = Path(title=info.title, description=info.description)
        kind: Any = Annotated.__class_getitem__((info.annotation, *info.metadata, place))  # type: ignore[attr-defined]
        parameters.append(keyword(name, kind))
    if rest := {name: info for name, info in fields.items() if name not in action.path_fields}:
        model = create_model(
            f"{action.wish.__name__}Body",
            __config__=with_example(action.wish, action.path_fields),
            __doc__=action.wish.__doc__,
            **{name: (info.annotation, info) for name, info in rest.items()},  # type: ignore[call-overload]
        )
        parameters.append(keyword("body", Annotated[model, Body()]))
    return inspect.Signature(parameters)


async def _carry_out(
    request: Request, action: Action[Any, Any], caller: Caller, wish: Wish, key: str | None, dry_run: bool
) -> Response:
    desk = desk_of(request)
    asked = json.dumps([request.method, request.url.path, wish.model_dump(mode="json")], sort_keys=True)
    if action.prepare is not None and key and not dry_run:
        before = await intents.answered(desk.db, desk.keys, actor=caller.actor, key=key, request=asked)
        if before is not None:
            return _json(before, {"Idempotency-Replayed": "true"})
    found = await prepared(action, desk, caller.actor, wish)

    async def work(db: Database) -> intents.Answer:
        result = await action.work(Call(desk, db, caller.actor, found, caller.client_id), wish)
        return intents.Answer(action.api_status, action.answer(result).model_dump_json())

    if dry_run:
        with held_back():
            rehearsal = await intents.rehearse(desk.db, work)
        return _json(rehearsal.result, {"Dry-Run": "true"})
    with held_back() as let_go:
        answer = await intents.once(desk.db, desk.keys, actor=caller.actor, key=key, request=asked, work=work)
        let_go()
    return _json(answer, {"Idempotency-Replayed": "true"} if answer.again else {})


def _json(answer: intents.Answer, headers: dict[str, str]) -> Response:
    return JSONResponse(json.loads(answer.body), answer.status, headers)
