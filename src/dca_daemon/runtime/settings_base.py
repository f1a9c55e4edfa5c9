"""What the settings' sections are made of: their base class, number and list types, and shared checks."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict


def _no_bool(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("must be a number, not true or false")
    return value


def _words(value: object) -> object:
    """In the environment a list is written with commas."""
    if isinstance(value, str):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    return value


Int = Annotated[int, BeforeValidator(_no_bool)]
Seconds = Annotated[float, BeforeValidator(_no_bool)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_words)]


_MUST_BE_QUOTED = (
    "special characters of the password must be written as %40 for @, %2F for /, %3A for :, %25 for %"
)


def secret_file(key: str) -> Any:  # like pydantic's Field, it stands for a value of the field's own type
    text = f"Path of a file that holds `{key}`; readable by its owner only (or owned by root, group-readable)."
    return Field(default=None, description=text, examples=[f"/etc/dca-daemon/{key}"])


def conninfo(value: SecretStr) -> SecretStr:
    """Refuses what libpq could not parse; says nothing of the text, which holds a password."""
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        parsed = conninfo_to_dict(value.get_secret_value())
    except psycopg.ProgrammingError:
        parsed = {}
    if not parsed:
        raise ValueError(
            "must be a PostgreSQL connection, as a postgresql:// URL (in which % itself is written %25) "
            "or as host=… dbname=…"
        )
    if _has_bare_password(value.get_secret_value()):
        raise ValueError(_MUST_BE_QUOTED)
    return value


def _has_bare_password(text: str) -> bool:
    """Whether a password's own @ or / would be read as the end of it, and its rest shown as a host's name."""
    scheme, separator, rest = text.partition("://")
    if not separator or not scheme.startswith("postgres"):
        return False
    address = rest.partition("?")[0]
    return address.count("@") > address.partition("/")[0].count("@") or address.count("@") > 1


class Section(BaseSettings):
    """A section of the configuration. Values are gathered by `settings_sources.py`, so pydantic's own
    sources are left out here."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    section_name: ClassVar[str]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)

    @classmethod
    def secret_keys(cls) -> tuple[str, ...]:
        return tuple(key[: -len("_file")] for key in cls.model_fields if key.endswith("_file"))


def plain_url(value: SecretStr) -> str:
    return re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql://", value.get_secret_value())
