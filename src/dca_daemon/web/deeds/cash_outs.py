"""What can be decided about cash-outs."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from dca_daemon.domain.cash_out import SourceRow
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.moments import parse_local_time
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.domain.wording import source_coins_text, source_fiat_text
from dca_daemon.services import cash_outs, decisions, manual_cash_outs
from dca_daemon.services.cash_out_explanation import explain
from dca_daemon.services.cash_outs import CashOutView
from dca_daemon.services.decisions import Several
from dca_daemon.services.manual_cash_outs import Entry
from dca_daemon.web.actions import Action, Call, Facts
from dca_daemon.web.api.cash_outs import CashOutWholeOut, SeveralOut
from dca_daemon.web.wishes import FiatAmount, Id, MachineRef, Reason, Text, Wish, like

AT_ONCE = 100

CashOutId = Annotated[Id, Field(title="Cash-out", description="Our number of it.")]


class Decision(Wish):
    """What a person decides about one."""

    cash_out_id: CashOutId
    reason: Reason


class DistributeFiltered(Wish):
    """All that filters have left out."""

    since: Annotated[
        Text | None,
        Field(title="Since", description="Only what happened since then, like 2026-01-31T14:05."),
    ] = None
    reason: Reason


class EnterCashOut(Wish):
    """What was settled outside of Lamassu, or otherwise than its row says."""

    model_config = like(
        {
            "reference": "ticket-17",
            "fiat": "1000",
            "sats": 256000,
            "machine": "Mercado Central",
            "at": "2026-01-31T14:05:00-06:00",
            "commission_percent": "5.5",
            "reason": "the network was down",
        }
    )

    reference: Annotated[
        Text,
        Field(title="Reference", description="Your own name for it. Taken once.", examples=["ticket-17"]),
    ]
    fiat: Annotated[FiatAmount, Field(title="Notes", description="The notes that came out, such as 1000.50.")]
    sats: Annotated[
        Id, Field(title="Sats", description="What the layperson paid, a whole number.", examples=["256000"])
    ]
    settles: Annotated[
        Text | None,
        Field(
            title="Settles",
            description="Our number or Lamassu's id of the cash-out whose place it takes: that one is never "
            "distributed then, whatever Lamassu says later. Machine, time and commission come from it where they "
            "are not given.",
        ),
    ] = None
    machine: MachineRef | None = None
    at: Annotated[
        Text | None,
        Field(title="Time", description="When the notes came out, like 2026-01-31T14:05."),
    ] = None
    commission_percent: Annotated[
        Text | None, Field(title="Commission", description="The machine's, in percent, like 5.5.")
    ] = None
    discount: Annotated[
        int | None,
        Field(ge=0, le=100, title="Discount", description="Of the commission, in whole percent."),
    ] = None
    currency: Annotated[
        Text | None, Field(title="Currency", description="A check: refused unless it is the pool's.")
    ] = None
    reason: Reason


async def _distribute(call: Call, wish: Decision) -> CashOutView:
    return await decisions.distribute(
        call.db, call.desk.intake(call.db), str(wish.cash_out_id), reason=wish.reason, actor=call.actor
    )


async def _ignore(call: Call, wish: Decision) -> CashOutView:
    return await decisions.ignore(call.db, str(wish.cash_out_id), reason=wish.reason, actor=call.actor)


async def _distribute_filtered(call: Call, wish: DistributeFiltered) -> Several:
    since = None if wish.since is None else parse_local_time(wish.since, call.desk.zone, field="since")
    found = await cash_outs.left_out(call.db, since=since, limit=AT_ONCE + 1)
    if not found:
        raise ConflictError("filters have left nothing out that could be distributed", field="since")
    if len(found) > AT_ONCE:
        raise ConflictError(
            f"that is more than {AT_ONCE} cash-outs, too many for one transaction",
            remedy="give a later time, or run: dca-daemon cash-out process --filtered",
            field="since",
        )
    ids = [one.cash_out_id for one in found]
    return await decisions.distribute_several(
        call.db, call.desk.intake(call.db), ids, reason=wish.reason, actor=call.actor
    )


def _several_facts(done: Several) -> Facts:
    refused = ((f"Cash-out {cash_out_id} is not", text) for cash_out_id, text in done.refused)
    return [("Distributed", f"{done.distributed} cash-outs"), *refused]


def _entry(call: Call, wish: EnterCashOut) -> Entry:
    return Entry(
        **wish.model_dump(exclude={"at"}),
        at=None if wish.at is None else parse_local_time(wish.at, call.desk.zone, field="at"),
    )


async def _ask(call: Call, wish: EnterCashOut) -> SourceRow | None:
    return await manual_cash_outs.ask(
        call.db, call.desk.intake(call.db), _entry(call, wish), source=call.desk.lamassu
    )


async def _enter(call: Call, wish: EnterCashOut) -> CashOutView:
    unknown = call.prepared
    if unknown is not None and not isinstance(unknown, SourceRow):
        raise InputError("Lamassu was not asked")
    return await manual_cash_outs.book(
        call.db, call.desk.intake(call.db), _entry(call, wish), unknown=unknown, actor=call.actor
    )


def _facts(view: CashOutView) -> Facts:
    summary, split = view.summary, view.split
    facts = [
        ("Cash-out", summary.external_id),
        ("Happened", summary.happened_at.isoformat()),
        ("Machine", summary.machine_name or summary.device_id),
        ("Notes", source_fiat_text(summary.fiat, summary.fiat_code)),
        ("Coins", source_coins_text(summary.crypto_atoms, summary.crypto_code)),
        ("State", f"{summary.state}: {summary.reason_text}"),
    ]
    if summary.settles_id is not None:
        facts.append(("Settles", f"cash-out {summary.settles_id}, which can't be distributed any more"))
    if split is None:
        return facts
    explanation = explain(view.source_row, split, len(view.shares), view.commission)
    return [
        *facts,
        *(("Split", line) for line in explanation),
        *((s.client, f"{sats_text(s.sats)} for {fiat_text(s.fiat_minor, split.currency)}") for s in view.shares),
        *((f"{part.receiver} (commission)", sats_text(part.sats)) for part in view.commission),
    ]


def _said(view: CashOutView) -> str:
    summary, split = view.summary, view.split
    if split is None:
        return f"Cash-out {summary.cash_out_id} is {summary.state}: {summary.reason_text}."
    return (
        f"Cash-out {summary.cash_out_id} is {summary.state}: {sats_text(split.clients_sats)} to "
        f"{len(view.shares)} clients, {sats_text(split.house_sats)} to the house."
    )


def _page_of(view: CashOutView) -> str:
    return f"/cash-outs/{view.summary.cash_out_id}"


ACTIONS = (
    Action(
        name="cash-out.add",
        title="Enter a cash-out by hand",
        path="/cash-outs/enter",
        api_path="/cash-outs",
        api_status=201,
        button="Enter it",
        wish=EnterCashOut,
        role=Role.OPERATOR,
        scope=Scope.CASH_OUTS,
        explanation="What was settled outside of Lamassu, or otherwise than its row says. It is split, shared "
        "among the balances of now, and paid like any other.",
        prepare=_ask,
        work=_enter,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=CashOutWholeOut.of,
        answer_model=CashOutWholeOut,
    ),
    Action(
        name="cash-out.distribute",
        title="Distribute a cash-out",
        path="/cash-outs/{cash_out_id}/process",
        button="Distribute it",
        wish=Decision,
        role=Role.OPERATOR,
        scope=Scope.CASH_OUTS,
        explanation="Distribute what a filter left out, what was before the baseline, or what waits in review. "
        "Lamassu must have it as successful. It is shared among the balances of now, and paid.",
        work=_distribute,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=CashOutWholeOut.of,
        answer_model=CashOutWholeOut,
    ),
    Action(
        name="cash-out.distribute-filtered",
        title="Distribute what filters have left out",
        path="/cash-outs/process-filtered",
        button="Distribute them",
        wish=DistributeFiltered,
        role=Role.OPERATOR,
        scope=Scope.CASH_OUTS,
        explanation="Each is distributed as if by itself: shared among the balances of now, and paid. One that "
        f"can't be holds up no other. At most {AT_ONCE} at once.",
        work=_distribute_filtered,
        facts=_several_facts,
        leads_to=lambda _done: "/cash-outs",
        said=lambda done: f"{done.distributed} cash-outs are distributed; {len(done.refused)} were refused.",
        answer=SeveralOut.of,
        answer_model=SeveralOut,
    ),
    Action(
        name="cash-out.ignore",
        title="Ignore a cash-out for good",
        path="/cash-outs/{cash_out_id}/ignore",
        button="Ignore it for good",
        wish=Decision,
        role=Role.OPERATOR,
        scope=Scope.CASH_OUTS,
        explanation="It is never distributed, whatever Lamassu says of it later. No client gets anything of it.",
        work=_ignore,
        facts=_facts,
        leads_to=_page_of,
        said=_said,
        answer=CashOutWholeOut.of,
        answer_model=CashOutWholeOut,
    ),
)
