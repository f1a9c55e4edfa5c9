"""The catalogue of alerts is complete, names events that exist, and what is made from it is up to date."""

from __future__ import annotations

import ast
from collections.abc import Callable

from dca_daemon.domain.alerts import CATALOGUE, GROUPS, SILENT
from dca_daemon.runtime.alert_files import files
from tests.docs.events import ORDER, ROOT, events_in_source, log_calls
from tests.docs.sources import SOURCE


def test_every_event_that_warns_alerts_or_is_said_to_be_silent() -> None:
    warning = ORDER.index("warning")
    loud = {event for event, levels in events_in_source().items() if any(map(_at_least(warning), levels))}
    assert sorted(loud - CATALOGUE.keys() - SILENT.keys()) == []
    assert not CATALOGUE.keys() & SILENT.keys()


def test_every_event_in_it_exists() -> None:
    named = {*CATALOGUE, *(event for alert in CATALOGUE.values() for event in alert.clears)}
    known = set(events_in_source()) | {"library"}
    assert sorted(named - known) == []
    assert sorted(SILENT.keys() - known) == []
    assert len(CATALOGUE) == sum(map(len, GROUPS.values())), "an event is listed twice"


def test_the_subject_of_an_alert_is_a_field_of_its_lines() -> None:
    fields: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for call, _ in log_calls(ast.parse(path.read_text(encoding="utf-8"))):
            if call.args and isinstance(call.args[0], ast.Constant):
                names = {keyword.arg or "**" for keyword in call.keywords}
                fields.setdefault(str(call.args[0].value), set()).update(names)
    for alert in CATALOGUE.values():
        for event in {alert.event, *alert.clears}:
            if alert.subject not in (None, "payout_id"):  # the payer binds that one
                assert {alert.subject, "**"} & fields[event], f"{event} has no {alert.subject}"


def test_each_says_in_a_sentence_what_it_means_and_what_to_do() -> None:
    for alert in CATALOGUE.values():
        assert alert.meaning.endswith(".") and alert.remedy.endswith((".", "list", "known")), alert.event
        assert "|" not in alert.meaning + alert.remedy


def test_what_is_made_from_it_is_up_to_date() -> None:
    for path, text in files(ROOT).items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, (
            f"{path} is stale: run python -m dca_daemon.runtime.alert_files"
        )


def _at_least(least: int) -> Callable[[str], bool]:
    return lambda level: ORDER.index(level) >= least
