"""What came of each backup, and of each drill of a restore.

Revision ID: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

RUNS = """
CREATE TABLE backup_run (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('backup', 'upgrade', 'drill')),
    began_at   timestamptz NOT NULL,  -- what was booked later is not in it
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when it had ended
    actor      text NOT NULL,
    error      text,  -- null: it was good
    archive    text,  -- the file's name; of a drill of an older backup, that one's
    size_bytes bigint CHECK (size_bytes >= 0),
    revision   text,  -- of the schema that is in it
    CHECK (error IS NOT NULL OR (archive IS NOT NULL AND size_bytes IS NOT NULL AND revision IS NOT NULL))
);
CREATE TRIGGER backup_run_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON backup_run
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(RUNS)


def downgrade() -> None:
    raise NotImplementedError("an older version works with the backup that was made before the upgrade")
