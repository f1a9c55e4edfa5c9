"""A client's charts: sats stacked, and the price paid."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from dca_daemon.domain.money import SATS_PER_BTC, fiat_text, sats_text
from dca_daemon.services.client_series import ClientSeries
from dca_daemon.web.charts import Chart, chart

POINTS = 60


def stacked_chart(series: ClientSeries, zone: ZoneInfo) -> Chart:
    """How many sats there were in all; drawn at zero while corrections have taken off more than that."""
    points = [(_label(one.at, zone), max(0, one.sats), sats_text(one.sats)) for one in series.stacked]
    return chart("Sats stacked", points)


def price_charts(series: ClientSeries, zone: ZoneInfo) -> list[Chart]:
    """One per currency, of the price of a bitcoin in its minor units."""
    found: dict[str, list[tuple[str, int, str]]] = {}
    for one in series.prices:
        minor = one.fiat_minor * SATS_PER_BTC // one.sats
        text = f"{fiat_text(minor, one.currency)}/BTC"
        found.setdefault(one.currency, []).append((_label(one.at, zone), minor, text))
    return [chart(f"Price paid, in {code}", points, from_zero=False) for code, points in found.items()]


def _label(at: datetime, zone: ZoneInfo) -> str:
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M}"
