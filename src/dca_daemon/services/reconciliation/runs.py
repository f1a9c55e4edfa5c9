"""What came of each comparison, kept in the books: how old the last one is, and what it found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from dca_daemon.domain.errors import NotFoundError
from dca_daemon.ledger.db import Database, execute, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services.reconciliation.findings import Difference, Kind, Note, NoteKind, Reconciliation

DAEMON = "daemon"


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last comparison that counts: the daemon's own, or a person's without a limit in time.

    `complete_age_seconds`: since the last one that compared every part; None before the first.
    """

    at: datetime
    actor: str
    since: datetime | None
    complete: bool
    agrees: bool
    counts: Mapping[str, int]  # kind of difference → how many
    complete_age_seconds: float | None


async def save(db: Database, run: Reconciliation, *, actor: str, routine: bool) -> None:
    """Keeps a run. `routine`: whether it counts for the metrics."""

    def dumped(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    async with db.transaction() as conn:
        await execute(
            conn,
            """INSERT INTO reconcile_run (began_at, actor, since, routine, complete, agrees, compared,
                                          not_compared, counts, differences, notes)
               VALUES (:began_at, :actor, :since, :routine, :complete, :agrees, CAST(:compared AS jsonb),
                       CAST(:not_compared AS jsonb), CAST(:counts AS jsonb), CAST(:differences AS jsonb),
                       CAST(:notes AS jsonb))""",
            began_at=run.began_at,
            actor=actor,
            since=run.since,
            routine=routine,
            complete=run.complete,
            agrees=run.agrees,
            compared=dumped(run.compared),
            not_compared=dumped(run.not_compared),
            counts=dumped(run.counts),
            differences=dumped([asdict(difference) for difference in run.differences]),
            notes=dumped([asdict(note) for note in run.notes]),
        )


async def last(db: Database) -> LastRun | None:
    """The last run that counts. Raises `DatabaseError`."""
    async with db.transaction() as conn:
        found = await one(
            conn,
            """SELECT at, actor, since, complete, agrees, counts,
                      (SELECT CAST(extract(epoch FROM now() - c.at) AS double precision) FROM reconcile_run c
                        WHERE c.routine AND c.complete ORDER BY c.id DESC LIMIT 1) AS complete_age_seconds
                 FROM reconcile_run WHERE routine ORDER BY id DESC LIMIT 1""",
        )
    return None if found is None else LastRun(**found._mapping)


async def daemon_done_at(db: Database) -> datetime:
    """When the daemon last compared everything by itself; before the first time, when the books began."""
    async with db.transaction() as conn:
        found: datetime = await scalar(
            conn,
            """SELECT coalesce((SELECT at FROM reconcile_run WHERE actor = :daemon AND complete
                                 ORDER BY id DESC LIMIT 1),
                               (SELECT created_at FROM installation))""",
            daemon=DAEMON,
        )
        return found


@dataclass(frozen=True, slots=True)
class RunLine:
    """A comparison in the list. `routine`: it counts for the metrics."""

    run_id: int
    began_at: datetime
    at: datetime
    actor: str
    since: datetime | None
    routine: bool
    complete: bool
    agrees: bool
    counts: Mapping[str, int]  # kind of difference → how many


@dataclass(frozen=True, slots=True)
class Run:
    """A comparison with all that it found, in detail at most so many of each kind."""

    line: RunLine
    compared: Mapping[str, int]
    not_compared: Mapping[str, str]  # part → why
    differences: tuple[Difference, ...]
    notes: tuple[Note, ...]


_LINE = "SELECT id AS run_id, began_at, at, actor, since, routine, complete, agrees, counts FROM reconcile_run"


async def list_all(db: Database, *, limit: int = 50, after: int | None = None) -> list[RunLine]:
    """The newest comparisons first, from after the run `after` on. Raises `NotFoundError` for one that is none."""
    conditions = Conditions()
    conditions.given("id < :after", after=after)
    async with db.transaction() as conn:
        if after is not None:
            await anchor(conn, "comparison", "SELECT id FROM reconcile_run WHERE id = :after", after)
        query = f"{_LINE} {conditions.where} ORDER BY id DESC LIMIT :limit"
        return [RunLine(**r._mapping) for r in await rows(conn, query, limit=limit, **conditions.values)]


async def show(db: Database, run_id: int) -> Run:
    """One comparison, whole. Raises `NotFoundError`."""
    async with db.transaction() as conn:
        line = await one(conn, f"{_LINE} WHERE id = :id", id=run_id)
        if line is None:
            raise NotFoundError(f"there is no comparison {run_id}")
        found = await one(
            conn,
            "SELECT compared, not_compared, differences, notes FROM reconcile_run WHERE id = :id",
            id=run_id,
        )
    return Run(
        line=RunLine(**line._mapping),
        compared=found.compared,
        not_compared=found.not_compared,
        differences=tuple(Difference(**{**d, "kind": Kind(d["kind"])}) for d in found.differences),
        notes=tuple(Note(NoteKind(n["kind"]), n["count"], tuple(n["examples"])) for n in found.notes),
    )
