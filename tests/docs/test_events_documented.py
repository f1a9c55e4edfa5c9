"""Every log event is in docs/events.md, with its severity; every event in it exists."""

from __future__ import annotations

from tests.docs.events import IMPLICIT, events_in_document, events_in_source, severity


def test_every_event_is_documented() -> None:
    documented = events_in_document()
    missing = [
        f"| `{event}` | {severity(levels)} | … | … |"
        for event, levels in sorted(events_in_source().items())
        if event not in documented
    ]
    assert not missing, "add to docs/events.md:\n" + "\n".join(missing)


def test_every_documented_event_exists() -> None:
    stale = sorted(set(events_in_document()) - set(events_in_source()) - IMPLICIT)
    assert not stale, f"remove from docs/events.md: {', '.join(stale)}"


def test_severities_are_those_of_the_code() -> None:
    documented = events_in_document()
    wrong = [
        f"{event}: {documented[event][0]} must be {severity(levels)}"
        for event, levels in sorted(events_in_source().items())
        if event in documented and documented[event][0] != severity(levels)
    ]
    assert not wrong, "correct in docs/events.md:\n" + "\n".join(wrong)


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    for event, cells in events_in_document().items():
        assert len(cells) == 3 and all(len(cell) > 1 for cell in cells), event


def test_event_names_are_literals_of_one_form() -> None:
    problems: list[str] = []
    events_in_source(problems)
    assert not problems, 'the first argument must be a literal like "payout.settled": ' + ", ".join(problems)
