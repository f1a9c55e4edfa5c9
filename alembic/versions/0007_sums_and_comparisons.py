"""What each client bought and got is kept: no page sums up a history. Comparisons are in the feed of events.

Revision ID: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

EXCEPTIONS = {
    "trigger distribution_record_total on distribution_record is new": "refuses nothing, writes client_total",
    "trigger distribution_reversed_total on distribution is new": "refuses nothing, writes client_total",
    "trigger reconcile_run_event on reconcile_run is new": "refuses nothing, writes event",
}
CLIENT_TOTAL = """
-- Of records that were not reversed. Only the triggers below write it; `ledger verify` compares it with them.
CREATE TABLE client_total (
    client_id       bigint NOT NULL REFERENCES client,
    pool_id         bigint NOT NULL REFERENCES pool,
    purchases       bigint NOT NULL,  -- records of cash-outs and fixed runs
    bought_sats     bigint NOT NULL,
    converted_minor bigint NOT NULL,
    adjusted_sats   bigint NOT NULL,  -- added by corrections
    commission_sats bigint NOT NULL,
    PRIMARY KEY (client_id, pool_id)
) WITH (fillfactor = 50);
-- A daemon that is at work must not book between the sums and the triggers.
LOCK TABLE distribution, distribution_record IN SHARE ROW EXCLUSIVE MODE;
INSERT INTO client_total
SELECT r.client_id, d.pool_id,
       count(*) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment'),
       coalesce(sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment'), 0),
       coalesce(sum(r.fiat_minor) FILTER (WHERE r.type <> 'commission'), 0),
       coalesce(sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind = 'adjustment'), 0),
       coalesce(sum(r.sats) FILTER (WHERE r.type = 'commission'), 0)
  FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
 WHERE r.state <> 'reversed' GROUP BY r.client_id, d.pool_id;

-- LATERAL with OFFSET 0, and no sequential scans: as in apply_postings.
CREATE FUNCTION add_to_client_totals() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    INSERT INTO client_total AS t
    SELECT i.client_id, d.pool_id,
           count(*) FILTER (WHERE i.type <> 'commission' AND d.kind <> 'adjustment'),
           coalesce(sum(i.sats) FILTER (WHERE i.type <> 'commission' AND d.kind <> 'adjustment'), 0),
           coalesce(sum(i.fiat_minor) FILTER (WHERE i.type <> 'commission'), 0),
           coalesce(sum(i.sats) FILTER (WHERE i.type <> 'commission' AND d.kind = 'adjustment'), 0),
           coalesce(sum(i.sats) FILTER (WHERE i.type = 'commission'), 0)
      FROM inserted i
     CROSS JOIN LATERAL (SELECT x.pool_id, x.kind FROM distribution x WHERE x.id = i.distribution_id OFFSET 0) d
     GROUP BY i.client_id, d.pool_id ORDER BY i.client_id, d.pool_id
        ON CONFLICT (client_id, pool_id) DO UPDATE SET
           purchases = t.purchases + excluded.purchases,
           bought_sats = t.bought_sats + excluded.bought_sats,
           converted_minor = t.converted_minor + excluded.converted_minor,
           adjusted_sats = t.adjusted_sats + excluded.adjusted_sats,
           commission_sats = t.commission_sats + excluded.commission_sats;
    RETURN NULL;
END $$;
CREATE TRIGGER distribution_record_total AFTER INSERT ON distribution_record
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION add_to_client_totals();

-- A distribution is reversed wholly: see distribution_reversed_wholly.
CREATE FUNCTION take_off_client_totals() RETURNS trigger LANGUAGE plpgsql SET enable_seqscan = off AS $$
BEGIN
    UPDATE client_total t SET
           purchases = t.purchases - r.purchases,
           bought_sats = t.bought_sats - r.bought_sats,
           converted_minor = t.converted_minor - r.converted_minor,
           adjusted_sats = t.adjusted_sats - r.adjusted_sats,
           commission_sats = t.commission_sats - r.commission_sats
      FROM (SELECT client_id,
                   count(*) FILTER (WHERE type <> 'commission' AND NEW.kind <> 'adjustment') AS purchases,
                   coalesce(sum(sats) FILTER (WHERE type <> 'commission' AND NEW.kind <> 'adjustment'), 0)
                       AS bought_sats,
                   coalesce(sum(fiat_minor) FILTER (WHERE type <> 'commission'), 0) AS converted_minor,
                   coalesce(sum(sats) FILTER (WHERE type <> 'commission' AND NEW.kind = 'adjustment'), 0)
                       AS adjusted_sats,
                   coalesce(sum(sats) FILTER (WHERE type = 'commission'), 0) AS commission_sats
              FROM distribution_record WHERE distribution_id = NEW.id GROUP BY client_id) r
     WHERE t.client_id = r.client_id AND t.pool_id = NEW.pool_id;
    RETURN NULL;
END $$;
CREATE TRIGGER distribution_reversed_total AFTER UPDATE ON distribution FOR EACH ROW
    WHEN (OLD.reversed_at IS NULL AND NEW.reversed_at IS NOT NULL) EXECUTE FUNCTION take_off_client_totals();

CREATE FUNCTION protect_client_total() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'client_total: only distributions change it' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER client_total_protect BEFORE INSERT OR UPDATE ON client_total FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION protect_client_total();
CREATE TRIGGER client_total_never_deleted BEFORE DELETE OR TRUNCATE ON client_total
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""

COMPARISONS = """
CREATE FUNCTION tell_reconciliation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT at, 'reconcile.' || CASE WHEN agrees THEN 'agrees' WHEN counts <> '{}' THEN 'differs'
                                    ELSE 'incomplete' END,
           'reconcile-run:' || id, jsonb_strip_nulls(jsonb_build_object(
               'actor', actor, 'since', since, 'counts', counts, 'not_compared', not_compared))
      FROM inserted ORDER BY id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER reconcile_run_event AFTER INSERT ON reconcile_run
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_reconciliation();
"""


def upgrade() -> None:
    op.execute(CLIENT_TOTAL)
    op.execute(COMPARISONS)


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
