"""How backups are shown: to people, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import iso, when

if TYPE_CHECKING:
    from dca_daemon.services.backups.drill import Drill
    from dca_daemon.services.backups.make import Backup
    from dca_daemon.services.backups.manifest import Manifest

_MB = 1_000_000


def backup_dict(made: Backup) -> dict[str, Any]:
    """A backup that was just made, for scripts."""
    return {"path": str(made.path), **facts(made.manifest), "seconds": round(made.seconds, 1)}


def drill_dict(done: Drill) -> dict[str, Any]:
    """What a drill came to, for scripts."""
    return {
        "holds": True,
        "own_key": done.own_key,
        **facts(done.manifest),
        "checks": done.restored.checks,
        "seconds": rounded(done.seconds),
    }


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """Seconds by step."""
    return {name: round(value, 2) for name, value in seconds.items()}


def facts(found: Manifest | None) -> dict[str, Any]:
    """What a manifest says of its backup, for scripts; null where there is none to read."""
    if found is None:
        return {"backup": None}
    return {
        "backup": {
            "archive": found.archive,
            "made_at": iso(found.made_at),
            "cause": found.cause,
            "size_bytes": found.size_bytes,
            "sha256": found.sha256,
            "encrypted": found.encryption == "age",
            "revision": found.contents.revision,
            "program_version": found.program_version,
            "postings": found.contents.counts.get("posting", 0),
        }
    }


def pairs(found: Manifest) -> list[tuple[str, object]]:
    """The same, for people."""
    return [
        ("archive", found.archive),
        ("made", when(found.made_at)),
        ("by", f"dca-daemon {found.program_version}, PostgreSQL {found.server_version}"),
        ("schema", found.contents.revision),
        ("size", size_text(found)),
        ("holds", rows_text(found)),
        (
            "encrypted for",
            ", ".join(found.recipients) if found.encryption == "age" else "nobody: anybody can read it",
        ),
    ]


def size_text(found: Manifest) -> str:
    """Such as 39.9 MB."""
    return f"{found.size_bytes / _MB:,.1f} MB"


def rows_text(found: Manifest) -> str:
    """How much is in it."""
    counts = found.contents.counts
    return f"{counts.get('posting', 0):,} postings in {sum(counts.values()):,} rows"
