"""`dca-daemon client erase` and its kin: a client's personal data, for itself and for another installation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dca_daemon.cli.context import actor, confirm, load, usage_error, with_books, with_wallet
from dca_daemon.cli.files import STDOUT, output_to
from dca_daemon.cli.output import AsJson, Yes, note, print_json, print_pairs, print_table, say
from dca_daemon.domain.errors import InputError
from dca_daemon.domain.money import fiat_text
from dca_daemon.domain.wording import fiat_json

if TYPE_CHECKING:
    from dca_daemon.ledger.db import Database
    from dca_daemon.services.erasing import Erasure
    from dca_daemon.services.transfer.plan import TransferPlan

ClientRef = Annotated[str, typer.Argument(metavar="CLIENT", help="The client's id or name.")]


def _erasure_dict(done: Erasure) -> dict[str, Any]:
    return {
        "client_id": done.client_id,
        "name": done.name,
        "name_after": done.name_after,
        "destinations": done.destinations,
        "personal_links": done.personal_links,
        "tokens": done.tokens,
        "texts": [{"table": table, "rows": rows} for table, rows in done.texts.items()],
    }


def _show_erasure(done: Erasure) -> None:
    print_pairs(
        [
            ("Client", f"{done.client_id} {done.name!r}, called {done.name_after!r} from then on"),
            ("Destinations", f"{done.destinations}, with their addresses and keys"),
            ("Personal links", done.personal_links),
            ("Tokens", done.tokens),
            ("Texts", ", ".join(f"{table} {rows}" for table, rows in done.texts.items()) or "none"),
        ]
    )


def erase(
    client: ClientRef,
    reason: Annotated[
        str,
        typer.Option("--reason", metavar="TEXT", help="Why, without naming the client; kept in the audit log."),
    ],
    also: Annotated[
        list[str] | None,
        typer.Option(
            "--also", metavar="WORD", help="A further word that goes from all texts, such as a phone number."
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Erase a client's personal data for good: its name, where it was paid, its access, its notes.

    The books stay whole: amounts, times and numbers remain, of `client-N (erased)`. Refused while the client has
    anything in or coming. Shows first what would go, and asks. Backups keep the data until they are rotated out.
    """
    from dca_daemon.services import erasing

    settings = load()
    words = also or []
    seen = with_books(
        settings,
        lambda db: erasing.erase(db, client, reason=reason, words=words, actor=actor(), rehearse=True),
    )
    if not yes and not as_json:
        _show_erasure(seen)
    confirm(f"Erase the personal data of {seen.name!r} for good? Nothing brings them back.", yes=yes)
    done = with_books(
        settings,
        lambda db: erasing.erase(db, str(seen.client_id), reason=reason, words=words, actor=actor()),
    )
    if as_json:
        print_json({"erasure": _erasure_dict(done)})
        return
    _show_erasure(done)
    say("Erased. Older backups, journald and LNbits still have what they have: see docs/privacy.md.")


def export(
    client: Annotated[
        str | None, typer.Argument(metavar="CLIENT", help="The client's id or name; or --all.", show_default=False)
    ] = None,
    everyone: Annotated[
        bool, typer.Option("--all", help="All clients, for `client import` of another installation.")
    ] = False,
    with_keys: Annotated[
        bool,
        typer.Option("--with-keys", help="With --all: with the invoice keys of LNbits wallets. Needs --out."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write there, for its owner only; - for stdout.")
    ] = None,
) -> None:
    """Write what is kept of one client, or what all clients are and have in, as JSON (docs/client-data.md).

    Of one client it is everything that stands under its number, for the client itself. Of all of them it is what
    another installation needs to go on, with what each has in as its opening balance.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services import client_data
    from dca_daemon.services.transfer.export import export as export_all

    if everyone == (client is not None):
        raise usage_error("say whose data: a CLIENT, or --all")
    if with_keys and (not everyone or out is None or out == STDOUT):
        raise usage_error("--with-keys goes with --all --out FILE: a key opens a wallet")
    settings = load()
    keys = key_ring(settings) if with_keys else None

    async def work(db: Database) -> dict[str, Any]:
        return await (export_all(db, keys) if client is None else client_data.everything(db, client))

    found = with_books(settings, work)
    with output_to(out) as write:
        write(json.dumps(found, ensure_ascii=False, indent=2) + "\n")
    if out is not None and out != STDOUT:
        note(f"{out}: {len(found['clients'])} clients." if client is None else f"{out}: all of {client}.")


def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `client export --all` wrote.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys", metavar="FILE", help="CSV: a client's name or number there, then invoice key or address."
        ),
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not ask each destination.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this it is only shown.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over clients from a file, with what each has in as a confirmed deposit: all of them, or none.

    A dry run, unless --apply is given. With any problem, each told with its place, nothing is imported; names that
    exist here are one. Nothing is paid by it.
    """
    from dca_daemon.runtime.wiring import key_ring
    from dca_daemon.services.importing.tables import destinations_from_csv
    from dca_daemon.services.transfer import apply as applying
    from dca_daemon.services.transfer import document
    from dca_daemon.services.transfer.plan import plan

    settings = load()
    ring = key_ring(settings)
    found = document.read(_text(file, document.MAX_BYTES), str(file))
    given = {} if keys is None else destinations_from_csv(keys)

    async def look(db: Database) -> TransferPlan:
        made = await plan(db, found, given)
        if not no_check:
            await with_wallet(settings, lambda wallet: applying.check_receivers(wallet, made))
        return made

    made = with_books(settings, look)
    if made.problems or not apply:
        _show_plan(made, as_json=as_json)
        _refuse(made)
        return
    if not yes and not as_json:
        _show_plan(made, as_json=False)
    confirm(f"Import {len(made.clients)} clients with {_sums(made)}?", yes=yes)
    import_id = with_books(settings, lambda db: applying.apply(db, ring, made, origin=str(file), actor=actor()))
    if as_json:
        print_json({**_plan_dict(made), "import_id": import_id})
    else:
        say(f"Import {import_id}: {len(made.clients)} clients with {_sums(made)} are in the books.")


def _text(file: Path, most_bytes: int) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(most_bytes + 1)
    except OSError as error:
        raise InputError(f"can't read {file}: {error.strerror}") from None
    if len(content) > most_bytes:
        raise InputError(f"{file} is larger than {most_bytes // 1_000_000} MB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{file} is no text in UTF-8: byte {error.start}") from None


def _sums(made: TransferPlan) -> str:
    return ", ".join(fiat_text(minor, currency) for currency, minor in made.left_minor().items()) or "nothing in"


def _plan_dict(made: TransferPlan) -> dict[str, Any]:
    return {
        "source": made.source,
        "clients": [
            {
                "external_id": one.theirs.external_id,
                "name": one.theirs.name,
                "mode": one.theirs.mode,
                "status": one.theirs.status,
                "destination_kind": one.receiver.destination.kind,
                "destination": one.receiver.info.name,
                "balances": [
                    {
                        "pool": stake.pool.name,
                        "currency": stake.pool.currency,
                        "balance": fiat_json(stake.left_minor, stake.pool.currency),
                        "pending": fiat_json(sum(m for m, _ in stake.pending), stake.pool.currency),
                    }
                    for stake in (one.opening, *one.further)
                ],
            }
            for one in made.clients
        ],
        "problems": made.problems,
        "notes": made.notes,
    }


def _show_plan(made: TransferPlan, *, as_json: bool) -> None:
    if as_json:
        print_json({**_plan_dict(made), "import_id": None})
        return
    print_table(
        ("there", "name", "mode", "status", ">in", ">pending", "~paid to"),
        (
            (
                one.theirs.external_id,
                one.theirs.name,
                one.theirs.mode,
                one.theirs.status,
                ", ".join(fiat_text(s.left_minor, s.pool.currency) for s in (one.opening, *one.further)),
                ", ".join(
                    fiat_text(sum(m for m, _ in s.pending), s.pool.currency)
                    for s in (one.opening, *one.further)
                    if s.pending
                )
                or None,
                f"{one.receiver.info.name} ({one.receiver.destination.kind})",
            )
            for one in made.clients
        ),
        empty="The file has no client that could be imported.",
    )
    for line in made.notes:
        say(f"Note: {line}.")
    for line in made.problems:
        say(f"Problem: {line}.")
    if not made.problems and made.clients:
        say("To import: the same with --apply")


def _refuse(made: TransferPlan) -> None:
    if made.problems:
        count = "1 problem" if len(made.problems) == 1 else f"{len(made.problems)} problems"
        raise InputError(f"{count}: nothing was imported", remedy=made.problems[0])
    if not made.clients:
        raise InputError("there is no client to import")


def register(group: typer.Typer) -> None:
    """Adds these commands to the group `client`."""
    group.command()(export)
    group.command("import")(import_file)
    group.command()(erase)
