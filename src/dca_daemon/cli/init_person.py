"""Who answers `dca-daemon init`: somebody at a terminal, or nobody."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from dca_daemon.cli.findings import print_findings
from dca_daemon.cli.output import note

if TYPE_CHECKING:
    from dca_daemon.runtime.setting_up.questions import Question
    from dca_daemon.services.doctor import Finding


class AtTerminal:
    """Asks, on stderr; what is secret is not shown while it is typed."""

    answers = True

    def __init__(self, tell: Callable[[str], None], *, quiet: bool) -> None:
        self._tell = tell
        self._quiet = quiet  # stdout is for JSON

    def ask(self, question: Question) -> str:
        if question.is_secret and not question.is_address:
            return _hidden(question.prompt)
        prompt = f"{question.prompt} (the password is asked for next)" if question.is_address else question.prompt
        return self._with_password(question, str(typer.prompt(prompt, default=question.suggestion, err=True)))

    def ask_again(self, question: Question, *, can_keep: bool) -> str:
        keep = ", 'keep' takes it as it is" if can_keep else ""
        prompt = f"{question.prompt}: another answer (Enter tries again{keep}, 'later' leaves it out)"
        if question.is_secret and not question.is_address:
            return _hidden(prompt)
        said = str(typer.prompt(prompt, default="", show_default=False, err=True)).strip()
        return said if said in ("", "keep", "later") else self._with_password(question, said)

    def _with_password(self, question: Question, said: str) -> str:
        from dca_daemon.runtime.setting_up.questions import lacks_password, with_password

        if not question.is_address or not lacks_password(said.strip()):
            return said
        return with_password(said.strip(), _hidden("Its password (not shown; Enter for none)"))

    def confirm(self, text: str, *, default: bool) -> bool:
        return bool(typer.confirm(text, default=default, err=True))

    def tell(self, text: str) -> None:
        self._tell(text)

    def show(self, findings: Sequence[Finding]) -> None:
        if not self._quiet:
            print_findings(findings)


class Nobody:
    """For scripts: everything is given beforehand."""

    answers = False

    def __init__(self, tell: Callable[[str], None], *, quiet: bool) -> None:
        self._tell = tell
        self._quiet = quiet

    def ask(self, question: Question) -> str:
        raise AssertionError(f"{question.key} was to be given beforehand")

    def ask_again(self, question: Question, *, can_keep: bool) -> str:
        raise AssertionError(f"{question.key} is not asked for again")

    def confirm(self, text: str, *, default: bool) -> bool:
        return False

    def tell(self, text: str) -> None:
        self._tell(text)

    def show(self, findings: Sequence[Finding]) -> None:
        if not self._quiet:
            print_findings(findings)


def _hidden(prompt: str) -> str:
    return str(typer.prompt(prompt, default="", show_default=False, hide_input=True, err=True)).strip()


def person(*, nobody: bool, quiet: bool, tell: Callable[[str], None] = note) -> AtTerminal | Nobody:
    """The one that is there."""
    return Nobody(tell, quiet=quiet) if nobody else AtTerminal(tell, quiet=quiet)
