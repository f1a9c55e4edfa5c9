"""Where a receiver is to be paid, as an operator gives it. An invoice key never stands on the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dca_daemon.cli.context import MAX_SECRET_FILE_BYTES, read_secret_file, usage_error
from dca_daemon.domain.errors import InputError

if TYPE_CHECKING:
    from dca_daemon.payouts.wallet import Destination

KeyFile = Annotated[
    Path | None,
    typer.Option("--lnbits-key-file", metavar="PATH", help="A file with the invoice key of its LNbits wallet."),
]
KeyStdin = Annotated[
    bool, typer.Option("--lnbits-key-stdin", help="Read the invoice key of its LNbits wallet from stdin.")
]
Address = Annotated[
    str | None,
    typer.Option("--lightning-address", metavar="NAME@DOMAIN", help="Pay it to this Lightning address."),
]
Lnurl = Annotated[str | None, typer.Option("--lnurl", metavar="LNURL1…", help="Pay it to this LNURL-pay code.")]

_WHAT = "the invoice key"


def read_destination(
    key_file: Path | None, key_stdin: bool, lightning_address: str | None, lnurl: str | None
) -> Destination:
    """The destination that was given, or the key that is typed at a hidden prompt."""
    from dca_daemon.services.destinations import given

    ways = [key_file is not None, key_stdin, lightning_address is not None, lnurl is not None]
    if ways.count(True) > 1:
        raise usage_error(
            "give one destination: --lnbits-key-file, --lnbits-key-stdin, --lightning-address or --lnurl"
        )
    if lightning_address is not None or lnurl is not None:
        return given(lightning_address=lightning_address, lnurl=lnurl)
    if key_file is not None:
        key = read_secret_file(key_file, _WHAT)
    elif key_stdin:
        key = sys.stdin.read(MAX_SECRET_FILE_BYTES).strip()
    elif sys.stdin.isatty():
        key = typer.prompt("Invoice key of the client's LNbits wallet", hide_input=True, err=True).strip()
    else:
        raise InputError(
            "where is the client to be paid?",
            remedy="give --lnbits-key-file, --lnbits-key-stdin, --lightning-address or --lnurl",
        )
    return given(invoice_key=key)
