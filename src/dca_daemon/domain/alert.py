"""What an alert is: an event of the log of which somebody is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How soon somebody should look."""

    PAGE = "page"  # money stands still or may be wrong: now, at night too
    WARN = "warn"  # today
    INFO = "info"  # good to know; nobody is asked to do anything

    @property
    def rank(self) -> int:
        """0 is the most urgent."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Alert:
    """One event that alerts.

    `clears` are the events that are its all-clear: until one of them comes, it is a problem that lasts. Without
    them, each occurrence is a matter of its own. `subject` is the field that tells one such problem from another.
    `retold`: a new process tells of it within minutes, if it is still so.
    """

    event: str
    severity: Severity
    meaning: str
    remedy: str
    clears: tuple[str, ...] = ()
    subject: str | None = None
    retold: bool = True


def page(event: str, meaning: str, remedy: str, *clears: str, subject: str | None = None) -> Alert:
    """One that wakes."""
    return Alert(event, Severity.PAGE, meaning, remedy, clears, subject)


def warn(
    event: str, meaning: str, remedy: str, *clears: str, subject: str | None = None, retold: bool = True
) -> Alert:
    """One for today."""
    return Alert(event, Severity.WARN, meaning, remedy, clears, subject, retold)


def info(event: str, meaning: str, remedy: str = "Nothing.", *clears: str, subject: str | None = None) -> Alert:
    """One to know of."""
    return Alert(event, Severity.INFO, meaning, remedy, clears, subject)
