"""What pages read of long books, by index.

Revision ID: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LISTS = """
-- The one of 0004 leaves out what was taken back, and the list of runs shows that too. Cash-outs are not in it.
CREATE INDEX distribution_of_fixed_run ON distribution (fixed_run_id, id DESC) WHERE fixed_run_id IS NOT NULL;

-- In place of those with fewer columns: sums without a look at the rows.
DROP INDEX payout_settled;
CREATE INDEX payout_settled ON payout (settled_at, id) INCLUDE (amount_sats, fee_msat) WHERE state = 'settled';
DROP INDEX distribution_record_commission_of;
CREATE INDEX distribution_record_commission_of ON distribution_record (distribution_id, client_id)
    INCLUDE (sats, state) WHERE type = 'commission';
DROP INDEX distribution_record_client;
CREATE INDEX distribution_record_client ON distribution_record (client_id, id)
    INCLUDE (distribution_id, sats, fiat_minor, type, state);
"""


def upgrade() -> None:
    op.execute(LISTS)


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
