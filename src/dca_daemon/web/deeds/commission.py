"""What can be done with commission."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field

from dca_daemon.domain.commission import percent_text
from dca_daemon.domain.errors import ConflictError, InputError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.rights import Role, Scope
from dca_daemon.payouts.wallet import Destination, DestinationInfo
from dca_daemon.services import clients, commission, commission_release, destinations
from dca_daemon.services.clients import ClientView
from dca_daemon.services.commission import Change, ShareOf
from dca_daemon.services.commission_release import Gathered
from dca_daemon.web.actions import Action, Call, Facts, Standing
from dca_daemon.web.api.commission import AddedReceiverOut, CommissionChangeOut, ReleasedOut
from dca_daemon.web.deeds.clients import blaming
from dca_daemon.web.wishes import ClientRef, Id, Reason, Text, WholeSats, Widget, Wish, like

_SHARES_MAX = 200
_SHARES_MAX_CHARS = 5_000


class Share(BaseModel):
    """One receiver's share; one that is not active gets nothing for now."""

    model_config = Wish.model_config

    receiver: Annotated[Text, Field(description="Its number or name.")]
    percent: Annotated[Text, Field(description="A decimal number, at most two digits after the point.")]
    active: bool = True


def _read(value: object) -> object:
    """What people write in lines, as programs send it."""
    if not isinstance(value, str):
        return value
    if not value.strip():
        raise ValueError("this is needed")
    if len(value) > _SHARES_MAX_CHARS:
        raise ValueError(f"at most {_SHARES_MAX_CHARS} characters")
    try:
        found = commission.parse_shares(value)
    except InputError as error:
        raise ValueError(str(error)) from None
    return [{"receiver": r, "percent": p, "active": r not in found.inactive} for r, p in found.shares or ()]


def _written(shares: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(f"{s['receiver']}: {s['percent']}{'' if s['active'] else ' inactive'}" for s in shares)


Shares = Annotated[
    Annotated[list[Share], Field(max_length=_SHARES_MAX)] | None,
    BeforeValidator(_read),
    Field(
        title="Shares",
        description="All of them; who is not named has none any more. In a form a line each: a receiver, a colon, "
        "its percentage; with `inactive` behind, it gets nothing for now. Left out, they stay as they are.",
    ),
    Widget("area", max_chars=_SHARES_MAX_CHARS, written=_written),
]


class SetShares(Wish):
    """A new version of the shares, or of when they are paid."""

    model_config = like(
        {
            "shares": [
                {"receiver": "Ana", "percent": "20"},
                {"receiver": "Office", "percent": "12.5", "active": False},
            ],
            "times": "18:30",
            "zone": "America/Guatemala",
            "reason": "the office has closed",
        }
    )

    shares: Shares = None
    none: Annotated[bool, Field(title="No shares: all commission stays with the house")] = False
    at_once: Annotated[bool, Field(title="Pay commission with each cash-out")] = False
    times: Annotated[
        Text | None,
        Field(
            title="Or pay at",
            description="Gather it, and pay at these local times: 08:00, 18:30.",
            examples=["18:30"],
        ),
    ] = None
    zone: Annotated[
        Text | None, Field(title="Zone of these times", description="IANA name.", examples=["America/Guatemala"])
    ] = None
    from_sats: Annotated[
        WholeSats | None,
        Field(title="Or pay from", description="Gather it, and pay each receiver once it comes to so many sats."),
    ] = None
    version: Annotated[
        Id | None,
        Field(title="Version", description="A check: refused unless this is the version in force."),
    ] = None
    reason: Reason | None = None


class AddReceiver(Wish):
    """A wallet that only receives commission. One way to pay it."""

    model_config = like({"name": "Office", "lightning_address": "office@example.com"})

    name: Annotated[Text, Field(title="Name", description="Of its own among clients and receivers.")]
    invoice_key: Annotated[
        Text | None,
        Field(title="Invoice key", description="Of its LNbits wallet; never shown again."),
        Widget(secret=True),
    ] = None
    lightning_address: Annotated[
        Text | None, Field(title="Or a Lightning address", examples=["office@example.com"])
    ] = None
    lnurl: Annotated[Text | None, Field(title="Or an LNURL-pay code", examples=["LNURL1…"])] = None


class Release(Wish):
    """Gathered commission becomes payable."""

    model_config = like({"receiver": "Ana"})

    receiver: ClientRef | None = None


async def _set(call: Call, wish: SetShares) -> Change:
    if wish.shares and wish.none:
        raise InputError("give shares, or none, not both", field="shares")
    given = commission.Wish()
    if wish.shares is not None or wish.none:
        given = commission.listed_shares([(one.receiver, one.percent, one.active) for one in wish.shares or ()])
    rule = commission.pay_rule(
        at_once=wish.at_once,
        times=[] if wish.times is None else wish.times.split(","),
        zone=wish.zone,
        from_sats=wish.from_sats,
    )
    asked = replace(given, rule=rule)
    if asked == commission.Wish():
        raise InputError("what is to change? give shares, or when they are paid", field="shares")
    change = await commission.preview(call.db, asked)
    if wish.version is not None and wish.version != change.before.version_id:
        raise ConflictError("the commission shares were changed meanwhile: look again", field="version")
    return await commission.apply(call.db, asked, seen=change.before, reason=wish.reason, actor=call.actor)


def _destination(wish: AddReceiver) -> Destination:
    return destinations.given(
        invoice_key=wish.invoice_key, lightning_address=wish.lightning_address, lnurl=wish.lnurl
    )


async def _ask_destination(call: Call, wish: AddReceiver) -> DestinationInfo:
    with blaming(wish):
        return await call.desk.receivers.check_destination(_destination(wish))


async def _add_receiver(call: Call, wish: AddReceiver) -> tuple[ClientView, DestinationInfo]:
    added = await clients.add_checked(
        call.db,
        call.desk.keys,
        name=wish.name,
        mode=clients.Mode.COMMISSION,
        destination=_destination(wish),
        info=call.prepared,
        actor=call.actor,
    )
    return added, call.prepared


async def _release(call: Call, wish: Release) -> list[Gathered]:
    wanted = () if wish.receiver is None else (wish.receiver,)
    return await commission_release.release(call.db, wanted, actor=call.actor)


def _change_facts(change: Change) -> Facts:
    before = {share.client_id: share for share in change.before.shares}
    after = {share.client_id: share for share in change.after.shares}
    facts = [
        (change.names[one], _now_then(_share(before.get(one)), _share(after.get(one))))
        for one in sorted({*before, *after})
    ]
    shared, house = (
        _now_then(percent_text(old), percent_text(new))
        for old, new in (
            (change.before.shared_basis_points, change.after.shared_basis_points),
            (change.before.house_basis_points, change.after.house_basis_points),
        )
    )
    facts += [("Shared in all", shared), ("Stays with the house", house)]
    facts.append(("Payment", _now_then(change.before.rule.text, change.after.rule.text)))
    if change.freed_sats:
        facts.append(("Payable at once", f"{sats_text(change.freed_sats)} that are gathered so far"))
    return facts


def _now_then(before: str, after: str) -> str:
    return f"{after}, as now" if before == after else f"{before} → {after}"


def _share(share: ShareOf | None) -> str:
    if share is None:
        return "none"
    return percent_text(share.basis_points) + ("" if share.active else " (inactive)")


def _receiver_facts(added: tuple[ClientView, DestinationInfo]) -> Facts:
    view, info = added
    facts = [("Receiver", view.name), ("Paid to", view.destination), ("It answered as", info.name)]
    if info.min_sats > 1:
        facts.append(("Takes at least", Standing(sats_text(info.min_sats))))
    return facts if info.max_sats is None else [*facts, ("Takes at most", Standing(sats_text(info.max_sats)))]


def _release_facts(done: list[Gathered]) -> Facts:
    return [
        *((one.name, f"{sats_text(one.sats)}, of {one.records} cash-outs") for one in done),
        ("In all", sats_text(sum(one.sats for one in done))),
    ]


def _set_said(change: Change) -> str:
    house = percent_text(change.after.house_basis_points)
    return f"Version {change.after.version_id} is in force: {house} of each commission stays with the house."


ACTIONS = (
    Action(
        name="commission.set",
        title="Set the shares",
        path="/commission/set",
        api_path="/commission/versions",
        api_status=201,
        wish=SetShares,
        role=Role.ADMIN,
        scope=Scope.COMMISSION,
        explanation="A new version of who gets how much of each commission, and when; in force from the "
        "next cash-out on. What was shared before keeps the version that it was shared by.",
        work=_set,
        facts=_change_facts,
        leads_to=lambda change: "/commission",
        said=_set_said,
        answer=CommissionChangeOut.of,
        answer_model=CommissionChangeOut,
    ),
    Action(
        name="commission.add-receiver",
        title="Add a receiver",
        path="/commission/add-receiver",
        api_path="/commission/receivers",
        api_status=201,
        wish=AddReceiver,
        role=Role.ADMIN,
        scope=Scope.COMMISSION,
        explanation="A wallet that only receives commission; it is asked whether it answers. It has no share "
        "until it is given one.",
        prepare=_ask_destination,
        work=_add_receiver,
        facts=_receiver_facts,
        leads_to=lambda added: "/commission",
        said=lambda added: f"Receiver {added[0].name} is added. It has no share yet.",
        answer=AddedReceiverOut.of,
        answer_model=AddedReceiverOut,
    ),
    Action(
        name="commission.release",
        title="Release gathered commission",
        path="/commission/release",
        wish=Release,
        role=Role.ADMIN,
        scope=Scope.COMMISSION,
        explanation="Have gathered commission paid now, whatever its time or amount; of all receivers, or of one.",
        work=_release,
        facts=_release_facts,
        leads_to=lambda done: "/commission",
        said=lambda done: f"{sats_text(sum(one.sats for one in done))} are payable now. The daemon pays them.",
        answer=ReleasedOut.of,
        answer_model=ReleasedOut,
    ),
)
