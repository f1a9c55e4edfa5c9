"""What can be done with filters."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.rights import Role, Scope
from dca_daemon.services import filters
from dca_daemon.services.filters import FilterKind, FilterView
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.filters import FilterOut
from dca_daemon.web.wishes import Id, Reason, Text, Wish


class AddFilter(Wish):
    """What is left out from now on."""

    kind: Annotated[FilterKind, Field(title="Kind", description="What is looked at.")]
    value: Annotated[
        Text,
        Field(title="Value", description="BTC or LN; a machine or pool by name or id.", examples=["LN"]),
    ]
    reason: Reason


class RemoveFilter(Wish):
    """Let in again."""

    filter_id: Annotated[Id, Field(title="Filter", description="The filter's number.")]
    reason: Reason


async def _add(call: Call, wish: AddFilter) -> FilterView:
    return await filters.add(call.db, wish.kind, wish.value, reason=wish.reason, actor=call.actor)


async def _remove(call: Call, wish: RemoveFilter) -> FilterView:
    return await filters.remove(call.db, wish.filter_id, reason=wish.reason, actor=call.actor)


def _facts(view: FilterView) -> Facts:
    return [("Leaves out", f"the {view.kind} {view.name}"), ("Left out so far", Standing(view.left_out))]


ACTIONS = (
    Action(
        name="filter.add",
        title="Add a filter",
        path="/filters/add",
        api_path="/filters",
        api_status=201,
        wish=AddFilter,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="Cash-outs of this coin, machine or pool are left out from now on: recorded, and not shared.",
        work=_add,
        facts=_facts,
        leads_to=lambda view: "/filters",
        said=lambda view: f"Filter {view.filter_id} leaves out the {view.kind} {view.name}.",
        answer=FilterOut.of,
        answer_model=FilterOut,
    ),
    Action(
        name="filter.remove",
        title="Remove a filter",
        path="/filters/{filter_id}/remove",
        wish=RemoveFilter,
        role=Role.OPERATOR,
        scope=Scope.MACHINES,
        explanation="What comes from now on is shared again. What was left out stays so, until it is processed.",
        work=_remove,
        facts=_facts,
        leads_to=lambda view: "/filters",
        said=lambda view: f"Filter {view.filter_id} is removed.",
        answer=FilterOut.of,
        answer_model=FilterOut,
    ),
)
