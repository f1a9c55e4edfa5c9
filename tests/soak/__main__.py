"""`python -m tests.soak --rounds 200 [--seed N]`: a line a round, a summary, exit status 1 on a lost sat."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import structlog

from dca_daemon.demo.lamassu_schema import create_schema
from dca_daemon.demo.lnbits_server import LnbitsServer
from dca_daemon.demo.postgres import TEST_SETTINGS, EmbeddedPostgres
from tests.fixtures.books import prepare_books
from tests.fixtures.lnbits import INSTALL_DIR
from tests.fixtures.postgres import LamassuDb, TestDb
from tests.soak.rounds import Soak, soaking


async def soak(folder: Path, rounds: int, seed: int) -> int:
    """Runs so many rounds on servers of their own; how many things remained unexplained."""
    postgres = EmbeddedPostgres(folder / "postgres", TEST_SETTINGS)
    postgres.start()
    try:
        for name in ("books", "lamassu"):
            postgres.create_database(name)
        books = TestDb("books", postgres.dsn("books"))
        await asyncio.to_thread(prepare_books, books.dsn)
        dsn = postgres.dsn("lamassu")
        create_schema(dsn)
        with LnbitsServer(INSTALL_DIR, folder / "lnbits") as server:
            async with soaking(folder, books, LamassuDb("lamassu", dsn, dsn), server, seed) as running:
                for _ in range(rounds):
                    print((await running.round()).line(), flush=True)
                return _summary(running, await running.finish())
    finally:
        postgres.destroy()


def _summary(done: Soak, at_the_end: list[str]) -> int:
    payouts: Counter[str] = Counter()
    for each in done.rounds:
        payouts += each.payouts
    unexplained = at_the_end + [text for each in done.rounds for text in each.unexplained]
    rows = {
        "rounds": len(done.rounds),
        "cash-outs": sum(each.cash_outs for each in done.rounds),
        "payouts": payouts.total(),
        **{f"  {state}": count for state, count in sorted(payouts.items())},
        "submitted again": sum(each.resubmitted for each in done.rounds),
        "torn, held, written off, paid anew": sum(each.torn for each in done.rounds),
        "  sats lost at LNbits in them": done.lost_sats,
        "unexplained": len(unexplained),
    }
    print()
    for name, count in rows.items():
        print(f"{name:38} {count:>10,}")
    for text in at_the_end:
        print(f"UNEXPLAINED at the end: {text}")
    return len(unexplained)


def main() -> None:
    """Reads the command line and runs."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the moments of death")
    given = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    print(f"seed {given.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dca-soak-") as folder:
        sys.exit(1 if asyncio.run(soak(Path(folder), given.rounds, given.seed)) else 0)


if __name__ == "__main__":
    main()
