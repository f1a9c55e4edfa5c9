"""docs/cli.md has every command, option and JSON key, and nothing that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from dca_daemon.cli.main import app
from dca_daemon.cli.reference import JSON_KEYS, commands, markdown, options_of

PAGE = (Path(__file__).parents[2] / "docs/cli.md").read_text(encoding="utf-8")
ALL = dict(commands())
WITHOUT_JSON = ("run", "console", "db new-key", "backup new-key", "ledger export", "client export")


def section(name: str) -> str:
    found = re.search(rf"^### `dca-daemon {re.escape(name)}(?: [^`]*)?`$(.*?)(?=^##|\Z)", PAGE, re.M | re.S)
    assert found, f"{name} has no section in docs/cli.md"
    return found[1]


@pytest.mark.parametrize("name", ALL)
def test_every_command_and_option_is_documented(name: str) -> None:
    text = section(name)
    for parameter in options_of(ALL[name]):
        spelling = parameter.metavar if parameter.param_type_name == "argument" else parameter.opts[0]
        assert f"`{spelling}" in text, f"{name}: {spelling}"
        assert parameter.help, f"{name}: {spelling} says nothing of itself"
    assert ALL[name].help


def test_the_page_has_no_command_that_does_not_exist() -> None:
    headings = re.findall(r"^### `dca-daemon ([a-z -]+)", PAGE, re.M)
    assert [heading.strip() for heading in headings] == list(ALL)


def test_the_page_is_what_the_commands_say() -> None:
    assert markdown() == PAGE, "renew it: python -m dca_daemon.cli.reference"


def test_every_exit_status_is_documented() -> None:
    assert re.findall(r"^\| (\d+) \|", PAGE, re.M) == ["0", "1", "2", "130"]


def test_every_command_that_prints_data_has_json() -> None:
    for name, command in ALL.items():
        has_json = any("--json" in parameter.opts for parameter in options_of(command))
        assert has_json == (name not in WITHOUT_JSON), name
        assert has_json == (name in JSON_KEYS), name


def test_the_help_of_every_command_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    from dca_daemon.cli.main import execute

    for name in ALL:
        assert execute([*name.split(), "--help"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert typer.main.get_command(app).name == "dca-daemon"
