"""How the report by period looks: to people, as JSON, and as lines of CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import fiat_json, unit_text

if TYPE_CHECKING:
    from dca_daemon.services.reports.periods import CurrencyPeriod, PeriodReport

Table = tuple[Sequence[str], Iterable[Sequence[object]]]


def _period_dict(p: CurrencyPeriod) -> dict[str, Any]:
    return {
        "period": p.period.isoformat(),
        "currency": p.currency,
        "cash_outs": p.cash_outs,
        "fiat": fiat_json(p.fiat_minor, p.currency),
        "sats": p.sats,
        "principal_sats": p.principal_sats,
        "commission_sats": p.commission_sats,
        "commission_shared_sats": p.commission_shared_sats,
        "commission_house_sats": p.commission_house_sats,
        "clients_fiat": fiat_json(p.clients_minor, p.currency),
        "clients_sats": p.clients_sats,
        "uncovered_fiat": fiat_json(p.uncovered_minor, p.currency),
        "uncovered_sats": p.uncovered_sats,
        "fixed_purchases": p.fixed_purchases,
        "fixed_fiat": fiat_json(p.fixed_minor, p.currency),
        "fixed_sats": p.fixed_sats,
        "house_fiat": fiat_json(p.house_minor, p.currency),
        "reversed": p.reversed,
        "reversed_sats": p.reversed_sats,
    }


PERIOD_COLUMNS = (
    *("period", "currency", "cash_outs", "fiat", "sats", "principal_sats", "commission_sats"),
    *("commission_shared_sats", "commission_house_sats", "clients_fiat", "clients_sats", "uncovered_fiat"),
    *("uncovered_sats", "fixed_purchases", "fixed_fiat", "fixed_sats", "house_fiat", "reversed", "reversed_sats"),
)


def period_values(line: CurrencyPeriod) -> list[Any]:
    """One period and currency as a line of CSV."""
    data = _period_dict(line)
    return [data[name] for name in PERIOD_COLUMNS]


def periods_dict(report: PeriodReport) -> dict[str, Any]:
    """All of it for scripts."""
    return {
        "currencies": [_period_dict(p) for p in report.currencies],
        "commission": [
            {"period": c.period.isoformat(), "client_id": c.client_id, "receiver": c.receiver, "sats": c.sats}
            for c in report.commission
        ],
        "payouts": [
            {
                "period": s.period.isoformat(),
                "payouts": s.payouts,
                "paid_sats": s.paid_sats,
                "fees_msat": s.fees_msat,
                "losses_msat": s.losses_msat,
                "house_gross_sats": s.house_gross_sats,
                "house_net_msat": s.house_net_msat,
            }
            for s in report.sats
        ],
    }


def currencies_table(report: PeriodReport) -> Table:
    """Volume and its split."""
    columns = ("from", ">cash-outs", ">notes out", ">coins in", ">to clients", ">commission", ">uncovered")
    return (*columns, ">fixed", ">for", ">house's cash", ">taken back"), (
        (
            p.period,
            p.cash_outs,
            fiat_text(p.fiat_minor, p.currency),
            sats_text(p.sats),
            sats_text(p.clients_sats),
            sats_text(p.commission_sats),
            sats_text(p.uncovered_sats),
            fiat_text(p.fixed_minor, p.currency),
            sats_text(p.fixed_sats),
            fiat_text(p.house_minor, p.currency),
            p.reversed,
        )
        for p in report.currencies
    )


def commission_table(report: PeriodReport) -> Table:
    """What each receiver got; the house's part is what is left."""
    return ("from", "receiver", ">commission"), (
        (c.period, c.receiver, sats_text(c.sats)) for c in report.commission
    )


def sats_table(report: PeriodReport) -> Table:
    """Payouts, and the house."""
    return ("from", ">payouts", ">paid", ">fees", ">losses", ">house", ">house, net"), (
        (
            s.period,
            s.payouts,
            sats_text(s.paid_sats),
            unit_text(s.fees_msat, "msat"),
            unit_text(s.losses_msat, "msat"),
            sats_text(s.house_gross_sats),
            unit_text(s.house_net_msat, "msat"),
        )
        for s in report.sats
    )
