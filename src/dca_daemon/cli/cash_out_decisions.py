"""What a person decides about cash-outs: `cash-out add | ignore | process | review`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli.cash_out_actions import (
    distribute_filtered,
    distribute_one,
    enter_one,
    ignore_one,
    required,
    shown,
)
from dca_daemon.cli.context import load, usage_error, with_books
from dca_daemon.cli.output import AsJson, Limit, Yes, print_json, print_table, say, when
from dca_daemon.domain.cash_out import CashOutState, ways_to_decide
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.moments import parse_local_time, parse_time
from dca_daemon.domain.wording import source_coins_text, source_fiat_text

if TYPE_CHECKING:
    from dca_daemon.runtime.settings import Settings
    from dca_daemon.services.cash_outs import CashOutSummary, CashOutView
    from dca_daemon.services.manual_cash_outs import Entry

CashOutRef = Annotated[
    str, typer.Argument(metavar="CASH-OUT", help="Our number, or the source's id or the beginning of it.")
]
MaybeCashOut = Annotated[
    str | None,
    typer.Argument(metavar="[CASH-OUT]", help="Our number, or the source's id or the beginning of it."),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; kept with the cash-out.")]
MaybeReason = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; kept with the cash-out. A decision needs it.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would come of it.")]
Currency = Annotated[
    str | None, typer.Option("--currency", metavar="CODE", help="A check: refused unless it is the pool's.")
]
Commission = Annotated[
    str | None, typer.Option("--commission", metavar="PERCENT", help="The machine's commission, like 5.5.")
]
Discount = Annotated[
    int | None, typer.Option("--discount", metavar="PERCENT", help="Of the commission, a whole number.")
]
At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="TIME", help="When the notes came out; without a zone: by this computer's clock."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the commands to the group."""
    for command in (add, ignore, process, review):
        app.command(command.__name__)(command)


def add(
    fiat: Annotated[str, typer.Option("--fiat", metavar="AMOUNT", help="The notes that came out.")],
    sats: Annotated[int, typer.Option("--sats", metavar="N", help="What the layperson paid.")],
    reason: Reason,
    reference: Annotated[
        str,
        typer.Option("--reference", metavar="TEXT", help="Your own name for it, such as ticket-17. Taken once."),
    ],
    currency: Currency = None,
    commission: Commission = None,
    discount: Discount = None,
    machine: Annotated[
        str | None, typer.Option("--machine", metavar="MACHINE", help="By name or device id.")
    ] = None,
    at: At = None,
    lamassu_id: Annotated[
        str | None,
        typer.Option(
            "--lamassu-id",
            metavar="CASH-OUT",
            help="The cash-out that this settles: it is never distributed then. Machine, time and commission come "
            "from it where they are not given.",
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Enter a cash-out that was settled outside of Lamassu. Shows what comes of it, and asks.

    It is split, shared and paid like any other. With --lamassu-id it takes the place of that cash-out, which can't
    be distributed any more, even if Lamassu has it as successful later.
    """
    from dca_daemon.services.manual_cash_outs import Entry

    entry = Entry(
        fiat=fiat,
        sats=sats,
        reason=reason,
        reference=reference,
        currency=currency,
        commission_percent=commission,
        discount=discount,
        machine=machine,
        at=None if at is None else parse_local_time(at, None),
        settles=lamassu_id,
    )
    enter_one(entry, dry_run=dry_run, yes=yes, as_json=as_json)


def ignore(cash_out: CashOutRef, reason: Reason, yes: Yes = False, as_json: AsJson = False) -> None:
    """Mark a cash-out as done without distributing it, whatever Lamassu says of it later. Asks."""
    settings = load()
    found = with_books(settings, lambda db: shown(db, cash_out))
    ignore_one(settings, found, reason, yes=yes, as_json=as_json)


def process(
    cash_out: MaybeCashOut = None,
    reason: MaybeReason = None,
    filtered: Annotated[bool, typer.Option("--filtered", help="All that filters have left out.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="With --filtered: only what happened since then.")
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Distribute what a filter left out, what was before the baseline, or what waits in review. Asks.

    It shows first what would come of it. Lamassu must have it as successful. It is shared among the balances of
    now.
    """
    if (cash_out is None) != filtered:
        raise usage_error("name a cash-out, or give --filtered")
    if since is not None and not filtered:
        raise usage_error("--since goes with --filtered")
    settings = load()
    if cash_out is not None:
        distribute_one(settings, cash_out, reason, dry_run=dry_run, yes=yes, as_json=as_json)
    else:
        start = None if since is None else parse_time(since)
        distribute_filtered(settings, start, reason, dry_run=dry_run, yes=yes, as_json=as_json)


def review(
    cash_out: MaybeCashOut = None,
    distribute: Annotated[bool, typer.Option("--distribute", help="Distribute it as it is.")] = False,
    leave: Annotated[bool, typer.Option("--ignore", help="Never distribute it.")] = False,
    enter: Annotated[
        bool, typer.Option("--enter", help="Enter it with other amounts (--fiat, --sats): that settles it.")
    ] = False,
    reason: MaybeReason = None,
    fiat: Annotated[
        str | None, typer.Option("--fiat", metavar="AMOUNT", help="With --enter: the notes that came out.")
    ] = None,
    sats: Annotated[
        int | None, typer.Option("--sats", metavar="N", help="With --enter: what the layperson paid.")
    ] = None,
    commission: Commission = None,
    discount: Discount = None,
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference", metavar="TEXT", help="With --enter: your own name for it. Default: review-ID."
        ),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what waits for a person, or decide one of them: --distribute, --ignore or --enter."""
    settings = load()
    if cash_out is None:
        if distribute or leave or enter:
            raise usage_error("name the cash-out that is decided")
        _list_waiting(settings, limit, as_json=as_json)
        return
    found = with_books(settings, lambda db: shown(db, cash_out))
    summary = found.summary
    if summary.state is not CashOutState.REVIEW:
        raise InputError(
            f"cash-out {summary.cash_out_id} does not wait: it is {summary.state}",
            remedy="see: dca-daemon cash-out show, process, ignore, add",
        )
    if distribute + leave + enter > 1:
        raise usage_error("decide one way: --distribute, --ignore or --enter")
    if distribute:
        distribute_one(settings, str(summary.cash_out_id), reason, dry_run=dry_run, yes=yes, as_json=as_json)
    elif leave:
        ignore_one(settings, found, required(reason), yes=yes, as_json=as_json)
    elif enter:
        if fiat is None or sats is None:
            raise usage_error("--enter needs --fiat and --sats: what really happened")
        enter_one(
            _entry_for(summary, fiat, sats, commission, discount, reference, required(reason)),
            dry_run=dry_run,
            yes=yes,
            as_json=as_json,
        )
    else:
        _show_waiting(found, as_json=as_json)


def _entry_for(
    summary: CashOutSummary,
    fiat: str,
    sats: int,
    commission: str | None,
    discount: int | None,
    reference: str | None,
    reason: str,
) -> Entry:
    from dca_daemon.services.manual_cash_outs import Entry

    return Entry(
        fiat=fiat,
        sats=sats,
        reason=reason,
        reference=reference or f"review-{summary.cash_out_id}",
        commission_percent=commission,
        discount=discount,
        settles=str(summary.cash_out_id),
    )


def _list_waiting(settings: Settings, limit: int, *, as_json: bool) -> None:
    from dca_daemon.services import cash_outs
    from dca_daemon.services.cash_out_data import summary_dict

    found = with_books(settings, lambda db: cash_outs.list_all(db, states=(CashOutState.REVIEW,), limit=limit))
    if as_json:
        print_json({"cash_outs": [summary_dict(summary) for summary in found]})
        return
    print_table(
        ("id", "when", "machine", ">notes", ">coins", "reason", "decide by", "~why"),
        (
            (
                c.cash_out_id,
                when(c.happened_at),
                c.machine_name or c.device_id,
                source_fiat_text(c.fiat, c.fiat_code),
                source_coins_text(c.crypto_atoms, c.crypto_code),
                c.reason,
                ways_to_decide(c.reason),
                c.reason_text,
            )
            for c in found
        ),
        empty="Nothing waits for a person.",
    )


def _show_waiting(found: CashOutView, *, as_json: bool) -> None:
    from dca_daemon.cli.cash_out_views import show_whole
    from dca_daemon.services.cash_out_data import whole_dict

    if as_json:
        print_json(whole_dict(found))
        return
    show_whole(found)
    say()
    ways = ways_to_decide(found.summary.reason)
    say(f"To decide: {ways} (dca-daemon cash-out review {found.summary.cash_out_id} --help).")
