"""The drill of a restore: books with a million postings, backed up, restored, verified; and what PostgreSQL's own
programs take for the same rows."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from time import perf_counter

from dca_daemon.demo.postgres import EmbeddedPostgres, sqlalchemy_url
from dca_daemon.ledger.db import Database
from dca_daemon.services.backups.drill import DrillConfig, drill
from dca_daemon.services.backups.make import BackupConfig
from tests.bench import big_books
from tests.bench.report import Figure, Report
from tests.fixtures.postgres import pg_bin

_TARGET_SECONDS = 300.0


async def measure(server: EmbeddedPostgres, report: Report, *, quick: bool) -> None:
    """Restored on a server of ordinary durability: what is lost there would be a restore that never was."""
    dsn = big_books.database(server, big_books.Size(2_000 if quick else 15_000, 1_000))
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "target") as target:
        bare_seconds = _bare(dsn, target, Path(folder) / "bare.dump")
        config = DrillConfig(
            backup=BackupConfig(dsn=dsn, folder=Path(folder), recipients=("made by the drill",), pg_bin=pg_bin()),
            server_dsn=target.dsn(),
        )
        db = Database(sqlalchemy_url(dsn), application_name="bench")
        done = await drill(db, config, actor="bench")
        await db.close()
        target.destroy()
    postings = done.manifest.contents.counts["posting"]
    total = sum(done.seconds.values())
    report.add(Figure(f"drill of {postings:,} postings", total, "s", bare_seconds, _TARGET_SECONDS))
    for name, seconds in done.seconds.items():
        report.add(Figure(f"drill: {name}", seconds, "s"))
    report.add(Figure("drill: size of the archive", done.manifest.size_bytes / 1e6, "MB"))


def _bare(dsn: str, target: EmbeddedPostgres, archive: Path) -> float:
    """pg_dump to a file and pg_restore from it, with the same settings, and nothing looked at."""
    target.create_database("bare")
    began = perf_counter()
    dump: list[str | Path] = [
        pg_bin() / "pg_dump",
        "--format=custom",
        "--compress=1",
        f"--file={archive}",
        f"--dbname={dsn}",
    ]
    subprocess.run(dump, check=True)
    restore: list[str | Path] = [
        pg_bin() / "pg_restore",
        "--single-transaction",
        "--no-owner",
        f"--dbname={target.dsn('bare')}",
        archive,
    ]
    subprocess.run(restore, check=True)
    return perf_counter() - began
