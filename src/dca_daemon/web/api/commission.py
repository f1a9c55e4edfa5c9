"""`/api/v1/commission`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.requests import Request

from dca_daemon.domain.commission import Pay, percent_decimal
from dca_daemon.domain.rights import Scope
from dca_daemon.payouts.wallet import DestinationInfo
from dca_daemon.services import commission, commission_history, commission_overview, commission_release
from dca_daemon.services.clients import ClientView
from dca_daemon.services.commission import Change, ShareOf, Version
from dca_daemon.services.commission_history import Period, PeriodAmount
from dca_daemon.services.commission_overview import Overview, ReceiverView
from dca_daemon.services.commission_release import Gathered
from dca_daemon.web.api.values import Next, Out
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import PAGE, After, Limit, Since, Until, cut
from dca_daemon.web.rights import scoped

Percent = Annotated[
    str, Field(description="A decimal number, at most two digits after the point.", examples=["12.5"])
]


class ShareOut(Out):
    """One receiver's share."""

    client_id: int
    receiver: str
    percent: Percent
    active: bool

    @classmethod
    def of(cls, share: ShareOf) -> ShareOut:
        return cls(
            client_id=share.client_id,
            receiver=share.name,
            percent=percent_decimal(share.basis_points),
            active=share.active,
        )


class VersionOut(Out):
    """A version of the shares; `id` is null where nothing was ever shared."""

    id: int | None
    pay: Pay
    pay_times: list[str]
    zone: str | None
    pay_from_sats: int | None
    shares: list[ShareOut]
    shared_percent: Percent
    house_percent: Percent
    reason: str | None
    created_at: datetime | None
    actor: str | None

    @classmethod
    def of(cls, version: Version) -> VersionOut:
        rule = version.rule
        return cls(
            id=version.version_id,
            pay=rule.pay,
            pay_times=list(rule.times),
            zone=rule.zone,
            pay_from_sats=rule.from_sats,
            shares=[ShareOut.of(share) for share in version.shares],
            shared_percent=percent_decimal(version.shared_basis_points),
            house_percent=percent_decimal(version.house_basis_points),
            reason=version.reason,
            created_at=version.created_at,
            actor=version.actor,
        )


class VersionsOut(Out):
    """A page of versions, the newest first."""

    versions: list[VersionOut]
    next: Next


class CommissionChangeOut(Out):
    """The version that is in force now, and what it made payable at once."""

    version: VersionOut
    released_sats: int

    @classmethod
    def of(cls, change: Change) -> CommissionChangeOut:
        return cls(version=VersionOut.of(change.after), released_sats=change.freed_sats)


class ReceiverOut(Out):
    """A receiver, and what it got of commission only."""

    client_id: int
    receiver: str
    mode: str
    status: str
    destination: str
    percent: Percent | None
    active: bool
    gathered_sats: int
    owed_sats: int
    in_payout_sats: int
    settled_sats: int

    @classmethod
    def of(cls, one: ReceiverView) -> ReceiverOut:
        same = ("client_id", "mode", "status", "destination")
        sums = ("gathered_sats", "owed_sats", "in_payout_sats", "settled_sats")
        return cls(
            receiver=one.name,
            percent=None if one.basis_points is None else percent_decimal(one.basis_points),
            active=one.share_active,
            **{name: getattr(one, name) for name in (*same, *sums)},
        )


class CommissionOut(Out):
    """How commission is shared now, and what became of it so far."""

    version: VersionOut
    next_release_at: datetime | None
    house_sats: int
    receivers: list[ReceiverOut]

    @classmethod
    def of(cls, overview: Overview) -> CommissionOut:
        return cls(
            version=VersionOut.of(overview.version),
            next_release_at=overview.next_release_at,
            house_sats=overview.house_sats,
            receivers=[ReceiverOut.of(one) for one in overview.receivers],
        )


class PeriodOut(Out):
    """One receiver's commission of one day or month."""

    period: str
    client_id: int
    receiver: str
    records: int
    sats: int
    settled_sats: int

    @classmethod
    def of(cls, one: PeriodAmount) -> PeriodOut:
        return cls(
            period=one.period,
            client_id=one.client_id,
            receiver=one.name,
            records=one.records,
            sats=one.sats,
            settled_sats=one.settled_sats,
        )


class CommissionHistoryOut(Out):
    """What receivers got, the newest period first."""

    amounts: list[PeriodOut]


class GatheredOut(Out):
    """What is gathered for one receiver."""

    client_id: int
    receiver: str
    records: int
    sats: int

    @classmethod
    def of(cls, one: Gathered) -> GatheredOut:
        return cls(client_id=one.client_id, receiver=one.name, records=one.records, sats=one.sats)


class ReleasedOut(Out):
    """What is payable now."""

    released: list[GatheredOut]
    released_sats: int

    @classmethod
    def of(cls, done: list[Gathered]) -> ReleasedOut:
        return cls(released=[GatheredOut.of(one) for one in done], released_sats=sum(one.sats for one in done))


class AddedReceiverOut(Out):
    """A wallet that only receives commission; it has no share yet."""

    client_id: int
    receiver: str
    destination: str
    answered_as: str
    min_sats: int
    max_sats: int | None

    @classmethod
    def of(cls, added: tuple[ClientView, DestinationInfo]) -> AddedReceiverOut:
        view, info = added
        return cls(
            client_id=view.client_id,
            receiver=view.name,
            destination=view.destination,
            answered_as=info.name,
            min_sats=info.min_sats,
            max_sats=info.max_sats,
        )


router = APIRouter(prefix="/commission", tags=["commission"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("", summary="Show the shares in force")
async def show_commission(request: Request) -> CommissionOut:
    """With what each receiver is owed and has received of commission."""
    return CommissionOut.of(await commission_overview.show(desk_of(request).db))


@router.get("/versions", summary="List the versions of the shares")
async def list_versions(request: Request, limit: Limit = PAGE, after: After = None) -> VersionsOut:
    """The newest first."""
    found = await commission.list_versions(desk_of(request).db, limit=limit + 1, after=after)
    page = cut(found, limit, lambda one: one.version_id)
    return VersionsOut(versions=[VersionOut.of(one) for one in page.items], next=page.next)


@router.get("/history", summary="Commission by day or month")
async def show_history(
    request: Request,
    by: Period = Period.MONTH,
    since: Since = None,
    until: Until = None,
    receiver: Annotated[str | None, Query(max_length=200, description="By number or name.")] = None,
) -> CommissionHistoryOut:
    """Of cash-outs, by the days of the console's zone; what was reversed does not count."""
    desk = desk_of(request)
    found = await commission_history.history(
        desk.db, by=by, since=since, until=until, receiver=receiver, zone=desk.zone, limit=1
    )
    return CommissionHistoryOut(amounts=[PeriodOut.of(one) for one in found.amounts])


@router.get("/gathered", summary="What is gathered, and not payable yet")
async def list_gathered(request: Request) -> list[GatheredOut]:
    """By receiver."""
    return [GatheredOut.of(one) for one in await commission_release.is_gathered(desk_of(request).db)]
