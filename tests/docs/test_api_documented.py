"""docs/api-reference.md is what the API says of itself, with the scope that each endpoint really takes."""

from __future__ import annotations

import re

from dca_daemon.web.reference import markdown
from tests.docs.sources import document
from tests.web.matrix import API


def test_what_is_committed_is_what_the_api_says() -> None:
    assert document("api-reference.md") == markdown(), "renew it: python -m dca_daemon.web.reference"


def test_the_scopes_are_those_that_are_tested() -> None:
    found = re.findall(r"^### ([A-Z]+) (\S+)\n\n.*Scope: `([a-z:-]+)`\.$", markdown(), re.MULTILINE)
    told = {(path, method): scope for method, path, scope in found}
    assert told == {
        (re.sub(r":path", "", path), method): str(scope)
        for path, methods in API.items()
        for method, scope in methods.items()
        if path != "/openapi.json"
    }
