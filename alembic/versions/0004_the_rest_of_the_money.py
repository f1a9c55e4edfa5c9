"""Commission shares, Fixed Mode, cash-outs entered by hand, pools and filters, corrections, imports.

Revision ID: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

RECEIVERS = """
-- A wallet that only receives commission is paid like a client, so it is one, with a mode of its own: no cut-out
-- of it in payouts, credits, recovery and comparison. It can have no deposits, and stays what it is.
ALTER TABLE client DROP CONSTRAINT client_mode_check;
ALTER TABLE client ADD CONSTRAINT client_mode_check CHECK (mode IN ('flow', 'fixed', 'commission'));

CREATE FUNCTION protect_receiver() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'client %: a commission receiver stays one, and a client never becomes one', OLD.id
        USING ERRCODE = 'restrict_violation', CONSTRAINT = 'client_receiver';
END $$;
CREATE TRIGGER client_receiver BEFORE UPDATE OF mode ON client FOR EACH ROW
    WHEN ((OLD.mode = 'commission') <> (NEW.mode = 'commission')) EXECUTE FUNCTION protect_receiver();

CREATE FUNCTION refuse_receivers_deposit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM client WHERE id = NEW.client_id AND mode = 'commission') THEN
        RAISE EXCEPTION 'client % only receives commission: it can have no deposit', NEW.client_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'deposit_receiver';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER deposit_receiver BEFORE INSERT ON deposit FOR EACH ROW EXECUTE FUNCTION refuse_receivers_deposit();
"""

COMMISSION = """
-- Each change of the shares is a new version; the newest one is in force.
CREATE TABLE commission_version (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- When what was shared is paid: with each cash-out, at times of the day, or from an amount per receiver on.
    pay           text NOT NULL CHECK (pay IN ('at-once', 'at-times', 'from-amount')),
    pay_times     text[] NOT NULL DEFAULT '{}',  -- local times like 18:30
    zone          text,
    pay_from_sats bigint CHECK (pay_from_sats > 0),
    reason        text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor         text NOT NULL,
    CHECK ((pay = 'at-times') = (pay_times <> '{}')),
    CHECK ((pay = 'at-times') = (zone IS NOT NULL)),
    CHECK ((pay = 'from-amount') = (pay_from_sats IS NOT NULL))
);
CREATE TABLE commission_share (
    version_id   bigint NOT NULL REFERENCES commission_version,
    client_id    bigint NOT NULL REFERENCES client,
    basis_points integer NOT NULL CHECK (basis_points BETWEEN 1 AND 10000),
    active       boolean NOT NULL DEFAULT true,
    PRIMARY KEY (version_id, client_id)
);
CREATE FUNCTION check_commission_shares() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM commission_share s
                WHERE s.version_id IN (SELECT version_id FROM inserted) AND s.active
                GROUP BY s.version_id HAVING sum(s.basis_points) > 10000) THEN
        RAISE EXCEPTION 'the commission shares come to more than 100 %%'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'commission_share_sum';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER commission_share_sum AFTER INSERT ON commission_share
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION check_commission_shares();

-- A set time at which gathered commission became payable: once.
CREATE TABLE commission_release (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    due_at   timestamptz UNIQUE,  -- null: by hand, or because an amount was reached
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    records  integer NOT NULL,
    sats     bigint NOT NULL,
    actor    text NOT NULL
);
"""

FIXED = """
-- When Fixed Mode clients of a pool buy. The newest row of a pool is in force.
CREATE TABLE fixed_schedule (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool_id           integer NOT NULL REFERENCES pool,
    active            boolean NOT NULL DEFAULT true,
    zone              text NOT NULL,
    times             text[] NOT NULL CHECK (times <> '{}'),  -- local times like 08:00, ascending
    missed            text NOT NULL CHECK (missed IN ('catch-up', 'skip')),
    default_max_minor bigint NOT NULL CHECK (default_max_minor >= 0),  -- a day's most, for who has no own limit
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor             text NOT NULL
);
CREATE INDEX fixed_schedule_of ON fixed_schedule (pool_id, id DESC);

-- What a client buys a day, and the most that the operator lets it. The newest row is in force.
CREATE TABLE fixed_amount (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id   bigint NOT NULL REFERENCES client,
    pool_id     integer NOT NULL REFERENCES pool,
    daily_minor bigint NOT NULL CHECK (daily_minor >= 0),
    max_minor   bigint CHECK (max_minor >= 0),  -- null: the schedule's
    created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL
);
CREATE INDEX fixed_amount_of ON fixed_amount (client_id, pool_id, id DESC);

-- A time of the schedule that has been dealt with, in the transaction that did it: it can't be again.
CREATE TABLE fixed_run (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    pool_id     integer NOT NULL REFERENCES pool,
    schedule_id bigint NOT NULL REFERENCES fixed_schedule,
    local_date  date NOT NULL,
    local_time  text NOT NULL CHECK (local_time ~ '^([01][0-9]|2[0-3]):[0-5][0-9]$'),
    due_at      timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('done', 'nothing', 'skipped')),
    reason      text,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor       text NOT NULL,
    CHECK (state <> 'skipped' OR reason IS NOT NULL),
    UNIQUE (pool_id, local_date, local_time)
);
"""

DISTRIBUTIONS = """
ALTER TABLE distribution DROP CONSTRAINT distribution_kind_check;
ALTER TABLE distribution ADD CONSTRAINT distribution_kind_check
    CHECK (kind IN ('cash-out', 'fixed', 'adjustment'));
ALTER TABLE distribution
    -- Of the commission, what receivers got; the rest is the house's.
    ADD commission_shared_sats bigint NOT NULL DEFAULT 0,
    ADD commission_version_id bigint REFERENCES commission_version,
    ADD fixed_run_id bigint REFERENCES fixed_run,
    ADD rate_fiat numeric CHECK (rate_fiat > 0),  -- fiat per bitcoin, where the sats were bought at a rate
    ADD rate_source text,
    ADD rate_at timestamptz,
    ADD reason text,
    ADD reversed_at timestamptz,
    ADD reversal_entry_id bigint UNIQUE REFERENCES journal_entry,
    ADD CONSTRAINT distribution_commission CHECK (
        commission_shared_sats BETWEEN 0 AND greatest(commission_sats, 0)
        AND (commission_shared_sats = 0 OR commission_version_id IS NOT NULL)),
    ADD CONSTRAINT distribution_fixed CHECK (
        (kind = 'fixed') = (fixed_run_id IS NOT NULL)
        AND (kind = 'fixed') = (rate_fiat IS NOT NULL AND rate_source IS NOT NULL AND rate_at IS NOT NULL)),
    ADD CONSTRAINT distribution_adjustment CHECK (kind <> 'adjustment' OR reason IS NOT NULL),
    ADD CONSTRAINT distribution_reversed CHECK ((reversed_at IS NULL) = (reversal_entry_id IS NULL));

-- A cash-out, and a fixed run, is distributed once; one that was taken back may be decided anew.
ALTER TABLE distribution DROP CONSTRAINT distribution_cash_out_id_key;
CREATE UNIQUE INDEX distribution_cash_out_once ON distribution (cash_out_id) WHERE reversed_at IS NULL;
CREATE UNIQUE INDEX distribution_fixed_run_once ON distribution (fixed_run_id) WHERE reversed_at IS NULL;
CREATE INDEX distribution_cash_out ON distribution (cash_out_id);
CREATE INDEX distribution_happened ON distribution (happened_at);

ALTER TABLE distribution_record DROP CONSTRAINT distribution_record_state_check;
ALTER TABLE distribution_record ADD CONSTRAINT distribution_record_state_check
    -- Gathered commission is not payable yet; a reversed record is no longer owed.
    CHECK (state IN ('gathered', 'owed', 'in-payout', 'settled', 'nothing', 'reversed'));
ALTER TABLE distribution_record DROP CONSTRAINT distribution_record_check;
ALTER TABLE distribution_record ADD CONSTRAINT distribution_record_nothing
    CHECK (state = 'reversed' OR (sats = 0) = (state = 'nothing'));
ALTER TABLE distribution_record ADD CONSTRAINT distribution_record_commission
    CHECK (type <> 'commission' OR fiat_minor = 0);
-- Reports by period read the commission of their distributions, and not the shares of a thousand clients.
CREATE INDEX distribution_record_commission_of ON distribution_record (distribution_id, client_id)
    INCLUDE (sats) WHERE type = 'commission';
CREATE INDEX distribution_record_gathered ON distribution_record (client_id, id) WHERE state = 'gathered';

-- Every sat is somewhere: shares and uncovered make the principal, commission records the shared commission.
CREATE OR REPLACE FUNCTION check_distribution(which bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT d.id, d.principal_sats, d.uncovered_sats, d.charge_minor, d.uncovered_minor, d.client_count,
           d.commission_shared_sats AS shared,
           coalesce(sum(r.sats) FILTER (WHERE r.type <> 'commission'), 0) AS sats,
           coalesce(sum(r.sats) FILTER (WHERE r.type = 'commission'), 0) AS commission,
           coalesce(sum(r.fiat_minor), 0) AS minor, count(r.id) FILTER (WHERE r.type <> 'commission') AS clients
      INTO bad
      FROM distribution d LEFT JOIN distribution_record r ON r.distribution_id = d.id
     WHERE d.id = which GROUP BY d.id;
    IF bad.sats + bad.uncovered_sats <> bad.principal_sats OR bad.commission <> bad.shared
       OR bad.minor + bad.uncovered_minor <> bad.charge_minor OR bad.clients <> bad.client_count THEN
        RAISE EXCEPTION
            'distribution %: records do not add up (% + % of % sats, % of % commission, % + % of % fiat, % of %)',
            which, bad.sats, bad.uncovered_sats, bad.principal_sats, bad.commission, bad.shared,
            bad.minor, bad.uncovered_minor, bad.charge_minor, bad.clients, bad.client_count
            USING ERRCODE = 'check_violation', CONSTRAINT = 'distribution_sum';
    END IF;
END $$;

CREATE OR REPLACE FUNCTION protect_record() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE'
       AND (NEW.id, NEW.distribution_id, NEW.client_id, NEW.type, NEW.sats, NEW.fiat_minor)
         = (OLD.id, OLD.distribution_id, OLD.client_id, OLD.type, OLD.sats, OLD.fiat_minor)
       AND ((OLD.state, NEW.state) IN
                (('gathered', 'owed'), ('owed', 'in-payout'), ('in-payout', 'owed'), ('in-payout', 'settled'))
            OR NEW.state = 'reversed' AND OLD.state IN ('gathered', 'owed', 'nothing') AND EXISTS (
                SELECT FROM distribution WHERE id = OLD.distribution_id AND reversed_at IS NOT NULL)) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'distribution record %: % from % to % refused', OLD.id, TG_OP, OLD.state,
        CASE WHEN TG_OP = 'UPDATE' THEN NEW.state ELSE 'nothing' END
        USING ERRCODE = 'restrict_violation';
END $$;

-- What is booked stays; it can be taken back once, as long as nothing of it was paid, and then wholly.
DROP TRIGGER distribution_append_only ON distribution;
CREATE TRIGGER distribution_append_only BEFORE DELETE OR TRUNCATE ON distribution
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE FUNCTION protect_distribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.reversed_at IS NULL AND NEW.reversed_at IS NOT NULL
       AND to_jsonb(NEW) - '{reversed_at,reversal_entry_id}'::text[]
         = to_jsonb(OLD) - '{reversed_at,reversal_entry_id}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'distribution %: % refused', OLD.id, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER distribution_protect BEFORE UPDATE ON distribution
    FOR EACH ROW EXECUTE FUNCTION protect_distribution();
CREATE FUNCTION check_reversed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM distribution_record WHERE distribution_id = NEW.id AND state <> 'reversed') THEN
        RAISE EXCEPTION 'distribution %: what was paid, or is about to be, can''t be reversed', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'distribution_reversed_wholly';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER distribution_reversed_wholly AFTER UPDATE ON distribution
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_reversed();
"""

CASH_OUTS = """
ALTER TABLE cash_out DROP CONSTRAINT cash_out_state_check;
ALTER TABLE cash_out ADD CONSTRAINT cash_out_state_check CHECK (state IN
    ('failed', 'ignored', 'review', 'before-baseline', 'due', 'distributed', 'settled-by-hand'));
ALTER TABLE cash_out
    -- A cash-out that was entered by hand may take the place of one of Lamassu's, which then is never distributed.
    ADD settles_id bigint UNIQUE REFERENCES cash_out,
    ADD entered_by text,
    ADD entry_reason text,
    ADD CONSTRAINT cash_out_entered CHECK (
        (source = 'manual') = (entered_by IS NOT NULL AND entry_reason IS NOT NULL)
        AND (settles_id IS NULL OR source = 'manual'));

-- What is distributed keeps its amounts and place; it leaves that state only when its distribution was reversed.
-- What was settled by hand stays so.
CREATE OR REPLACE FUNCTION protect_cash_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE'
       OR OLD.state = 'distributed' AND
          (NEW.source, NEW.external_id, NEW.crypto_atoms, NEW.fiat, NEW.fiat_code, NEW.pool_id)
          IS DISTINCT FROM
          (OLD.source, OLD.external_id, OLD.crypto_atoms, OLD.fiat, OLD.fiat_code, OLD.pool_id)
       OR OLD.state = 'distributed' AND NEW.state <> 'distributed' AND EXISTS (
           SELECT FROM distribution WHERE cash_out_id = OLD.id AND reversed_at IS NULL)
       OR OLD.state = 'settled-by-hand' AND NEW.state <> 'settled-by-hand' THEN
        RAISE EXCEPTION 'cash-out % (% %) is final: % refused', OLD.id, OLD.source, OLD.external_id, TG_OP
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;

-- What settles and what is settled go together, whoever writes them.
CREATE FUNCTION check_settled() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'settled-by-hand' AND NOT EXISTS (SELECT FROM cash_out WHERE settles_id = NEW.id)
       OR NEW.settles_id IS NOT NULL AND NOT EXISTS (
           SELECT FROM cash_out WHERE id = NEW.settles_id AND state = 'settled-by-hand') THEN
        RAISE EXCEPTION 'cash-out %: settled by nothing, or settles what is not settled', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'cash_out_settled';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER cash_out_settled AFTER INSERT OR UPDATE OF state, settles_id ON cash_out
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (NEW.state = 'settled-by-hand' OR NEW.settles_id IS NOT NULL) EXECUTE FUNCTION check_settled();

-- What is left out, and recorded as ignored with the filter's name.
CREATE TABLE intake_filter (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       text NOT NULL CHECK (kind IN ('coin', 'machine', 'pool')),
    value      text NOT NULL,  -- a coin's code, a device id, a pool's id
    reason     text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    created_by text NOT NULL,
    removed_at timestamptz,
    removed_by text,
    CHECK ((removed_at IS NULL) = (removed_by IS NULL))
);
CREATE UNIQUE INDEX intake_filter_once ON intake_filter (kind, value) WHERE removed_at IS NULL;
CREATE FUNCTION protect_filter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL
       AND to_jsonb(NEW) - '{removed_at,removed_by}'::text[]
         = to_jsonb(OLD) - '{removed_at,removed_by}'::text[] THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'filter %: it can be removed, once, and not be changed', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER intake_filter_protect BEFORE UPDATE ON intake_filter
    FOR EACH ROW EXECUTE FUNCTION protect_filter();
CREATE TRIGGER intake_filter_append_only BEFORE DELETE OR TRUNCATE ON intake_filter
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- A new machine that waits for a decision: its cash-outs wait for review.
ALTER TABLE machine ADD awaiting_pool boolean NOT NULL DEFAULT false;
CREATE INDEX cash_out_machine ON cash_out (device_id, id);
"""

CORRECTIONS = """
-- Which machine a deposit's notes were put in, where that was told.
ALTER TABLE deposit ADD device_id text REFERENCES machine;
CREATE FUNCTION protect_deposits_machine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'pending' AND NEW.state = 'confirmed' THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'deposit %: its machine is told when it is confirmed, and is final', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER deposit_machine BEFORE UPDATE ON deposit FOR EACH ROW
    WHEN (NEW.device_id IS DISTINCT FROM OLD.device_id) EXECUTE FUNCTION protect_deposits_machine();

-- Notes that came into a pool's machines or left them, other than by deposits and cash-outs.
CREATE TABLE cash_movement (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL CHECK (kind IN ('refill', 'removal', 'give-back')),
    pool_id      integer NOT NULL REFERENCES pool,
    device_id    text REFERENCES machine,
    client_id    bigint REFERENCES client,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    reason       text NOT NULL,
    entry_id     bigint NOT NULL UNIQUE REFERENCES journal_entry,
    at           timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor        text NOT NULL,
    CHECK ((kind = 'give-back') = (client_id IS NOT NULL))
);
CREATE INDEX cash_movement_of_pool ON cash_movement (pool_id, id);
CREATE INDEX cash_movement_of_client ON cash_movement (client_id, id) WHERE client_id IS NOT NULL;

-- A client's balance, or what it is owed, corrected by hand.
CREATE TABLE adjustment (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id       bigint NOT NULL REFERENCES client,
    pool_id         integer REFERENCES pool,
    amount_minor    bigint CHECK (amount_minor <> 0),  -- of its fiat balance; > 0: it has more
    amount_sats     bigint CHECK (amount_sats <> 0),   -- > 0: it is owed more; < 0: it was paid too much
    reason          text NOT NULL,
    corrects        text,  -- what it follows, such as a distribution that has been paid
    entry_id        bigint NOT NULL UNIQUE REFERENCES journal_entry,
    distribution_id bigint REFERENCES distribution,
    at              timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor           text NOT NULL,
    CHECK ((amount_minor IS NULL) <> (amount_sats IS NULL)),
    CHECK ((amount_minor IS NULL) = (pool_id IS NULL)),
    CHECK ((coalesce(amount_sats, 0) > 0) = (distribution_id IS NOT NULL))
);
CREATE INDEX adjustment_of_client ON adjustment (client_id, id);

-- Sats that the operator moved from the ATM's own wallet into the source wallet (< 0: back).
CREATE TABLE treasury_move (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sats     bigint NOT NULL CHECK (sats <> 0),
    fee_sats bigint NOT NULL DEFAULT 0 CHECK (fee_sats >= 0),
    reason   text NOT NULL,
    entry_id bigint NOT NULL UNIQUE REFERENCES journal_entry,
    at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor    text NOT NULL
);
"""

IMPORTS = """
-- Clients that came from another program, each with what it had there. The same one can't be imported twice.
CREATE TABLE import_run (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source  text NOT NULL,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor   text NOT NULL,
    summary jsonb NOT NULL
);
CREATE TABLE client_opening (
    client_id       bigint PRIMARY KEY REFERENCES client,
    import_id       bigint NOT NULL REFERENCES import_run,
    source          text NOT NULL,
    external_id     text NOT NULL,
    pool_id         integer NOT NULL REFERENCES pool,
    deposited_minor bigint NOT NULL CHECK (deposited_minor >= 0),
    converted_minor bigint NOT NULL CHECK (converted_minor >= 0),
    left_minor      bigint NOT NULL CHECK (left_minor >= 0),
    received_sats   bigint NOT NULL CHECK (received_sats >= 0),
    deposit_id      bigint UNIQUE REFERENCES deposit,
    CHECK (deposited_minor - converted_minor = left_minor),
    UNIQUE (source, external_id)
);
"""

APPEND_ONLY = (
    "commission_version",
    "commission_share",
    "commission_release",
    "fixed_schedule",
    "fixed_amount",
    "fixed_run",
    "cash_movement",
    "adjustment",
    "treasury_move",
    "import_run",
    "client_opening",
)


def upgrade() -> None:
    for part in (RECEIVERS, COMMISSION, FIXED, DISTRIBUTIONS, CASH_OUTS, CORRECTIONS, IMPORTS):
        op.execute(part)
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
