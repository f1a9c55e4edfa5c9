"""What the API's documentation shows as a body is one that can be sent."""

from __future__ import annotations

from typing import Any

import pytest

from dca_daemon.web.actions import Action
from dca_daemon.web.wishes import with_example
from tests.web.shop import actions

OF_PATHS = {"payout_id": "3f2b6a3e-0d55-4a8e-9a53-6f6b8f2f9f10", "device_id": "d", "name": "ana"}


@pytest.mark.parametrize("action", actions(), ids=lambda action: action.name)
def test_an_example_can_be_sent(action: Action[Any, Any]) -> None:
    fields = set(action.wish.model_fields) - set(action.path_fields)
    shown: Any = with_example(action.wish, action.path_fields)["json_schema_extra"]
    (body,) = shown["examples"]
    assert body or not fields
    assert set(body) <= fields
    action.wish.model_validate({**body, **{name: OF_PATHS.get(name, 1) for name in action.path_fields}})
