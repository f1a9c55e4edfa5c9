"""The configuration: whatever stands in the file, the environment and the files of secrets."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import lru_cache
from pathlib import Path
from unittest.mock import patch

from dca_daemon.domain.errors import ConfigError
from dca_daemon.lamassu.connection import SourceConfig
from dca_daemon.ledger.db import parse_url
from dca_daemon.payouts.lnbits_http import _checked_url
from dca_daemon.runtime import settings_sources
from dca_daemon.runtime.settings import Settings, load_settings
from dca_daemon.runtime.settings_model import SECTIONS
from tests.fuzz.choices import Choices, chance, pick
from tests.fuzz.registry import target
from tests.fuzz.values import text

SECRET = "hunter2S3cret"
EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
FERNET_KEY = "A" * 43 + "="
RIGHT = {
    "database.url": f'"postgresql://dca:{SECRET}@127.0.0.1/dca"',
    "pool.currency": '"GTQ"',
    "lamassu.dsn": f"\"host=127.0.0.1 dbname=lamassu password='{SECRET}'\"",
    "lnbits.url": '"https://lnbits.example.com"',
    "lnbits.admin_key": f'"{SECRET}"',
    "security.encryption_keys": f'"{FERNET_KEY}"',
}
# In place of a secret: all hold it, and most are wrong.
SECRETS = tuple(
    form.replace("S", SECRET)
    for form in (
        '"S"', '"S S"', "'postgresql://dca:S@h/d'", "'postgres://dca:S@[::1/d'", "'postgresql://d:S/@h/d'",
        "'postgresql://d:S\uff0f@h/d'", "'mysql://d:S@h/d'", "'host=h password=S'", "'host=h password=\"S'",
        "'//S'", "'password=S nonsense'", '["S"]', '{a = "S"}', '"""\nS\nS\n"""', '"S\\u0000"', "'postgresql://S'",
        "'postgresql://d:S@h:99999/d'", "'postgresql://d:%zz@h/d?password=S'",
    )
)  # fmt: skip
ODD_TOML = (
    "1", "-1", "0", "true", "nan", "inf", "1e400", "1.5", "0x" + "f" * 5_000, "9" * 400, "9" * 5_000, '""', '" "',
    '"\\u0000"', '"a\\u0000b"', "[]", "{}", "[1]", '["BTC"]', '["LN", "LN"]', '["ETH"]', '"BTC,LN"', "1979-05-27",
    "07:32:00", "1979-05-27T07:32:00Z", '"GTQ"', '"XXX"', '"ticker"', '"debug"', '"0.0.0.0"', '"::1"', '"/"',
    '"."',
    '"/dev/null"', '"http://a:99999"', '"http://[::1"', '"http://a b"', '"https://x/?q"', '"http://\uff0f"',
    "[" * 300 + "]" * 300, "[" * 5_000 + "]" * 5_000, '"' + "x" * 5_000 + '"', "nonsense", '"', "[", "", "0b2",
)  # fmt: skip
ODD_LINES = (
    "[pool]", "[nonsense]", "[[pool]]", "nonsense = 1", "lnbits = 3", '"" = 1',
    "currency." + "a." * 2_000 + "a = 1",
    "[" + "a." * 2_000 + "a]", "\ufeff", "\x00", "# \u2028", "= 1", '"\\ud800" = 1', "a.b = 1\na = 2",
)  # fmt: skip


@target("settings", examples=80)
def any_settings(choices: Choices) -> None:
    """Settings that can be used, or one `ConfigError` whose every line names a key and shows no secret."""
    folder = _folder()
    document = _document(choices)
    try:
        (folder / "config.toml").write_bytes(document.encode("utf-8", "surrogatepass"))
        _load(_environment(choices, folder))
    finally:
        (folder / "secret").unlink(missing_ok=True)


@target("toml", examples=100)
def any_toml(choices: Choices) -> None:
    """The example with a few bytes changed, or no TOML at all."""
    example = EXAMPLE.read_bytes()
    if chance(choices, 3):
        octets = choices.rest(4_000)
    else:
        for _ in range(choices.integer(1, 4)):
            at = choices.integer(0, len(example))
            changed = pick(choices, ODD_LINES).encode("utf-8") if chance(choices, 3) else choices.octets(12)
            example = example[:at] + changed + example[at + choices.integer(0, 12) :]
        octets = example
    (_folder() / "config.toml").write_bytes(octets)
    _load({})


def _load(environment: dict[str, str]) -> None:
    path = str(_folder() / "config.toml")
    with (
        patch.dict(os.environ, environment | {"DCA_CONFIG": path}),
        patch.object(settings_sources, "SEARCH_PATHS", ()),
    ):
        try:
            loaded = load_settings()
        except ConfigError as error:
            _check_message(error)
            return
        _use(loaded)


def _check_message(error: ConfigError) -> None:
    assert SECRET not in str(error), "a secret is shown"
    for line in error.message.splitlines():
        named = any(section in line for section in SECTIONS) or "config.toml" in line or line.startswith("unknown")
        assert named, f"no key is named: {line}"
        assert len(line) < 1_000


def _use(loaded: Settings) -> None:
    """What the program does with settings at its start."""
    for secret in loaded.secrets():
        assert secret
    assert not any(SECRET in shown for key, shown, _ in loaded.shown() if not key.endswith("_file"))
    for name in SECTIONS:
        try:
            section = getattr(loaded, name)
        except ConfigError as error:
            _check_message(error)
            continue
        try:
            if name == "database":
                parse_url(section.sqlalchemy_url)
            elif name == "lamassu":
                SourceConfig(dsn=section.dsn.get_secret_value(), listen_dsn=section.listen_dsn_or_dsn)
            elif name == "lnbits":
                _checked_url(section.url)
        except ConfigError as error:
            assert SECRET not in str(error)


def _document(choices: Choices) -> str:
    lines = []
    for name, cls in SECTIONS.items():
        if not chance(choices, 20):
            lines.append(f"[{name}]")
        for key in cls.model_fields:
            value = _value(choices, f"{name}.{key}", secret=key in cls.secret_keys())
            if value is not None:
                lines.append(f"{key} = {value}")
        if chance(choices, 12):
            lines.append(pick(choices, ODD_LINES))
    return "\n".join(lines)


def _value(choices: Choices, key: str, *, secret: bool) -> str | None:
    kind = choices.integer(0, 15)
    if kind == 15:
        return pick(choices, SECRETS if secret else ODD_TOML)
    if kind == 14:
        return None
    if kind == 13 and key.endswith("_file"):
        return pick(choices, ('"/nowhere"', '"/dev/null"', '"/"', '"a\\u0000b"', '""', f'"{"x" * 5_000}"'))
    return RIGHT.get(key)


def _environment(choices: Choices, folder: Path) -> dict[str, str]:
    """A few variables: of ours, nearly of ours, and those of systemd."""
    found: dict[str, str] = {}
    for _ in range(choices.integer(0, 3)):
        name, cls = pick(choices, tuple(SECTIONS.items()))
        key = pick(choices, tuple(cls.model_fields))
        variable = f"DCA_{name}__{key}".upper()
        if chance(choices, 5):
            variable = pick(choices, (variable.lower(), variable.replace("__", "_"), variable + "X", "DCA___"))
        secret = key in cls.secret_keys()
        usual = (f"{SECRET} x",) if secret else ("1", "GTQ", "[]", "{}", "true", "BTC,LN", "", "[" * 3_000)
        value = pick(choices, usual) if secret else text(choices, usual)
        found[variable] = value.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
        if chance(choices, 6):
            found[variable] += "\udcff"  # an environment holds bytes
    if chance(choices, 4):
        secret_file = folder / pick(choices, ("secret", "lnbits.admin_key", "database.url"))
        secret_file.write_bytes(pick(choices, (SECRET.encode(), b"", b"\xff\xfe", b"a\x00b", choices.octets(50))))
        secret_file.chmod(0o600)
        found["DCA_LNBITS__ADMIN_KEY_FILE"] = str(folder / "secret")
    if chance(choices, 4):
        found["CREDENTIALS_DIRECTORY"] = pick(choices, (str(folder), "/nowhere", "/dev/null", "x" * 5_000))
    return found


@lru_cache(maxsize=1)
def _folder() -> Path:
    """A folder of this process's own."""
    made = Path(tempfile.mkdtemp(prefix="dca-fuzz-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
