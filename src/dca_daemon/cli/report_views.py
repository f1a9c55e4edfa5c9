"""How reports look: to people, as JSON, and as lines of CSV. Prices are an exact pair, shown as fiat per BTC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from dca_daemon.cli.output import iso, print_pairs, print_table, say
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import fiat_json, price_json, price_text

if TYPE_CHECKING:
    from dca_daemon.services.reports.clients import ClientReport, ClientSats, Purchase, RecordLine

Table = tuple[Sequence[str], Iterable[Sequence[object]]]


def _when(moment: datetime, zone: ZoneInfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def csv_line(values: Sequence[Any]) -> str:
    """One line; a text that a spreadsheet would take for a formula gets a quotation mark before it."""
    from dca_daemon.ledger.export.data import csv_line as line

    return line(tuple(values))


def client_dict(report: ClientReport) -> dict[str, Any]:
    """One client in one currency, for scripts."""
    r, currency = report, report.currency
    bought = r.converted_minor
    return {
        "client_id": r.client_id,
        "client": r.client,
        "mode": r.mode,
        "status": r.status,
        "currency": currency,
        "before": fiat_json(r.before_minor, currency),
        "deposited": fiat_json(r.deposited_minor, currency),
        "given_back": fiat_json(r.given_back_minor, currency),
        "adjusted": fiat_json(r.adjusted_minor, currency),
        "converted": fiat_json(bought, currency),
        "left": fiat_json(r.left_minor, currency),
        "pending": fiat_json(r.pending_minor, currency),
        "bought_sats": r.bought_sats,
        "adjusted_sats": r.adjusted_sats,
        "purchases": r.purchases,
        "average_fiat_per_btc": price_json(r.bought_sats, bought, currency),
        "largest": _purchase_dict(r.largest, currency),
        "last": _purchase_dict(r.last, currency),
        "reversed_records": r.reversed_records,
        "reversed_sats": r.reversed_sats,
        "opening_deposited": fiat_json(r.opening_deposited_minor, currency),
        "opening_converted": fiat_json(r.opening_converted_minor, currency),
        "opening_sats": r.opening_sats,
    }


def _purchase_dict(purchase: Purchase | None, currency: str) -> dict[str, Any] | None:
    if purchase is None:
        return None
    return {
        "record_id": purchase.record_id,
        "happened_at": iso(purchase.happened_at),
        "sats": purchase.sats,
        "fiat": fiat_json(purchase.fiat_minor, currency),
        "fiat_per_btc": price_json(purchase.sats, purchase.fiat_minor, currency),
    }


CLIENT_COLUMNS = (
    *("client_id", "client", "mode", "status", "currency", "before", "deposited", "given_back", "adjusted"),
    *("converted", "left", "pending", "bought_sats", "adjusted_sats", "purchases", "average_fiat_per_btc"),
    *("reversed_records", "reversed_sats", "opening_deposited", "opening_converted", "opening_sats"),
)


def client_values(report: ClientReport) -> list[Any]:
    """The same as a line of CSV."""
    from dca_daemon.ledger.export.data import cell

    data = client_dict(report)
    return [cell(data[name]) if name == "client" else data[name] for name in CLIENT_COLUMNS]


def sats_dict(sats: ClientSats) -> dict[str, int]:
    """What a client is paid."""
    return {
        "owed_sats": sats.owed_sats,
        "in_payout_sats": sats.in_payout_sats,
        "settled_sats": sats.settled_sats,
        "commission_gathered_sats": sats.commission_gathered_sats,
        "commission_owed_sats": sats.commission_owed_sats,
        "commission_in_payout_sats": sats.commission_in_payout_sats,
        "commission_settled_sats": sats.commission_settled_sats,
        "credit_sats": sats.credit_sats,
    }


def show_client(report: ClientReport, zone: ZoneInfo) -> None:
    """For people: how the deposits became what is left, and at what price."""
    r, currency = report, report.currency

    def purchase(found: Purchase | None) -> str | None:
        if found is None:
            return None
        what = f"{fiat_text(found.fiat_minor, currency)} for {sats_text(found.sats)}"
        return f"{what} at {price_text(found.sats, found.fiat_minor, currency)}, {_when(found.happened_at, zone)}"

    say(f"Client {r.client_id} {r.client!r} ({r.mode}, {r.status}), {currency}:")
    print_pairs(
        (
            ("before", fiat_text(r.before_minor, currency)),
            ("+ deposited", fiat_text(r.deposited_minor, currency)),
            ("+ adjusted", fiat_text(r.adjusted_minor, currency)),
            ("- given back", fiat_text(r.given_back_minor, currency)),
            ("- converted", fiat_text(r.converted_minor, currency)),
            ("= left", fiat_text(r.left_minor, currency)),
            ("not confirmed yet", fiat_text(r.pending_minor, currency)),
            ("bought", sats_text(r.bought_sats)),
            ("average price", price_text(r.bought_sats, r.converted_minor, currency)),
            ("purchases", r.purchases),
            ("largest purchase", purchase(r.largest)),
            ("last purchase", purchase(r.last)),
            ("sats by adjustments", sats_text(r.adjusted_sats)),
            ("taken back", f"{r.reversed_records} records, {sats_text(r.reversed_sats)}"),
        )
    )
    if r.opening_deposited_minor:
        earlier = fiat_text(r.opening_deposited_minor, currency), fiat_text(r.opening_converted_minor, currency)
        say(f"Of it imported: deposited {earlier[0]}, converted {earlier[1]} into {sats_text(r.opening_sats)}.")


def show_sats(sats: ClientSats) -> None:
    """For people: what it is paid, of all time."""
    commission = (
        sats.commission_gathered_sats + sats.commission_owed_sats,
        sats.commission_in_payout_sats,
        sats.commission_settled_sats,
    )
    print_table(
        ("sats, of all time", ">owed", ">on its way", ">received"),
        (
            ("bought", *map(sats_text, (sats.owed_sats, sats.in_payout_sats, sats.settled_sats))),
            *([("commission", *map(sats_text, commission))] if any(commission) else ()),
        ),
        empty="",
    )
    if sats.credit_sats:
        say(f"It has received {sats_text(sats.credit_sats)} ahead of the books.")


def show_records(lines: Sequence[RecordLine], zone: ZoneInfo) -> None:
    """For people: each record with its price."""
    print_table(
        ("record", "happened", "type", ">fiat", ">sats", ">price of a bitcoin", "state", "#payout"),
        (
            (
                x.record_id,
                _when(x.happened_at, zone),
                x.type,
                fiat_text(x.fiat_minor, x.currency),
                sats_text(x.sats),
                price_text(x.sats, x.fiat_minor, x.currency),
                x.state,
                x.payout_id,
            )
            for x in lines
        ),
        empty="It has no records in this time.",
    )


def show_clients(reports: Sequence[ClientReport]) -> None:
    """For people: a line for each."""
    print_table(
        (
            "id",
            "client",
            ">deposited",
            ">given back",
            ">adjusted",
            ">converted",
            ">left",
            ">bought",
            ">average price",
        ),
        (
            (
                r.client_id,
                r.client,
                *(
                    fiat_text(minor, r.currency)
                    for minor in (
                        r.deposited_minor,
                        r.given_back_minor,
                        r.adjusted_minor,
                        r.converted_minor,
                        r.left_minor,
                    )
                ),
                sats_text(r.bought_sats),
                price_text(r.bought_sats, r.converted_minor, r.currency),
            )
            for r in reports
        ),
        empty="No client has handed over anything yet.",
    )
