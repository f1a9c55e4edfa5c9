"""docs/api-reference.md is what the API says of itself, with the scope that each endpoint really takes."""

from __future__ import annotations

import re

import pytest

from dca_daemon.web.reference import markdown
from tests.docs.sources import document
from tests.web.matrix import API


@pytest.fixture(scope="module")
def written() -> str:
    """As it would be written now."""
    return markdown()


def test_what_is_committed_is_what_the_api_says(written: str) -> None:
    assert document("api-reference.md") == written, "renew it: python -m dca_daemon.web.reference"


def test_the_scopes_are_those_that_are_tested(written: str) -> None:
    found = re.findall(r"^### ([A-Z]+) (\S+)\n\n.*Scope: `([a-z:-]+)`\.$", written, re.MULTILINE)
    told = {(path, method): scope for method, path, scope in found}
    assert told == {
        (re.sub(r":path", "", path), method): str(scope)
        for path, methods in API.items()
        for method, scope in methods.items()
        if path != "/openapi.json"
    }
