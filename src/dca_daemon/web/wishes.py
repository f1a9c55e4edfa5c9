"""What is given with an action: one model for the page's form and for the API's body.

Values are text as a person writes it; what it means, and whether it may be, the services decide. Here is only
what the door itself can see: what is missing, too long, or no choice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.fields import FieldInfo
from starlette.datastructures import FormData

MAX_ID = 2**63 - 1
_WHOLE = re.compile("[+-]?[0-9]+")


class Wish(BaseModel):
    """Base of all. Fields whose names stand in the action's path are taken from there."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def like(body: dict[str, Any]) -> ConfigDict:
    """Has the API's documentation show this body, in place of what is needed with the fields' own examples."""
    return ConfigDict(json_schema_extra={"examples": [body]})


@dataclass(frozen=True, slots=True)
class Widget:
    """How a form shows a field: `text`, `area`, `password`, `file`. What is `secret` is never sent back."""

    kind: str = "text"
    secret: bool = False
    suggestions: str | None = None  # which list of names is offered: clients, pools, machines
    max_chars: int = 500  # of an area
    written: Callable[[Any], str] | None = None  # a value that is no text, as a form has it


_Trimmed = StringConstraints(strip_whitespace=True, min_length=1, max_length=500)

Text = Annotated[str, _Trimmed]
Reason = Annotated[
    str,
    _Trimmed,
    Field(title="Reason", description="Why; kept with the change.", examples=["counted again"]),
    Widget("area"),
]
ClientRef = Annotated[
    str,
    _Trimmed,
    Field(title="Client", description="The client's number or name.", examples=["Ana"]),
    Widget(suggestions="clients"),
]
PoolRef = Annotated[
    str,
    _Trimmed,
    Field(title="Pool", description="By number or name; empty: the default pool.", examples=["default"]),
    Widget(suggestions="pools"),
]
MachineRef = Annotated[
    str,
    _Trimmed,
    Field(title="Machine", description="By name or device id.", examples=["Mercado Central"]),
    Widget(suggestions="machines"),
]
FiatAmount = Annotated[
    str, _Trimmed, Field(title="Amount", description="Such as 1000 or 1000.50.", examples=["1000.50"])
]


def _whole(value: object) -> object:
    """Pydantic itself would take True for 1, and "1_000" for a thousand."""
    if isinstance(value, bool) or (isinstance(value, str) and not _WHOLE.fullmatch(value.strip())):
        raise ValueError("must be a whole number")
    return value


Id = Annotated[int, BeforeValidator(_whole), Field(ge=1, le=MAX_ID)]
WholeSats = Annotated[int, BeforeValidator(_whole), Field(ge=-MAX_ID, le=MAX_ID)]  # how many may be: the services


@dataclass(frozen=True, slots=True)
class FormField:
    """A field as a form shows it."""

    name: str
    title: str
    hint: str
    needed: bool
    kind: str  # text, area, password, check, choice
    secret: bool
    choices: tuple[str, ...]
    suggestions: str | None
    max_chars: int


def form_fields(wish: type[Wish], leave_out: Sequence[str] = ()) -> tuple[FormField, ...]:
    """The fields of a form, in their order."""
    return tuple(_form_field(name, info) for name, info in wish.model_fields.items() if name not in leave_out)


def _form_field(name: str, info: FieldInfo) -> FormField:
    widget = _widget(info)
    kind, choices = _kind(info.annotation)
    return FormField(
        name=name,
        title=info.title or name.replace("_", " ").capitalize(),
        hint=info.description or "",
        needed=info.is_required(),
        kind=kind or widget.kind,
        secret=widget.secret,
        choices=choices,
        suggestions=widget.suggestions,
        max_chars=widget.max_chars,
    )


def _widget(info: FieldInfo) -> Widget:
    return next((m for m in _metadata(info) if isinstance(m, Widget)), Widget())


def _metadata(info: FieldInfo) -> list[Any]:
    """What the field's type carries, also within `X | None`."""
    found = list(info.metadata)
    for part in get_args(info.annotation):
        if get_origin(part) is Annotated:
            found.extend(get_args(part)[1:])
    return found


def _kind(annotation: object) -> tuple[str | None, tuple[str, ...]]:
    parts = [part for part in (get_args(annotation) or (annotation,)) if part is not type(None)]
    if get_origin(annotation) is list and _kind(parts[0])[0] == "choice":
        return "choices", _kind(parts[0])[1]
    if get_origin(annotation) is Literal:
        return "choice", tuple(str(part) for part in parts)
    for part in parts:
        if get_origin(part) is Literal:
            return "choice", tuple(str(one) for one in get_args(part))
        if isinstance(part, type) and issubclass(part, Enum):
            return "choice", tuple(str(one.value) for one in part)
        if part is bool:
            return "check", ()
    return None, ()


def as_posted(form: FormData) -> dict[str, str]:
    """The fields of a posted form; what was ticked of several, as one text. Files are left out."""
    texts = [(name, text) for name, text in form.multi_items() if isinstance(text, str)]
    return {name: " ".join(text for other, text in texts if other == name) for name, _ in texts}


def with_example(wish: type[Wish], leave_out: Sequence[str] = ()) -> ConfigDict:
    """The model's configuration with a body as a program may send it; `leave_out`: what is no part of it."""
    if "json_schema_extra" in wish.model_config:
        return wish.model_config
    needed = ((n, info) for n, info in wish.model_fields.items() if info.is_required() and n not in leave_out)
    body = {n: info.examples[0] if info.examples else _kind(info.annotation)[1][0] for n, info in needed}
    return {**wish.model_config, **like(body)}


def from_form(wish: type[Wish], fields: Mapping[str, str]) -> dict[str, Any]:
    """A form's fields as the model takes them: an empty one was not given; a box that is not ticked is no; the
    words of a list are apart by spaces or commas."""
    values: dict[str, Any] = {name: text for name, text in fields.items() if text.strip()}
    for name, info in wish.model_fields.items():
        if _kind(info.annotation)[0] == "check":
            values[name] = name in fields
        elif get_origin(info.annotation) is list and name in values:
            values[name] = values[name].replace(",", " ").split()
    return values


def as_typed(wish: type[Wish], fields: Mapping[str, Any]) -> dict[str, str]:
    """Values as a form has them: a box that is not ticked is not there."""
    given = {name: value for name, value in fields.items() if value is not None and value is not False}
    return {name: _typed(_widget(wish.model_fields[name]), value) for name, value in given.items()}


def _typed(widget: Widget, value: Any) -> str:
    if widget.written is not None:
        return widget.written(value)
    return " ".join(value) if isinstance(value, list) else str(value)


def problems(error: ValidationError) -> dict[str, str]:
    """What is wrong, by field, in words for people."""
    found: dict[str, str] = {}
    for item in error.errors(include_url=False, include_input=False, include_context=True):
        name = str(item["loc"][0]) if item["loc"] else ""
        found.setdefault(name, _in_words(item))
    return found


def _in_words(item: Any) -> str:
    match item["type"]:
        case "missing" | "string_too_short":
            return "this is needed"
        case "extra_forbidden":
            return "there is no such field"
        case "string_too_long":
            return f"at most {item['ctx']['max_length']} characters"
    text = str(item["msg"]).removeprefix("Value error, ").replace("Input should be", "must be")
    return text.partition(", unable to parse")[0].replace("a valid integer", "a whole number")
