"""Programs in the place of PostgreSQL's own, to go wrong as they are told."""

from __future__ import annotations

from pathlib import Path


def fake_programs(folder: Path, major: int, then: str = "exit 0") -> Path:
    """A pg_dump that writes some of an archive, and does `then`; and a pg_restore."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("pg_dump", "pg_restore"):
        path = folder / name
        path.write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && {{ echo "{name} (PostgreSQL) {major}.1 (Debian)"; exit 0; }}\n'
            f"printf PGDMP; head -c 300000 /dev/zero\n{then}\n"
        )
        path.chmod(0o755)
    return folder
