"""The pages of an action: form, preview, confirmation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from fastapi import APIRouter, Depends
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dca_daemon.domain.errors import DcaError, InputError
from dca_daemon.services import intents
from dca_daemon.services.intents import NotAsShownError
from dca_daemon.web.actions import INTENT, Action, Call, at
from dca_daemon.web.desk import Desk, desk_of
from dca_daemon.web.rendering import page, see_other
from dca_daemon.web.rights import Person, at_least
from dca_daemon.web.suggestions import suggestions
from dca_daemon.web.two_steps import DONE_ALREADY, TwoSteps
from dca_daemon.web.wishes import Wish, as_posted, as_typed, form_fields, from_form, problems

AGAIN = "again"  # back from the preview to the form

Guard = Callable[[Request], Awaitable[Person]]


def action_pages(actions: Iterable[Action[Any, Any]]) -> APIRouter:
    """A form at each action's path, and what it posts to."""
    router = APIRouter(include_in_schema=False)
    for action in actions:
        assert action.role is not None, action.name
        guard = at_least(action.role)
        router.add_api_route(action.path, _form_of(action, guard), methods=["GET"], name=f"form {action.name}")
        router.add_api_route(action.path, _post_to(action, guard), methods=["POST"], name=f"do {action.name}")
    return router


def _form_of(action: Action[Any, Any], guard: Guard) -> Any:
    async def form(request: Request, person: Person = Depends(guard)) -> Response:
        """Empty, or begun with what the address says, or with what a preview was made of."""
        if offered := request.query_params.get(INTENT):
            try:
                return await _again(request, action, person, offered)
            except InputError as error:
                return await _form(request, action, {}, error=str(error), status=422)
        given = {
            name: request.query_params[name] for name in action.wish.model_fields if name in request.query_params
        }
        return await _form(request, action, given)

    return form


def _post_to(action: Action[Any, Any], guard: Guard) -> Any:
    async def post(request: Request, person: Person = Depends(guard)) -> Response:
        """Previews what was entered; with an intent, carries it out."""
        posted = as_posted(await request.form())
        token = posted.pop(INTENT, None)
        posted |= {name: str(value) for name, value in request.path_params.items()}
        try:
            if token is None:
                return await _entered(request, action, person, posted)
            if AGAIN in posted:
                return await _again(request, action, person, token)
            return await _confirmed(request, action, person, token)
        except NotAsShownError as error:
            return await _again(request, action, person, token or "", say=str(error))

    post.action = action  # type: ignore[attr-defined]  # who was logged out meanwhile finds the form again
    return post


async def _form(
    request: Request,
    action: Action[Any, Any],
    given: Mapping[str, Any],
    *,
    wrong: Mapping[str, str] | None = None,
    error: str | None = None,
    status: int = 200,
) -> Response:
    fields = form_fields(action.wish, action.path_fields)
    names = {field.name for field in fields}
    wrong = dict(wrong or {})
    elsewhere = [f"{name}: {text}" if name else text for name, text in wrong.items() if name not in names]
    return page(
        request,
        "action_form.html",
        status,
        action=action,
        fields=fields,
        given={name: text for name, text in given.items() if name in names},
        wrong=wrong,
        error="; ".join(filter(None, [error, *elsewhere])) or None,
        offered=await suggestions(desk_of(request).db, [field.suggestions for field in fields]),
    )


async def _entered(
    request: Request, action: Action[Any, Any], person: Person, posted: Mapping[str, str]
) -> Response:
    shown = _without_secrets(action, posted)
    try:
        wish = action.wish.model_validate(from_form(action.wish, posted))
    except ValidationError as error:
        return await _form(request, action, shown, wrong=problems(error), status=422)
    try:
        if action.one_step:
            return await _do_at_once(request, action, person, wish)
        return await _preview(request, action, person, wish)
    except DcaError as error:
        return await _refused(request, action, shown, error)


async def _refused(
    request: Request, action: Action[Any, Any], shown: Mapping[str, Any], error: DcaError
) -> Response:
    """The form again, with the error beside its field."""
    field = action.field_of(error)
    if field is not None and field not in action.path_fields:
        return await _form(request, action, shown, wrong={field: str(error)}, status=422)
    return await _form(request, action, shown, error=str(error), status=422)


async def prepared(action: Action[Any, Any], desk: Desk, actor: str, wish: Wish) -> Any:
    """What the outside says, before any transaction is open."""
    if action.prepare is None:
        return None
    return await action.prepare(Call(desk, desk.db, actor), wish)


async def _two_steps(request: Request, action: Action[Any, Any], person: Person, wish: Wish) -> TwoSteps:
    desk = desk_of(request)
    found = await prepared(action, desk, person.actor, wish)
    return TwoSteps(desk, action, wish, person.actor, _named(action, wish), found)


async def _preview(request: Request, action: Action[Any, Any], person: Person, wish: Wish) -> Response:
    rehearsal, token = await (await _two_steps(request, action, person, wish)).rehearse()
    return page(
        request,
        "action_preview.html",
        action=action,
        facts=action.facts(rehearsal.result),
        reason=getattr(wish, "reason", None),
        effect=rehearsal.effect,
        token=token,
    )


async def _do_at_once(request: Request, action: Action[Any, Any], person: Person, wish: Wish) -> Response:
    desk = desk_of(request)
    found = await prepared(action, desk, person.actor, wish)
    result = await action.work(Call(desk, desk.db, person.actor, found), wish)
    if action.shows_once is not None:
        return page(request, action.shows_once, result=result)
    return see_other(request, action.leads_to(result), action.says(result))


async def _confirmed(request: Request, action: Action[Any, Any], person: Person, token: str) -> Response:
    wish, intent = await _offered(request, action, person, token)
    if intent.result_path is not None:
        return see_other(request, intent.result_path, DONE_ALREADY)
    try:
        result = await (await _two_steps(request, action, person, wish)).carry_out(token)
    except NotAsShownError:
        raise
    except DcaError as error:
        return await _refused(
            request, action, _without_secrets(action, as_typed(action.wish, intent.fields)), error
        )
    if isinstance(result, str):
        return see_other(request, result, DONE_ALREADY)
    return see_other(request, action.leads_to(result), action.says(result))


async def _offered(
    request: Request, action: Action[Any, Any], person: Person, token: str
) -> tuple[Wish, intents.Intent]:
    desk = desk_of(request)
    named = _path_named(action, request.path_params)
    intent = await intents.find(desk.db, desk.keys, token, actor=person.actor, action=named)
    return action.wish.model_validate(intent.fields), intent


async def _again(
    request: Request, action: Action[Any, Any], person: Person, token: str, say: str | None = None
) -> Response:
    """Back to the form with what was entered; or, when it would come to something else, a new look."""
    _, intent = await _offered(request, action, person, token)
    shown = _without_secrets(action, as_typed(action.wish, intent.fields))
    return await _form(request, action, shown, error=say, status=200 if say is None else 409)


def _named(action: Action[Any, Any], wish: Wish) -> str:
    return _path_named(action, wish.model_dump(mode="json"))


def _path_named(action: Action[Any, Any], values: Mapping[str, Any]) -> str:
    """The action on this subject: an intent for one deposit confirms no other."""
    return f"{action.name} {at(action.path, values)}"


def _without_secrets(action: Action[Any, Any], posted: Mapping[str, str]) -> dict[str, str]:
    secret = {field.name for field in form_fields(action.wish) if field.secret}
    return {name: text for name, text in posted.items() if name not in secret}
