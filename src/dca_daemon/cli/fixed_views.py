"""How Fixed Mode is shown: to people, and to scripts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import iso, print_pairs, print_table, say, when
from dca_daemon.domain.money import fiat_text, sats_text
from dca_daemon.domain.wording import fiat_json, source_fiat_json

if TYPE_CHECKING:
    from dca_daemon.domain.fixed import Rate
    from dca_daemon.domain.schedule import Slot
    from dca_daemon.services.fixed_amounts import FixedAmount
    from dca_daemon.services.fixed_runs import Run
    from dca_daemon.services.fixed_schedules import Schedule
    from dca_daemon.services.fixed_status import PastRun, Preview
    from dca_daemon.services.pools import Pool

MISSED_TEXT = {
    "catch-up": "what is missed is caught up until the end of the next day",
    "skip": "what is missed by more than 15 minutes is skipped",
}


def pool_dict(pool: Pool) -> dict[str, Any]:
    """A pool for scripts."""
    return {"id": pool.pool_id, "name": pool.name, "currency": pool.currency}


def schedule_dict(schedule: Schedule) -> dict[str, Any]:
    """A schedule for scripts."""
    return {
        "pool": pool_dict(schedule.pool),
        "active": schedule.active,
        "zone": schedule.times.zone,
        "times": list(schedule.times.times),
        "missed": schedule.missed,
        "max_per_day": fiat_json(schedule.default_max_minor, schedule.pool.currency),
        "since": iso(schedule.since),
        "actor": schedule.actor,
    }


def slot_dict(slot: Slot) -> dict[str, Any]:
    """A slot for scripts."""
    return {
        "date": slot.local_date.isoformat(),
        "time": slot.local_time,
        "due_at": iso(slot.due_at),
        "number": slot.number,
        "count": slot.count,
    }


def amount_dict(amount: FixedAmount) -> dict[str, Any]:
    """A client's amount for scripts."""
    currency = amount.pool.currency
    own = amount.own_max_minor
    return {
        "client_id": amount.client_id,
        "client": amount.client,
        "mode": amount.mode,
        "status": amount.status,
        "pool": pool_dict(amount.pool),
        "per_day": fiat_json(amount.daily_minor, currency),
        "own_max": None if own is None else fiat_json(own, currency),
        "max_per_day": fiat_json(amount.max_minor, currency),
        "balance": fiat_json(amount.balance_minor, currency),
    }


def rate_dict(rate: Rate, currency: str) -> dict[str, Any]:
    """A rate for scripts."""
    price = source_fiat_json(rate.fiat_per_btc, currency)
    return {"fiat_per_btc": price, "source": rate.source, "at": iso(rate.at)}


def preview_dict(found: Preview) -> dict[str, Any]:
    """A preview for scripts; sats are null without a rate."""
    currency = found.schedule.pool.currency
    return {
        "pool": pool_dict(found.schedule.pool),
        "slot": slot_dict(found.slot.slot),
        "rate": None if found.rate is None else rate_dict(found.rate, currency),
        "no_rate": None if found.no_rate is None else found.no_rate.message,
        "purchases": [
            {
                "client_id": p.client_id,
                "client": p.client,
                "amount": fiat_json(p.amount_minor, currency),
                "sats": p.sats,
                "balance": fiat_json(p.balance_minor, currency),
                "bought_that_day": fiat_json(p.bought_minor, currency),
            }
            for p in found.purchases
        ],
        "amount": fiat_json(sum(p.amount_minor for p in found.purchases), currency),
        "sats": None if found.rate is None else sum(p.sats or 0 for p in found.purchases),
        "upcoming": [slot_dict(slot) for slot in found.upcoming],
    }


def run_dict(done: Run) -> dict[str, Any]:
    """A run that was just made, for scripts."""
    currency = done.slot.newest.pool.currency
    return {
        "id": done.run_id,
        "pool": pool_dict(done.slot.newest.pool),
        "slot": slot_dict(done.slot.slot),
        "state": done.state,
        "rate": rate_dict(done.rate, currency),
        "amount": fiat_json(done.minor, currency),
        "sats": done.sats,
        "records": [
            {"client_id": s.client_id, "amount": fiat_json(s.fiat_minor, currency), "sats": s.sats}
            for s in done.shares
        ],
    }


def past_dict(run: PastRun) -> dict[str, Any]:
    """A run of the past for scripts."""
    currency = run.pool.currency
    rate = None if run.rate_fiat is None else source_fiat_json(run.rate_fiat, currency)
    return {
        "id": run.run_id,
        "pool": pool_dict(run.pool),
        "date": run.local_date.isoformat(),
        "time": run.local_time,
        "zone": run.zone,
        "due_at": iso(run.due_at),
        "at": iso(run.at),
        "state": run.state,
        "reason": run.reason,
        "actor": run.actor,
        "clients": run.clients,
        "amount": fiat_json(run.minor, currency),
        "sats": run.sats,
        "rate": None
        if rate is None
        else {"fiat_per_btc": rate, "source": run.rate_source, "at": iso(run.rate_at)},
        "reversed_at": iso(run.reversed_at),
    }


def show_schedule(schedule: Schedule, upcoming: Iterable[Slot] = ()) -> None:
    """A schedule for people."""
    most = fiat_text(schedule.default_max_minor, schedule.pool.currency)
    print_pairs(
        [
            ("Pool", f"{schedule.pool.name!r}, in {schedule.pool.currency}"),
            ("Schedule", "active" if schedule.active else "stopped: nothing is run"),
            ("Times", f"{', '.join(schedule.times.times)} in {schedule.times.zone}"),
            ("Missed", MISSED_TEXT[schedule.missed]),
            ("Most a day", f"{most} for each client without a maximum of its own"),
            ("Since", f"{when(schedule.since)}, by {schedule.actor}"),
            *(("Next", _slot_text(slot)) for slot in upcoming),
        ]
    )


def _slot_text(slot: Slot) -> str:
    return f"{slot} there, which is {when(slot.due_at)}"


def show_amounts(amounts: Sequence[FixedAmount], without: Sequence[str]) -> None:
    """Who buys how much a day, for people."""
    print_table(
        ("id", "client", "mode", "status", ">a day", ">most", ">balance"),
        (
            (
                a.client_id,
                a.client,
                a.mode,
                a.status,
                fiat_text(a.daily_minor, a.pool.currency),
                fiat_text(a.max_minor, a.pool.currency),
                fiat_text(a.balance_minor, a.pool.currency),
            )
            for a in amounts
        ),
        empty="No client has an amount a day yet: dca-daemon fixed client --help",
    )
    if without:
        say(f"In fixed mode, but without an amount, and so buying nothing: {', '.join(without)}.")


def show_preview(found: Preview) -> None:
    """A preview for people."""
    currency, slot = found.schedule.pool.currency, found.slot.slot
    print_pairs(
        [
            ("Time", f"{_slot_text(slot)}; {slot.number} of {slot.count} that day"),
            ("Rate", "none" if found.rate is None else _rate_text(found.rate, currency)),
            *([("", str(found.no_rate))] if found.no_rate else []),
        ]
    )
    say()
    print_table(
        ("id", "client", ">buys for", ">sats", ">balance", ">that day so far"),
        (
            (
                p.client_id,
                p.client,
                fiat_text(p.amount_minor, currency),
                None if p.sats is None else sats_text(p.sats),
                fiat_text(p.balance_minor, currency),
                fiat_text(p.bought_minor, currency),
            )
            for p in found.purchases
        ),
        empty="Nobody has anything to buy for.",
    )


def _rate_text(rate: Rate, currency: str) -> str:
    source = "LNbits" if rate.source == "lnbits" else "the latest cash-out's ticker"
    return f"{rate.fiat_per_btc:,.2f} {currency} per BTC, by {source}, of {when(rate.at)}"


def show_past(runs: Sequence[PastRun]) -> None:
    """Runs of the past for people."""
    print_table(
        (
            "id",
            "pool",
            "date",
            "time",
            "state",
            ">clients",
            ">bought for",
            ">sats",
            ">rate",
            "source",
            "by",
            "~why",
        ),
        (
            (
                r.run_id,
                r.pool.name,
                r.local_date,
                r.local_time,
                "reversed" if r.reversed_at else r.state,
                r.clients,
                fiat_text(r.minor, r.pool.currency),
                sats_text(r.sats),
                None if r.rate_fiat is None else f"{r.rate_fiat:,.2f}",
                r.rate_source,
                r.actor,
                r.reason,
            )
            for r in runs
        ),
        empty="There has been none yet.",
    )
