"""Writes docs/configuration.md and config.example.toml from the settings' own definitions.

`python -m dca_daemon.runtime.settings_reference` renews both; a test fails while they differ.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

from dca_daemon.runtime.settings import example_of, toml_value
from dca_daemon.runtime.settings_base import Section
from dca_daemon.runtime.settings_model import SECTIONS
from dca_daemon.runtime.settings_renamed import GONE, RENAMED

_MARKDOWN_HEAD = """\
# Configuration

<!-- Written by `python -m dca_daemon.runtime.settings_reference` from the settings' definitions. -->

One TOML file: the one named by `--config`, else by `DCA_CONFIG`, else `/etc/dca-daemon/config.toml`, else
`./config.toml`. A complete one to start from is `config.example.toml`.

Every key can also be set in the environment, as `DCA_<SECTION>__<KEY>` (two underscores), for example
`DCA_LNBITS__URL`; the environment wins over the file. A list is written with commas there:
`DCA_RECONCILE__TIMES=04:10,16:10`.

A secret should not be written into the file itself. For each secret key there are three other ways:

* `<key>_file` names a file that holds it. The file must be readable by its owner only; if root owns it, its
  group may read it too. Otherwise it is refused.
* a systemd credential named `<section>.<key>`, for example
  `LoadCredential=lnbits.admin_key:/etc/dca-daemon/lnbits.admin_key`;
* the environment.

If several are given, the environment wins over the file, and both win over a credential.

Unknown keys and wrong values stop the program before it does anything, with a line for each that names the
key, what is wrong with its value, and an example. A key that is required, but missing, stops only the
commands that need it: `dca-daemon db upgrade` needs no more than `[database]`. No message ever shows the
value of a secret.

What the operator changes while the daemon runs (clients, schedules, commission shares) is in the database.
"""

_RENAMED_HEAD = """
## Renamed settings

An old name still works, in the file and in the environment; each start and each command warn of it
(`settings.renamed`), and so does `doctor`. Both names in the same place are a mistake. A later version will refuse
the old one.

| old name | name |
|---|---|
"""
_GONE_HEAD = """
Gone, and refused with what takes its place:

"""

_TOML_HEAD = """\
# Configuration of dca-daemon: every key there is. What is commented out has the value shown, unless it says
# otherwise. Put it at /etc/dca-daemon/config.toml, or name it with --config or DCA_CONFIG.
# More: docs/configuration.md
"""


def markdown() -> str:
    """docs/configuration.md."""
    parts = [_MARKDOWN_HEAD]
    for name, cls in SECTIONS.items():
        parts.append(
            f"\n## `[{name}]`\n\n{_purpose(cls)}\n\n| key | value | default | meaning |\n|---|---|---|---|\n"
        )
        parts.extend(_row(cls, key) for key in cls.model_fields)
    return "".join([*parts, _renamed()])


def _renamed() -> str:
    """What was called otherwise, and what is gone."""
    lines = [_RENAMED_HEAD, *(f"| `{old}` | `{new}` |\n" for old, new in RENAMED.items())]
    return "".join([*lines, _GONE_HEAD, *(f"* `{old}`: {instead}\n" for old, instead in GONE.items())])


def example_toml() -> str:
    """config.example.toml: required keys are set to an example, the others are commented out."""
    return _toml(_TOML_HEAD, _example_line)


def filled_toml(document: Mapping[str, Mapping[str, object]]) -> str:
    """The same with these values and no others; every other key is a comment."""

    def line(cls: type[Section], key: str) -> str:
        values = document.get(cls.section_name, {})
        if key in values:
            return f"{key} = {toml_value(values[key])}"
        example = _example_line(cls, key)
        return example if example.startswith("#") else f"# {example}"

    return _toml(_TOML_HEAD, line)


def _toml(head: str, line: Callable[[type[Section], str], str]) -> str:
    parts = [head]
    for name, cls in SECTIONS.items():
        parts.append(f"\n# {_purpose(cls)}\n[{name}]\n")
        for key in cls.model_fields:
            rows = textwrap.wrap(_toml_comment(cls, key), 108, break_on_hyphens=False)
            parts.append("".join(f"# {row}\n" for row in rows) + f"{line(cls, key)}\n")
    return "".join(parts)


def _purpose(cls: type[Section]) -> str:
    return " ".join((cls.__doc__ or "").split())


def _row(cls: type[Section], key: str) -> str:
    info = cls.model_fields[key]
    cells = [f"`{key}`", _kind(cls, key), _default(cls, key), str(info.description)]
    if info.examples:
        cells[3] += f" Example: `{toml_value(info.examples[0])}`."
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _kind(cls: type[Section], key: str) -> str:
    """What kind of value a key takes, with its bounds."""
    if key in cls.secret_keys():
        return "secret"
    if key.endswith("_file"):
        return "path"
    info = cls.model_fields[key]
    bounds = {type(item).__name__: item for item in info.metadata}
    low, high = bounds.get("Ge"), bounds.get("Le")
    if low is not None and high is not None:
        return f"{low.ge:,} … {high.le:,}"
    if isinstance(info.default, bool):
        return "true or false"
    return "list of texts" if isinstance(info.default, tuple) else "text"


def _default(cls: type[Section], key: str) -> str:
    info = cls.model_fields[key]
    if info.is_required():
        return "required"
    return "none" if info.default is None else f"`{toml_value(info.default)}`"


def _toml_comment(cls: type[Section], key: str) -> str:
    info = cls.model_fields[key]
    if key in cls.secret_keys() and info.is_required():
        note = f"Required, here or by {key}_file or as a credential."
    elif info.is_required():
        note = "Required."
    elif info.default is None and not _is_required_file(cls, key):
        note = "Not set by default."
    else:
        note = ""
    return f"{info.description} {note}".strip()


def _example_line(cls: type[Section], key: str) -> str:
    info = cls.model_fields[key]
    if key in cls.secret_keys() and info.is_required():
        return f"# {example_of(cls, key)}"
    if info.is_required() or _is_required_file(cls, key):
        return example_of(cls, key)
    return f"# {example_of(cls, key) if info.default is None else f'{key} = {toml_value(info.default)}'}"


def _is_required_file(cls: type[Section], key: str) -> bool:
    return key.endswith("_file") and cls.model_fields[key.removesuffix("_file")].is_required()


def main() -> int:
    """Writes both files into the folder named on the command line (default: the current one)."""
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    (root / "docs").mkdir(exist_ok=True)
    (root / "docs/configuration.md").write_text(markdown(), encoding="utf-8")
    (root / "config.example.toml").write_text(example_toml(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
