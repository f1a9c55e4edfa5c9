"""Writes docs/api-reference.md from the API's own OpenAPI document: `python -m dca_daemon.web.reference`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute

from dca_daemon.domain.rights import Scope
from dca_daemon.web.app import API_PATH, api_alone, api_routers
from dca_daemon.web.rights import scoped

_PREFACE = f"""\
# API reference

<!-- Written by `python -m dca_daemon.web.reference` from the API's own OpenAPI document. -->

Every endpoint, below `{API_PATH}`. How it is used, and what holds for all, is in [The API](api.md): tokens,
lists, errors. Each POST that changes something takes the header `Idempotency-Key` and, in the query, `dry_run`.
The same as a document for programs: `{API_PATH}/openapi.json`.
"""
_OF_ALL = {"dry_run", "Idempotency-Key"}
_NOT_SHOWN = {"HTTPValidationError", "ValidationError"}

Schema = Mapping[str, Any]


def markdown() -> str:
    """docs/api-reference.md."""
    document = api_alone().openapi()
    scopes = {
        (f"{API_PATH}{route.path_format}", method): _scope(route)
        for router in api_routers()
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }
    by_tag: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation.get("tags", ["system"])[0], []).append((path, method, operation))
    parts = [_PREFACE]
    for tag, operations in sorted(by_tag.items()):
        parts.append(f"\n## {tag}\n")
        for path, method, operation in sorted(operations, key=lambda one: (one[0], one[1])):
            scope = scopes[path, method.upper()]
            parts.extend(_operation(document, path, method, operation, scope))
    parts.append("\n## Shapes\n\nWhat answers and requests are made of.\n")
    for name, schema in sorted(document["components"]["schemas"].items()):
        if name not in _NOT_SHOWN and not name.endswith("Body"):
            parts.extend(_shape(name, schema))
    return "".join(parts)


def _scope(route: APIRoute) -> str:
    """The scope that the route's guard asks for; the most, where there are two."""
    guards = {scoped(scope): scope for scope in Scope}
    asked = {guards[one.call] for one in route.dependant.dependencies if one.call in guards}
    return str(next((scope for scope in asked if scope is not Scope.READ), Scope.READ))


def _operation(document: Schema, path: str, method: str, operation: Schema, scope: str) -> Iterator[str]:
    yield f"\n### {method.upper()} {path.removeprefix(API_PATH)}\n\n{operation['summary']}. Scope: `{scope}`.\n"
    if text := operation.get("description"):
        yield f"\n{_words(text)}\n"
    parameters = [one for one in operation.get("parameters", []) if one["name"] not in _OF_ALL]
    if parameters:
        yield "\n| parameter | kind | meaning |\n|---|---|---|\n"
        for one in parameters:
            where = {"path": "", "query": "", "header": " (header)"}[one["in"]]
            yield _row(one["name"] + where, one["schema"], one.get("description", ""), one["required"])
    if body := _reference(operation.get("requestBody", {})):
        schema = document["components"]["schemas"][body]
        yield "\n| field | kind | meaning |\n|---|---|---|\n"
        for name, field in schema.get("properties", {}).items():
            yield _row(name, field, field.get("description", ""), name in schema.get("required", []))
    yield f"\nAnswer: {_answer(operation)}\n"


def _answer(operation: Schema) -> str:
    status, answer = next(item for item in operation["responses"].items() if item[0].startswith("2"))
    shape = _reference(answer)
    if shape:
        return f"{status}, {_link(shape)}."
    kinds = ", ".join(answer.get("content", {})) or "a file"
    return f"{status}, {kinds}."


def _reference(part: Schema) -> str:
    """The name of the JSON shape that a request or an answer has."""
    schema = part.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _shape(name: str, schema: Schema) -> Iterator[str]:
    yield f"\n### {name}\n"
    if text := schema.get("description"):
        yield f"\n{_words(text)}\n"
    if "enum" in schema:
        yield f"\nOne of {_kind(schema)}.\n"
    if fields := schema.get("properties"):
        yield "\n| field | kind | meaning |\n|---|---|---|\n"
        for key, field in fields.items():
            yield _row(key, field, field.get("description", ""), True)


def _row(name: str, schema: Schema, text: str, required: bool) -> str:
    words = _words(text)
    if "default" in schema and schema["default"] is not None:
        words = f"{words} Default: `{schema['default']}`.".strip()
    if "examples" in schema and not isinstance(schema["examples"][0], dict | list):
        words = f"{words} For example `{schema['examples'][0]}`.".strip()
    kind = _kind(schema) if required else f"{_kind(schema).removesuffix(' or null')}, optional"
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"`{name}`", kind, words)) + " |\n"


def _kind(schema: Schema) -> str:
    if "$ref" in schema:
        return _link(str(schema["$ref"]).rpartition("/")[2])
    if "anyOf" in schema:
        kinds = [_kind(one) for one in schema["anyOf"] if one.get("type") != "null"]
        nullable = any(one.get("type") == "null" for one in schema["anyOf"])
        return " or ".join(dict.fromkeys(kinds)) + (" or null" if nullable else "")
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    if schema.get("format") == "date-time":
        return "time"
    return {"string": "text", "integer": "whole number", "boolean": "true or false", "object": "object"}.get(
        str(schema.get("type")), str(schema.get("type", "anything"))
    )


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _words(text: str) -> str:
    return " ".join(text.split())


def main() -> None:
    """Writes it into the current folder's docs."""
    Path("docs/api-reference.md").write_text(markdown(), encoding="utf-8")


if __name__ == "__main__":
    main()
