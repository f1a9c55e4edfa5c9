"""What somebody was told of by the daemon's own notifications, so that a new process does not tell it again.

Revision ID: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

ALERTS = """
CREATE TABLE alert (
    event    text NOT NULL,
    subject  text NOT NULL,
    since    timestamptz NOT NULL,
    told_at  timestamptz,  -- null: nobody knows of it (any more)
    calm_at  timestamptz,  -- null: it lasts
    relapses integer NOT NULL DEFAULT 0,
    PRIMARY KEY (event, subject)
);
"""


def upgrade() -> None:
    op.execute(ALERTS)


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
