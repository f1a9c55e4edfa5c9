"""What is kept of the backups: property by property, and on a disk."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from dca_daemon.services.backups import folder, manifest
from dca_daemon.services.backups.manifest import Contents, Manifest
from dca_daemon.services.backups.rotation import Keep, superfluous

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
OURS, THEIRS = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"

moments = st.lists(
    st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: NOW - timedelta(minutes=minutes)),
    unique=True,
    max_size=60,
)
rules = st.builds(Keep, st.integers(1, 10), st.integers(0, 6), st.integers(0, 14))


def named(made_at: list[datetime]) -> dict[str, datetime]:
    return {manifest.name_of(at): at for at in made_at}


@given(moments, rules)
def test_the_rules_hold_whatever_there_is(made_at: list[datetime], keep: Keep) -> None:
    there = named(made_at)
    gone = superfluous(there, keep, NOW)
    kept = {name: at for name, at in there.items() if name not in gone}
    assert len(set(gone)) == len(gone) and set(gone) <= set(there)
    if there:
        assert max(there.values()) in kept.values()
    assert all(NOW - there[name] >= timedelta(days=1) for name in gone)
    young = sum(NOW - at < timedelta(days=1) for at in there.values())
    assert len(kept) <= young + max(1, keep.daily + keep.weekly + keep.monthly)
    for count, slot in ((keep.daily, "%Y-%m-%d"), (keep.weekly, "%G-%V"), (keep.monthly, "%Y-%m")):
        slots = sorted({at.strftime(slot) for at in there.values()}, reverse=True)[:count]
        for one in slots:
            newest = max(at for at in there.values() if at.strftime(slot) == one)
            assert newest in kept.values()
    assert superfluous(kept, keep, NOW) == []


@settings(max_examples=30)
@given(moments, rules)
def test_running_every_day_keeps_what_running_once_would(made_at: list[datetime], keep: Keep) -> None:
    """Sorting out after each backup never loses what the rules keep at the end."""
    at_once = set(named(made_at)) - set(superfluous(named(made_at), keep, NOW))
    there: dict[str, datetime] = {}
    for at in sorted(made_at):
        there |= named([at])
        for name in superfluous(there, keep, at):
            del there[name]
    for name in superfluous(there, keep, NOW):
        del there[name]
    assert set(there) == at_once


def store(place: Path, at: datetime, *, installation: str = OURS, size: int = 3) -> str:
    stem = manifest.name_of(at)
    archive = place / f"{stem}.dump.age"
    archive.write_bytes(b"abc")
    made = Manifest(
        program_version="1", made_at=at, cause="backup", archive=archive.name, encryption="age", recipients=(),
        size_bytes=size, sha256="0" * 64, server_version="18.1", server_major=18, pg_dump_major=18, book="1/1/1",
        contents=Contents(revision="0001", installation_id=installation, counts={}, balances={}),
    )  # fmt: skip
    (place / f"{stem}.json").write_text(made.to_text())
    return stem


def test_only_whole_backups_of_these_books_are_counted_and_deleted(tmp_path: Path) -> None:
    days = [NOW - timedelta(days=n) for n in range(2, 6)]
    mine = [store(tmp_path, at) for at in days]
    others = store(tmp_path, NOW - timedelta(days=900), installation=THEIRS)
    broken = store(tmp_path, NOW - timedelta(days=800), size=4)
    (tmp_path / "dca-20200101T000000Z.dump").write_bytes(b"without a manifest")
    (tmp_path / "photos.json").write_text("{}")
    gone = folder.sort_out(tmp_path, Keep(2, 0, 0), NOW, OURS)
    assert gone == list(reversed(mine[2:]))
    left = {path.name for path in tmp_path.iterdir()}
    both = {f"{stem}{suffix}" for stem in (*mine[:2], others, broken) for suffix in (".json", ".dump.age")}
    assert left == both | {"dca-20200101T000000Z.dump", "photos.json"}
    troubles = {one.name: one.trouble for one in folder.stored(tmp_path)}
    assert troubles[mine[0]] is None
    assert troubles[broken] == f"{broken}.dump.age is damaged: it has 3 bytes of 4"
    assert troubles["dca-20200101T000000Z"] == "it has no manifest"
