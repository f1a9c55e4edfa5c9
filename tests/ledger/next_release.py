"""A release after this one, as far as migrations tell: the program's own, and another one or two."""

from __future__ import annotations

import shutil
from pathlib import Path

from dca_daemon.ledger import migrate

ADDS = """
CREATE TABLE of_next_release (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note text NOT NULL);
ALTER TABLE payout ADD note_of_next_release text;
ALTER TABLE cash_out ADD seen_by_next_release boolean NOT NULL DEFAULT false;
CREATE INDEX of_next_release_note ON payout (note_of_next_release) WHERE note_of_next_release IS NOT NULL;
"""
TAKES = "ALTER TABLE client RENAME COLUMN status TO standing;"
REASON = "a client's status has another name"
_TEMPLATE = """
from alembic import op

revision = "{revision}"
down_revision = "{before}"
{breaks}

def upgrade() -> None:
    op.execute('''{sql}''')
"""


def folder_with(folder: Path, sql: str, *, breaks: str | None = None) -> Path:
    """This release's migrations, and one more that does `sql`."""
    source = migrate._folder()
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    before = sorted(path.name.partition("_")[0] for path in (source / "versions").glob("[0-9]*_*.py"))[-1]
    revision = f"{int(before) + 1:04}"
    text = _TEMPLATE.format(
        revision=revision, before=before, sql=sql, breaks=f"BREAKS = {breaks!r}\n" if breaks else ""
    )
    (folder / "versions" / f"{revision}_next.py").write_text(text)
    return folder
