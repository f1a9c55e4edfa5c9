"""What a decision about a cash-out takes: the rehearsal, the question, and the deed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.context import actor, confirm, load, with_books
from dca_daemon.cli.output import print_json, say, when
from dca_daemon.domain.cash_out import CashOutState
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.wording import source_coins_text, source_fiat_json, source_fiat_text

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.cash_outs import CashOutSummary, CashOutView
    from dca_daemon.services.intake import Intake
    from dca_daemon.services.manual_cash_outs import Entry

_ANYWAY = "It is shared among the balances of now, and paid."


async def shown(db: Database, cash_out: str) -> CashOutView:
    """The cash-out that a person named."""
    from dca_daemon.services import cash_outs

    return await cash_outs.show(db, cash_out)


def required(reason: str | None) -> str:
    """The reason of a decision. Raises `InputError` without one."""
    if reason is None or not reason.strip():
        raise InputError("this needs a reason", remedy="add --reason")
    return reason


def _intake(db: Database, settings: Settings) -> Intake:
    from dca_daemon.runtime.wiring import intake_config
    from dca_daemon.services.intake import Intake

    return Intake(db, intake_config(settings))


def _say_what(summary: CashOutSummary) -> None:
    say(
        f"Cash-out {summary.cash_out_id}, {when(summary.happened_at)}: "
        f"{source_fiat_text(summary.fiat, summary.fiat_code)}, "
        f"{source_coins_text(summary.crypto_atoms, summary.crypto_code)}. "
        f"It is {summary.state}: {summary.reason_text}."
    )


def _carry_out(
    settings: Settings,
    work: Callable[[Database, bool], Awaitable[CashOutView]],
    heading: str,
    question: str,
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Rehearses, shows, asks, and does it. `work` takes whether it is the rehearsal."""
    from dca_daemon.cli.cash_out_views import show_decided, show_rehearsed
    from dca_daemon.services.cash_out_data import whole_dict

    rehearsed = with_books(settings, lambda db: work(db, True))
    if not as_json:
        show_rehearsed(rehearsed, heading)
    if dry_run:
        if as_json:
            print_json(whole_dict(rehearsed))
        return
    confirm(question, yes=yes)
    done = with_books(settings, lambda db: work(db, False))
    if as_json:
        print_json(whole_dict(done))
    else:
        show_decided(done)


def enter_one(entry: Entry, *, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Rehearses an entry by hand, shows it, asks, and books it."""
    from dca_daemon.lamassu.source import LamassuSource
    from dca_daemon.runtime.wiring import source_config
    from dca_daemon.services import baseline, manual_cash_outs

    settings = load()
    source = LamassuSource(source_config(settings))

    async def work(db: Database, rehearse: bool) -> CashOutView:
        intake = _intake(db, settings)
        try:
            return await manual_cash_outs.enter(db, intake, entry, source=source, actor=actor(), rehearse=rehearse)
        finally:
            await source.close()

    begun = with_books(settings, baseline.show)
    history = begun is not None and entry.at is not None and entry.at < begun.at
    before = f" It happened before the baseline, {when(begun.at)}." if history and begun is not None else ""
    _carry_out(
        settings,
        work,
        f"If it is entered (nothing is changed yet):{before}",
        f"Enter it?{before} {_ANYWAY}",
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def ignore_one(settings: Settings, found: CashOutView, reason: str, *, yes: bool, as_json: bool) -> None:
    """Asks, and has a cash-out never distributed."""
    from dca_daemon.cli.cash_out_views import show_decided
    from dca_daemon.services import decisions
    from dca_daemon.services.cash_out_data import whole_dict

    number = found.summary.cash_out_id
    if not as_json:
        _say_what(found.summary)
    confirm(f"Ignore cash-out {number} for good? No client gets anything of it.", yes=yes)
    view = with_books(settings, lambda db: decisions.ignore(db, str(number), reason=reason, actor=actor()))
    if as_json:
        print_json(whole_dict(view))
    else:
        show_decided(view)


def distribute_one(
    settings: Settings, cash_out: str, reason: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Rehearses a distribution by hand, shows it, asks, and does it."""
    from dca_daemon.services import decisions

    why = required(reason)
    found = with_books(settings, lambda db: shown(db, cash_out))
    if not as_json:
        _say_what(found.summary)
    history = found.summary.state is CashOutState.BEFORE_BASELINE
    warning = " It is HISTORY: it was successful before this daemon began to count." if history else ""
    _carry_out(
        settings,
        lambda db, rehearse: decisions.distribute(
            db,
            _intake(db, settings),
            str(found.summary.cash_out_id),
            reason=why,
            actor=actor(),
            rehearse=rehearse,
        ),
        "If it is distributed (nothing is changed yet):",
        f"Distribute it?{warning} {_ANYWAY}",
        dry_run=dry_run,
        yes=yes,
        as_json=as_json,
    )


def distribute_filtered(
    settings: Settings, since: datetime | None, reason: str | None, *, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Shows count and sums of what filters have left out, asks, and distributes each."""
    from dca_daemon.services import cash_outs, decisions

    why = required(reason)
    found = with_books(settings, lambda db: cash_outs.left_out(db, since=since))
    counted = _sums(found)
    if not as_json:
        amounts = ", ".join(f"{one['fiat']} {one['currency']}" for one in counted["fiat"])
        say(f"Left out by filters: {len(found)} cash-outs, {amounts or 'nothing'}, {counted['sats']:,} sats.")
    if dry_run or not found:
        if as_json:
            print_json({**counted, "distributed": 0, "refused": []})
        return
    confirm(
        f"Distribute these {len(found)} cash-outs? They are shared among the balances of now, and paid.", yes=yes
    )
    ids = [c.cash_out_id for c in found]
    done = with_books(
        settings,
        lambda db: decisions.distribute_several(db, _intake(db, settings), ids, reason=why, actor=actor()),
    )
    refused = [{"id": cash_out_id, "text": text} for cash_out_id, text in done.refused]
    if as_json:
        print_json({**counted, "distributed": done.distributed, "refused": refused})
        return
    say(f"Distributed: {done.distributed}.")
    for one in refused:
        say(f"Cash-out {one['id']} was not: {one['text']}.")


def _sums(found: Sequence[CashOutSummary]) -> dict[str, Any]:
    """Count and sums; amounts that are none, of bad rows, are no part of them."""
    fiat: dict[str, Decimal] = defaultdict(Decimal)
    for one in found:
        fiat[one.fiat_code] += one.fiat if one.fiat.is_finite() else 0
    return {
        "cash_outs": len(found),
        "sats": sum(int(one.crypto_atoms) for one in found if one.crypto_atoms.is_finite()),
        "fiat": [{"currency": code, "fiat": source_fiat_json(fiat[code], code)} for code in sorted(fiat)],
    }
