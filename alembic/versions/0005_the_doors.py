"""The doors: people who log in, tokens, intents, events for the outside, webhooks, the clients' own access.

Revision ID: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Of every secret that opens a door only a hash is kept: who reads this database, or a backup, can open none.
PEOPLE = """
CREATE TABLE console_user (
    id                    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                  text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,39}$'),
    role                  text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    password_hash         text,  -- argon2; none: only a login link lets this person in
    totp_secret_encrypted bytea,
    totp_last_step        bigint NOT NULL DEFAULT 0,  -- a code is taken once
    created_at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at           timestamptz
);
CREATE UNIQUE INDEX console_user_name ON console_user (name);

CREATE TABLE console_session (
    token_hash   bytea PRIMARY KEY,
    user_id      bigint NOT NULL REFERENCES console_user,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    address      text,
    user_agent   text,
    ended_at     timestamptz
);
CREATE INDEX console_session_of ON console_session (user_id) WHERE ended_at IS NULL;
CREATE INDEX console_session_expires ON console_session (expires_at);

CREATE TABLE login_link (
    token_hash bytea PRIMARY KEY,
    user_id    bigint NOT NULL REFERENCES console_user,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);

CREATE TABLE login_failure (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    name    text NOT NULL,  -- as it was typed, cut off
    address text NOT NULL
);
CREATE INDEX login_failure_name ON login_failure (name, at);
CREATE INDEX login_failure_address ON login_failure (address, at);

CREATE TABLE api_token (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text NOT NULL CHECK (name = btrim(name) AND name <> ''),
    token_hash   bytea NOT NULL UNIQUE,
    hint         text NOT NULL,  -- its first characters, to tell one from another
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    client_id    bigint REFERENCES client,  -- a client's own token sees this client only
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz,
    CHECK ((client_id IS NOT NULL) = (scopes = ARRAY['client']))
);
CREATE UNIQUE INDEX api_token_name ON api_token (lower(name)) WHERE revoked_at IS NULL;
CREATE INDEX api_token_client ON api_token (client_id) WHERE client_id IS NOT NULL;
"""

ONCE = """
-- What a person was shown and may confirm, once. The input is sealed: it may hold a secret.
CREATE TABLE intent (
    token_hash   bytea PRIMARY KEY,
    actor        text NOT NULL,
    action       text NOT NULL,
    input_sealed bytea NOT NULL,
    effect_hash  text NOT NULL,  -- another effect than the one that was shown is not carried out
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at   timestamptz NOT NULL,
    used_at      timestamptz,
    result_path  text,
    CHECK ((used_at IS NULL) = (result_path IS NULL))
);
CREATE INDEX intent_expires ON intent (expires_at);

CREATE TABLE idempotency_key (
    actor        text NOT NULL,
    key          text NOT NULL,
    request_hash text NOT NULL,
    status       integer NOT NULL,
    body_sealed  bytea NOT NULL,  -- a new token's answer holds the token
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (actor, key)
);
CREATE INDEX idempotency_key_created ON idempotency_key (created_at);
"""

CLIENTS = """
-- The personal link of a client; at most one is in force.
CREATE TABLE client_link (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id    bigint NOT NULL REFERENCES client,
    token_hash   bytea NOT NULL UNIQUE,
    created_by   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE UNIQUE INDEX client_link_one ON client_link (client_id) WHERE revoked_at IS NULL;

-- What a client may change by itself; without a row: nothing.
CREATE TABLE client_permission (
    client_id         bigint PRIMARY KEY REFERENCES client,
    may_switch_mode   boolean NOT NULL DEFAULT false,
    may_change_amount boolean NOT NULL DEFAULT false
);
"""

EVENTS = """
-- One feed of all that happened, for pages that refresh themselves, webhooks and the API. The logs it is made
-- of are the truth and are kept for ever; this is for reading along, and may be pruned.
CREATE TABLE event (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL,
    kind    text NOT NULL,
    subject text NOT NULL,
    data    jsonb NOT NULL
);
CREATE INDEX event_at ON event (at);

CREATE FUNCTION tell_cash_out() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT at, 'cash-out.' || event, 'cash-out:' || cash_out_id, detail FROM inserted ORDER BY id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER cash_out_log_event AFTER INSERT ON cash_out_log
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_cash_out();

CREATE FUNCTION tell_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT l.at, 'payout.' || l.event, 'payout:' || l.payout_id,
           l.detail || jsonb_build_object('client_id', p.client_id, 'amount_sats', p.amount_sats, 'state', p.state)
      FROM inserted l JOIN payout p ON p.id = l.payout_id ORDER BY l.id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER payout_log_event AFTER INSERT ON payout_log
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_payout();

-- The action of the audit log is the kind: `deposit.confirm`.
CREATE FUNCTION tell_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT at, action, subject, jsonb_strip_nulls(jsonb_build_object(
               'actor', actor, 'before', before, 'after', after, 'reason', reason))
      FROM inserted ORDER BY id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER audit_log_event AFTER INSERT ON audit_log
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_audit();

-- What the daemon does by itself at set times is in no log: its own rows tell.
CREATE FUNCTION tell_fixed_run() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT at, 'fixed-run.' || state, 'fixed-run:' || id, jsonb_strip_nulls(jsonb_build_object(
               'pool_id', pool_id, 'date', local_date, 'time', local_time, 'due_at', due_at, 'reason', reason))
      FROM inserted ORDER BY id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER fixed_run_event AFTER INSERT ON fixed_run
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_fixed_run();

CREATE FUNCTION tell_commission_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO event (at, kind, subject, data)
    SELECT at, 'commission.released', 'commission-release:' || id, jsonb_strip_nulls(jsonb_build_object(
               'due_at', due_at, 'records', records, 'amount_sats', sats))
      FROM inserted ORDER BY id;
    PERFORM pg_notify('dca_event', '');
    RETURN NULL;
END $$;
CREATE TRIGGER commission_release_event AFTER INSERT ON commission_release
    REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION tell_commission_release();

CREATE TABLE webhook (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name             text NOT NULL CHECK (name = btrim(name) AND name <> ''),
    url              text NOT NULL,
    secret_encrypted bytea NOT NULL,  -- signs what is sent
    kinds            text[] NOT NULL CHECK (cardinality(kinds) > 0),  -- of events, or beginnings of them
    after_event_id   bigint NOT NULL,  -- those until here have their deliveries, or came before it
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    disabled_at      timestamptz,
    disabled_reason  text
);
CREATE UNIQUE INDEX webhook_name ON webhook (lower(name)) WHERE disabled_at IS NULL;

-- What is delivered is copied, so that the feed may be pruned.
CREATE TABLE webhook_delivery (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id      bigint NOT NULL REFERENCES webhook,
    event_id        bigint NOT NULL,
    kind            text NOT NULL,
    body            text NOT NULL,
    state           text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'given-up')),
    attempts        integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_status     integer,
    last_error      text,
    created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at        timestamptz,
    UNIQUE (webhook_id, event_id),
    CHECK ((state = 'pending') = (ended_at IS NULL))
);
CREATE INDEX webhook_delivery_due ON webhook_delivery (webhook_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_delivery_order ON webhook_delivery (webhook_id, event_id) WHERE state = 'pending';
CREATE INDEX webhook_delivery_ended ON webhook_delivery (ended_at);
CREATE INDEX webhook_delivery_of ON webhook_delivery (webhook_id, id DESC);
"""

LISTS = """
-- Lists, page by page: each in its own order, and by what it is filtered by. A page of several states is made of
-- the heads of each state's range.
CREATE INDEX cash_out_by_state ON cash_out (state, happened_at DESC, id DESC);
CREATE INDEX cash_out_by_machine ON cash_out (device_id, state, happened_at DESC, id DESC);
CREATE INDEX cash_out_by_coin ON cash_out (crypto_code, state, happened_at DESC, id DESC);
CREATE INDEX cash_out_by_external_id ON cash_out (lower(external_id) text_pattern_ops);
CREATE INDEX cash_out_left_out ON cash_out (reason, reason_text) WHERE state = 'ignored';
CREATE INDEX cash_out_duplicates ON cash_out (id) INCLUDE (duplicates) WHERE duplicates > 0;

DROP INDEX payout_created;  -- of two payouts of one moment, a page needs to know which one comes first
CREATE INDEX payout_created ON payout (created_at DESC, id DESC);
CREATE INDEX payout_by_state ON payout (state, created_at DESC, id DESC);
CREATE INDEX payout_by_client ON payout (client_id, state, created_at DESC, id DESC);
-- What each client has been paid.
CREATE INDEX payout_paid ON payout (client_id) INCLUDE (amount_sats, credit_sats, adopted_at)
    WHERE state = 'settled';

CREATE INDEX deposit_recorded ON deposit (recorded_at DESC, id DESC);
CREATE INDEX deposit_by_client ON deposit (client_id, recorded_at DESC, id DESC);
CREATE INDEX deposit_by_state ON deposit (state, recorded_at DESC, id DESC);
CREATE INDEX deposit_by_pool ON deposit (pool_id, recorded_at DESC, id DESC);
CREATE INDEX deposit_by_machine ON deposit (device_id, recorded_at DESC, id DESC) WHERE device_id IS NOT NULL;

CREATE INDEX audit_log_at ON audit_log (at DESC, id DESC);
CREATE INDEX audit_log_by_actor ON audit_log (actor, at DESC, id DESC);
CREATE INDEX audit_log_by_action ON audit_log (action, at DESC, id DESC);
CREATE INDEX audit_log_by_word ON audit_log (split_part(action, '.', 1), at DESC, id DESC);
CREATE INDEX audit_log_by_subject ON audit_log (subject, at DESC, id DESC);

CREATE INDEX journal_entry_happened ON journal_entry (happened_at DESC, id DESC);
CREATE INDEX journal_entry_by_template ON journal_entry (template, happened_at DESC, id DESC);

CREATE INDEX distribution_booked ON distribution (booked_at DESC, id DESC);
CREATE INDEX distribution_by_kind ON distribution (kind, booked_at DESC, id DESC);
CREATE INDEX distribution_taken_back ON distribution (booked_at DESC, id DESC) WHERE reversed_at IS NOT NULL;
-- Sums of days, without a look at the rows.
CREATE INDEX distribution_of_days ON distribution (happened_at)
    INCLUDE (pool_id, fiat_minor, total_sats, commission_sats, commission_shared_sats)
    WHERE kind = 'cash-out' AND reversed_at IS NULL;

CREATE INDEX fixed_run_by_pool ON fixed_run (pool_id, id DESC);
CREATE INDEX machine_awaiting ON machine (pool_id) WHERE awaiting_pool;
"""


def upgrade() -> None:
    for part in (PEOPLE, ONCE, CLIENTS, EVENTS, LISTS):
        op.execute(part)


def downgrade() -> None:
    raise NotImplementedError("events, webhooks and logins would be lost: restore a backup instead")
