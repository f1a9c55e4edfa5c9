"""Which older programs can work with this schema.

Revision ID: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

LIVES_WITH = """
-- The oldest revision whose program may work with these tables, written by each `db upgrade`; see docs/upgrade.md.
ALTER TABLE installation ADD lives_with text;
"""


def upgrade() -> None:
    op.execute(LIVES_WITH)


def downgrade() -> None:
    raise NotImplementedError("an older version works with it as it is: docs/upgrade.md")
