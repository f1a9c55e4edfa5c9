"""Reconciliations: what came of each comparison of the books with LNbits and Lamassu, and the indexes it reads by.

Revision ID: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RUNS = """
CREATE TABLE reconcile_run (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at     timestamptz NOT NULL,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when it had ended
    actor        text NOT NULL,
    since        timestamptz,       -- nothing before it was compared; null: everything was
    routine      boolean NOT NULL,  -- false: a person looked at a part of the time only; metrics pass it over
    complete     boolean NOT NULL,  -- every part could be compared
    agrees       boolean NOT NULL,
    compared     jsonb NOT NULL,    -- numbers by name
    not_compared jsonb NOT NULL,    -- part → reason
    counts       jsonb NOT NULL,    -- kind of difference → how many
    differences  jsonb NOT NULL,    -- in detail, at most so many of each kind
    notes        jsonb NOT NULL,
    CHECK (NOT agrees OR (complete AND counts = '{}'))
);
CREATE TRIGGER reconcile_run_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON reconcile_run
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Settled payouts are read page by page: all of them, and those to one destination.
CREATE INDEX payout_settled ON payout (settled_at, id) WHERE state = 'settled';
CREATE INDEX payout_of_destination ON payout (destination_id, settled_at, id);
"""


def upgrade() -> None:
    op.execute(RUNS)


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
