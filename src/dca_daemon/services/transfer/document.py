"""The file of clients: what may stand in it. What is not as it should be is told with its place."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import MAX_SATS
from dca_daemon.domain.text import plain

FORMAT, VERSION = "dca-daemon clients", 1
MAX_BYTES = 50_000_000
CLIENTS_MAX = 100_000
_PROBLEMS_MAX = 20

# Whether it is an amount of its currency is for the plan to say, which knows the currency.
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,8})?$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class DestinationPart(_Part):
    """Where a client is paid: `address` for a Lightning address or an LNURL; for an LNbits wallet its key, which
    the file may leave out."""

    kind: Literal["lnbits", "lightning-address", "lnurl"]
    address: Line | None = None
    wallet_id: Line | None = None
    invoice_key: Line | None = Field(default=None, repr=False)


class PendingPart(_Part):
    """A deposit that is not confirmed yet."""

    amount: Amount
    note: Annotated[str, Field(max_length=100_000, pattern=r"^[^\x00]*$")] | None = None


class PoolPart(_Part):
    """What a client has in one pool: `balance` is left, `converted` bought `received_sats`."""

    pool: Line
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    balance: Amount
    converted: Amount = "0"
    received_sats: Annotated[int, Field(ge=0, le=MAX_SATS)] = 0
    per_day: Amount | None = None
    max_per_day: Amount | None = None
    pending: Annotated[tuple[PendingPart, ...], Field(max_length=1000, strict=False)] = ()


class ClientPart(_Part):
    """One client. `id`: its number in the installation that wrote the file."""

    id: Annotated[int, Field(ge=1, lt=2**63)]
    name: Line
    mode: Literal["flow", "fixed"]
    status: Literal["active", "inactive"]
    destination: DestinationPart
    may_switch_mode: bool = False
    may_change_amount: bool = False
    pools: Annotated[tuple[PoolPart, ...], Field(max_length=1000, strict=False)] = ()


class Document(_Part):
    """The whole file."""

    format: Literal["dca-daemon clients"]
    version: Literal[1]
    exported_at: Line
    installation: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    clients: Annotated[tuple[ClientPart, ...], Field(max_length=CLIENTS_MAX, strict=False)]


def read(text: str, origin: str) -> Document:
    """The document. Raises `InputError`, which names the place of everything that is wrong and quotes no key."""
    try:
        found = json.loads(text, object_pairs_hook=_object, parse_float=_no_number, parse_constant=_no_number)
    except json.JSONDecodeError as error:
        raise InputError(f"{origin} is no JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise InputError(f"{origin} is nested too deeply to be a file of clients") from None
    except ValueError as error:
        raise InputError(f"{origin}: {error}") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InputError(
            f"{origin} is no file of clients: it lacks format {FORMAT!r}",
            remedy="it is made by: dca-daemon client export --all",
        )
    if found.get("version") != VERSION or isinstance(found.get("version"), bool):
        raise InputError(
            f"{origin}, version: {plain(found.get('version'))} is not known here, only {VERSION}",
            remedy="import it with the release of dca-daemon that wrote it, or a newer one",
        )
    try:
        return Document.model_validate(found)
    except ValidationError as error:
        lines = [f"{_place(item['loc'])}: {_in_words(item)}" for item in error.errors(include_input=False)]
        more = f"; and {len(lines) - _PROBLEMS_MAX} more" if len(lines) > _PROBLEMS_MAX else ""
        raise InputError(f"{origin}, {'; '.join(lines[:_PROBLEMS_MAX])}{more}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {plain(twice)!r} is there twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise ValueError(f'{plain(text)} can\'t be here: amounts are strings, such as "1000.50"')


def _place(where: tuple[int | str, ...]) -> str:
    """As a person would find it: `clients[2].pools[0].balance`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{plain(part)}" for part in where)
    return text.removeprefix(".") or "the file"


def _in_words(item: Any) -> str:
    match item["type"]:
        case "missing":
            return "it is missing"
        case "extra_forbidden":
            return "there is no such key"
        case "string_pattern_mismatch":
            return "it is not written as it must be"
    return str(item["msg"]).replace("Input should be", "it must be").replace("a valid tuple", "a list")
