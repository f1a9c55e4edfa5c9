"""What goes in and out of the double, whichever front end carries it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any
from urllib.parse import parse_qsl

PAYMENTS = "/api/v1/payments"
LIST = "/api/v1/payments/paginated"
WALLET = "/api/v1/wallet"
OPENAPI = "/openapi.json"

JSON_TYPE = "application/json"


class Kind(StrEnum):
    """What a call asks for."""

    CREATE = "create"
    PAY = "pay"
    LIST = "list"
    WALLET = "wallet"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read."""

    number: int  # from 1
    kind: Kind
    method: str
    path: str
    query: Sequence[tuple[str, str]]
    key: str | None
    body: Any  # what the JSON says; None without any

    def asked(self, name: str) -> str | None:
        """The first value of a query parameter."""
        return next((value for found, value in self.query if found == name), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `missing_bytes` are promised by its Content-Length and never sent."""

    status: int
    content: bytes
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    missing_bytes: int = 0

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Cut(Enum):
    """What a client gets in place of an answer."""

    REFUSED = "the connection is not accepted"
    RESET = "the connection is reset"
    CLOSED = "the connection is closed without an answer"
    SILENT = "nothing ever comes back"
    GARBAGE = "what comes back is not HTTP"


def reply(status: int, body: object, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(body, separators=(",", ":")).encode(), headers=headers or {})


def detail(status: int, text: object) -> Reply:
    """A refusal as the web framework words it."""
    return reply(status, {"detail": text})


def refused(text: str, status: str = "failed") -> Reply:
    """A payment or invoice that LNbits refuses: its own 520."""
    return reply(520, {"detail": text, "status": status})


def read_call(number: int, method: str, path: str, query: str, key: str | None, content: bytes) -> Call:
    """Reads a request; a body that is no JSON counts as none."""
    try:
        body = json.loads(content) if content else None
    except ValueError:
        body = None
    return Call(number, _kind(method, path, body), method, path, parse_qsl(query), key, body)


def _kind(method: str, path: str, body: object) -> Kind:
    if (method, path) == ("POST", PAYMENTS):
        pays = isinstance(body, dict) and body.get("out", True) is not False  # LNbits' own default is to pay
        return Kind.PAY if pays else Kind.CREATE
    return {("GET", LIST): Kind.LIST, ("GET", WALLET): Kind.WALLET}.get((method, path), Kind.OTHER)
