"""`/api/v1/reports/periods`."""

from __future__ import annotations

from datetime import date

from fastapi import APIRouter, Depends
from starlette.requests import Request

from dca_daemon.domain.rights import Scope
from dca_daemon.services.reports import periods
from dca_daemon.services.reports.periods import By, CommissionPeriod, CurrencyPeriod, PeriodReport, SatsPeriod
from dca_daemon.web.api.values import Out, fiat
from dca_daemon.web.desk import desk_of
from dca_daemon.web.listing import Since, Until
from dca_daemon.web.rights import scoped


class CurrencyPeriodOut(Out):
    """One period in one currency; fiat as decimal numbers. What was reversed is in no other number."""

    period: date
    currency: str
    cash_outs: int
    fiat: str
    sats: int
    principal_sats: int
    commission_sats: int
    commission_shared_sats: int
    commission_house_sats: int
    clients_fiat: str
    clients_sats: int
    uncovered_fiat: str
    uncovered_sats: int
    fixed_purchases: int
    fixed_fiat: str
    fixed_sats: int
    house_fiat: str
    reversed: int
    reversed_sats: int

    @classmethod
    def of(cls, one: CurrencyPeriod) -> CurrencyPeriodOut:
        amounts = {
            "fiat": one.fiat_minor,
            "clients_fiat": one.clients_minor,
            "uncovered_fiat": one.uncovered_minor,
            "fixed_fiat": one.fixed_minor,
            "house_fiat": one.house_minor,
        }
        return cls.from_view(one, **{name: fiat(minor, one.currency) for name, minor in amounts.items()})


class SatsPeriodOut(Out):
    """One period's payouts, and what the house gained in sats."""

    period: date
    payouts: int
    paid_sats: int
    fees_msat: int
    losses_msat: int
    house_gross_sats: int
    house_net_msat: int

    @classmethod
    def of(cls, one: SatsPeriod) -> SatsPeriodOut:
        return cls.from_view(one)


class CommissionPeriodOut(Out):
    """What one receiver got of a period's commission."""

    period: date
    client_id: int
    receiver: str
    sats: int

    @classmethod
    def of(cls, one: CommissionPeriod) -> CommissionPeriodOut:
        return cls.from_view(one)


class PeriodsOut(Out):
    """All of it, oldest first; `period` is its first day, in `zone`."""

    by: By
    zone: str
    currencies: list[CurrencyPeriodOut]
    sats: list[SatsPeriodOut]
    commission: list[CommissionPeriodOut]

    @classmethod
    def of(cls, report: PeriodReport, by: By, zone: str) -> PeriodsOut:
        return cls(
            by=by,
            zone=zone,
            currencies=[CurrencyPeriodOut.of(one) for one in report.currencies],
            sats=[SatsPeriodOut.of(one) for one in report.sats],
            commission=[CommissionPeriodOut.of(one) for one in report.commission],
        )


router = APIRouter(prefix="/reports", tags=["reports"], dependencies=[Depends(scoped(Scope.READ))])


@router.get("/periods", summary="The report by day, week or month")
async def show_periods(
    request: Request,
    by: By = By.MONTH,
    since: Since = None,
    until: Until = None,
) -> PeriodsOut:
    """By the days of the console's zone. Periods in which nothing happened are left out."""
    desk = desk_of(request)
    report = await periods.periods(desk.db, by=by, zone=desk.zone, since=since, until=until)
    return PeriodsOut.of(report, by, desk.zone.key)
