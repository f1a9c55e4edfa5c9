"""Recovery from an old backup: payments that the books had forgotten are adopted, and count as credits.

Revision ID: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COLUMNS = """
-- Which copy of the books was last paid from: a restored dump and a promoted standby are others.
ALTER TABLE installation ADD paid_from text;

-- An adopted payout is a payment that LNbits proves and the books had forgotten. It pays no records: it becomes
-- the client's credit, which later payouts use up.
ALTER TABLE payout ADD adopted_at timestamptz;
ALTER TABLE payout ADD credit_sats bigint NOT NULL DEFAULT 0 CHECK (credit_sats >= 0);

ALTER TABLE payout DROP CONSTRAINT payout_amount_sats_check;
ALTER TABLE payout ADD CONSTRAINT payout_amount_sats_check CHECK (amount_sats > 0 OR
    -- Wholly covered by credit: nothing is paid, so there is never an invoice.
    amount_sats = 0 AND credit_sats > 0 AND payment_hash IS NULL
    AND state IN ('reserved', 'held', 'settled', 'void'));
ALTER TABLE payout DROP CONSTRAINT payout_check2;
ALTER TABLE payout ADD CONSTRAINT payout_invoice CHECK (
    state NOT IN ('invoiced', 'submitted', 'unknown', 'settled') OR amount_sats = 0
    OR adopted_at IS NOT NULL  -- never submitted by us: it needs its hash only, see below
    OR (bolt11 IS NOT NULL AND payment_hash IS NOT NULL
        AND invoice_expires_at IS NOT NULL AND submit_until IS NOT NULL));
ALTER TABLE payout ADD CONSTRAINT payout_adopted CHECK (adopted_at IS NULL OR
    credit_sats = 0 AND payment_hash IS NOT NULL
    AND state IN ('unknown', 'held', 'settled', 'failed', 'void'));

DROP INDEX payout_one_open;
CREATE UNIQUE INDEX payout_one_open ON payout (client_id)
    WHERE state IN ('reserved', 'invoiced', 'submitted', 'unknown') AND adopted_at IS NULL;
CREATE INDEX payout_adopted_of ON payout (client_id) WHERE adopted_at IS NOT NULL;
CREATE INDEX account_credit ON account (client_id) WHERE purpose = 'client-credit';

INSERT INTO payout_move VALUES ('reserved', 'settled');
"""

FUNCTIONS = """
CREATE OR REPLACE FUNCTION protect_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'payout %: delete refused', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.id, NEW.client_id, NEW.destination_id, NEW.amount_sats, NEW.credit_sats)
       <> (OLD.id, OLD.client_id, OLD.destination_id, OLD.amount_sats, OLD.credit_sats)
       OR NEW.adopted_at IS DISTINCT FROM OLD.adopted_at
       OR (OLD.payment_hash IS NOT NULL AND NEW.payment_hash IS DISTINCT FROM OLD.payment_hash)
       OR (OLD.bolt11 IS NOT NULL AND NEW.bolt11 IS DISTINCT FROM OLD.bolt11)
       OR (OLD.state = 'settled' AND (NEW.fee_msat, NEW.settled_at) <> (OLD.fee_msat, OLD.settled_at)) THEN
        RAISE EXCEPTION 'payout %: its amount, receiver and invoice are final', OLD.id
            USING ERRCODE = 'restrict_violation';
    END IF;
    -- Only what is wholly covered by credit is settled without ever being paid.
    IF NEW.state <> OLD.state
       AND (NOT EXISTS (SELECT FROM payout_move WHERE from_state = OLD.state AND to_state = NEW.state)
            OR (OLD.state, NEW.state) = ('reserved', 'settled') AND NEW.amount_sats > 0) THEN
        RAISE EXCEPTION 'payout %: from % to % is no move', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'payout_move';
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION check_payout(which uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT CASE WHEN p.adopted_at IS NULL THEN p.amount_sats + p.credit_sats ELSE 0 END AS wanted,
           coalesce(sum(r.sats), 0) AS sats, bool_or(r.client_id <> p.client_id) AS strange
      INTO bad
      FROM payout p LEFT JOIN payout_record pr ON pr.payout_id = p.id
      LEFT JOIN distribution_record r ON r.id = pr.record_id
     WHERE p.id = which GROUP BY p.id;
    IF bad.sats <> bad.wanted OR bad.strange THEN
        RAISE EXCEPTION 'payout %: its records do not add up to % sats', which, bad.wanted
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payout_sum';
    END IF;
END $$;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
    op.execute(FUNCTIONS)


def downgrade() -> None:
    raise NotImplementedError("credits can't be told without these columns: restore the dump made before instead")
