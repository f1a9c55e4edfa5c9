"""docs/reconcile.md explains every kind of difference and every note, and no other."""

from __future__ import annotations

import re

import pytest

from dca_daemon.services.reconciliation.findings import NOTES, REMEDIES, Kind, NoteKind
from tests.docs.sources import document, section


@pytest.mark.parametrize(
    ("heading", "kinds"), [("What may differ", list(Kind)), ("What is said besides", list(NoteKind))]
)
def test_every_kind_is_explained(heading: str, kinds: list[str]) -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| .+ \|$", section(document("reconcile.md"), heading), re.MULTILINE)
    assert rows == [str(kind) for kind in kinds]


def test_every_kind_has_a_remedy_and_every_note_a_text() -> None:
    assert REMEDIES.keys() == set(Kind) and NOTES.keys() == set(NoteKind)
