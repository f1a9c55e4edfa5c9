"""Erasing a client's personal data, while the books stay whole.

An erasure takes words out of texts and can't put any in: each changed value must be what `erased_json` makes of
the old one. Nothing else of an append-only row may differ, and the row of the erasure itself stays for ever.

Revision ID: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

ERASURES = """
ALTER TABLE client ADD erased_at timestamptz;

CREATE TABLE erasure (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL UNIQUE REFERENCES client,
    at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor     text NOT NULL,
    xact_id   xid8 NOT NULL DEFAULT pg_current_xact_id()
);
CREATE TRIGGER erasure_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON erasure
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Only who has nothing in, is owed nothing and is being paid nothing can be erased, whoever writes the row.
CREATE FUNCTION check_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM account WHERE client_id = NEW.client_id AND balance <> 0)
       OR EXISTS (SELECT FROM deposit WHERE client_id = NEW.client_id AND state = 'pending')
       OR EXISTS (SELECT FROM distribution_record
                   WHERE client_id = NEW.client_id AND state IN ('gathered', 'owed', 'in-payout'))
       OR EXISTS (SELECT FROM payout WHERE client_id = NEW.client_id
                     AND state IN ('reserved', 'invoiced', 'submitted', 'unknown', 'held'))
       -- An inactive share too: each new version takes the shares of the last one over.
       OR EXISTS (SELECT FROM commission_share WHERE client_id = NEW.client_id
                     AND version_id = (SELECT max(id) FROM commission_version)) THEN
        RAISE EXCEPTION 'client % still has something in the books: it can''t be erased', NEW.client_id
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'erasure_open';
    END IF;
    NEW.xact_id := pg_current_xact_id();
    RETURN NEW;
END $$;
CREATE TRIGGER erasure_check BEFORE INSERT ON erasure FOR EACH ROW EXECUTE FUNCTION check_erasure();

CREATE FUNCTION erased_name(who bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'client-' || who || ' (erased)'
$$;

-- An erasure that leaves the client's name, destination or access can't be committed.
CREATE FUNCTION check_erased() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM client c JOIN destination d ON d.id = c.destination_id
                    WHERE c.id = NEW.client_id AND c.erased_at IS NOT NULL AND c.name = erased_name(c.id)
                      AND c.status = 'inactive' AND d.address = 'erased')
       OR EXISTS (SELECT FROM client_link WHERE client_id = NEW.client_id)
       OR EXISTS (SELECT FROM api_token WHERE client_id = NEW.client_id) THEN
        RAISE EXCEPTION 'client % is to be erased, and is not', NEW.client_id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'erasure_done';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER erasure_done AFTER INSERT ON erasure
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_erased();

-- An erased client is history: nothing of it changes, and nothing new begins for it.
CREATE FUNCTION refuse_erased() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    since timestamptz;
BEGIN
    IF TG_TABLE_NAME = 'client' THEN
        since := OLD.erased_at;
    ELSE  -- waits for an erasure that is under way
        SELECT erased_at INTO since FROM client WHERE id = NEW.client_id FOR KEY SHARE;
    END IF;
    IF since IS NOT NULL THEN
        RAISE EXCEPTION 'a client that was erased on % is history: nothing of it changes', since::date
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'client_erased';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER client_erased BEFORE UPDATE ON client FOR EACH ROW
    WHEN (OLD.erased_at IS NOT NULL) EXECUTE FUNCTION refuse_erased();
CREATE FUNCTION refuse_bare_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM erasure WHERE client_id = NEW.id) THEN
        RAISE EXCEPTION 'client %: there is no erasure of it', NEW.id USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER client_erasure BEFORE UPDATE OF erased_at ON client FOR EACH ROW
    WHEN (NEW.erased_at IS NOT NULL) EXECUTE FUNCTION refuse_bare_erasure();
"""

WORDS = r"""
-- Whom this transaction erases; null: nobody.
CREATE FUNCTION erasing() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT client_id FROM erasure WHERE xact_id = pg_current_xact_id()
$$;

-- A text without the words that `dca.erasing` holds for this transaction: the client's placeholder stands in their
-- place. `keep`: names of others that contain a word.
CREATE FUNCTION erased_text(what text, who bigint) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
    given jsonb := coalesce(nullif(current_setting('dca.erasing', true), ''), '{}');
    keep text[] := ARRAY(SELECT jsonb_array_elements_text(given -> 'keep'));
    word text;
BEGIN
    FOR i IN 1 .. cardinality(keep) LOOP
        what := replace(what, keep[i], chr(1) || i || chr(1));
    END LOOP;
    FOR word IN SELECT jsonb_array_elements_text(given -> 'words') LOOP
        what := regexp_replace(what, '(?<!\w)' || regexp_replace(word, '([^\w\s])', '\\\1', 'g') || '(?!\w)',
                               chr(2), 'gi');
    END LOOP;
    FOR i IN REVERSE cardinality(keep) .. 1 LOOP
        what := replace(what, chr(1) || i || chr(1), keep[i]);
    END LOOP;
    RETURN replace(what, chr(2), erased_name(who));
END $$;

-- The same in every text within, but for what is the program's own vocabulary. `own`: it tells of this client, so
-- that its name, destination and notes go whole, whatever is in them.
CREATE FUNCTION erased_json(what jsonb, who bigint, own boolean) RETURNS jsonb LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE jsonb_typeof(what)
    WHEN 'string' THEN
        RETURN to_jsonb(erased_text(what #>> '{}', who));
    WHEN 'array' THEN
        RETURN (SELECT coalesce(jsonb_agg(erased_json(value, who, own) ORDER BY n), '[]')
                  FROM jsonb_array_elements(what) WITH ORDINALITY e (value, n));
    WHEN 'object' THEN
        RETURN (SELECT coalesce(jsonb_object_agg(key, CASE
                    WHEN key IN ('mode', 'status', 'state', 'kind', 'from', 'event', 'currency', 'pay', 'zone',
                                 'role', 'scopes', 'actor') THEN value
                    WHEN own AND key IN ('name', 'destination', 'external_id', 'reason', 'note')
                         AND jsonb_typeof(value) = 'string' THEN to_jsonb(erased_name(who))
                    ELSE erased_json(value, who, own) END), '{}')
                  FROM jsonb_each(what));
    ELSE
        RETURN what;
    END CASE;
END $$;

-- Whether a change of a row is no more than the erasure of words in these columns, or in a row of the client's own
-- the erasure of a whole text.
CREATE FUNCTION is_erasure(before jsonb, after jsonb, columns text[], own boolean) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
DECLARE
    who bigint := erasing();
    name text;
BEGIN
    own := coalesce(own, false);
    IF who IS NULL OR after - columns <> before - columns THEN
        RETURN false;
    END IF;
    FOREACH name IN ARRAY columns LOOP
        IF NOT (after -> name = before -> name
                OR after -> name = erased_json(before -> name, who, false)
                OR own AND after -> name = erased_json(before -> name, who, true)
                OR own AND jsonb_typeof(before -> name) = 'string' AND after ->> name = erased_name(who)) THEN
            RETURN false;
        END IF;
    END LOOP;
    RETURN true;
END $$;

-- Whether a subject of the audit log or of an event is this client, or something that is only its own.
CREATE FUNCTION is_subject_of(subject text, who bigint) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT subject = 'client:' || who
        OR subject LIKE 'deposit:%' AND EXISTS (
               SELECT FROM deposit WHERE client_id = who AND id::text = split_part(subject, ':', 2))
        OR subject LIKE 'token:%' AND EXISTS (
               SELECT FROM audit_log a WHERE a.subject = is_subject_of.subject AND a.action = 'token.add'
                  AND a.after ->> 'client_id' = who::text)
$$;

CREATE FUNCTION refuse_change_but_erasure() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_LEVEL = 'STATEMENT' AND erasing() IS NULL THEN
        RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
    ELSIF TG_LEVEL = 'STATEMENT' THEN
        RETURN NULL;
    ELSIF is_erasure(to_jsonb(OLD), to_jsonb(NEW), TG_ARGV[0:], CASE TG_TABLE_NAME
            WHEN 'audit_log' THEN is_subject_of(to_jsonb(OLD) ->> 'subject', erasing())
            ELSE to_jsonb(OLD) ->> 'client_id' = erasing()::text END) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION '% is append-only: % refused, it is more than an erasure', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'restrict_violation';
END $$;
"""

GUARDS = """
-- As it was, and the reason may lose a word.
CREATE OR REPLACE FUNCTION protect_distribution() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.reversed_at IS NULL AND NEW.reversed_at IS NOT NULL
       AND to_jsonb(NEW) - '{reversed_at,reversal_entry_id}'::text[]
         = to_jsonb(OLD) - '{reversed_at,reversal_entry_id}'::text[]
       OR is_erasure(to_jsonb(OLD), to_jsonb(NEW), '{reason}', false) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'distribution %: % refused', OLD.id, TG_OP USING ERRCODE = 'restrict_violation';
END $$;
CREATE OR REPLACE FUNCTION check_reversed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.reversed_at IS NOT NULL
       AND EXISTS (SELECT FROM distribution_record WHERE distribution_id = NEW.id AND state <> 'reversed') THEN
        RAISE EXCEPTION 'distribution %: what was paid, or is about to be, can''t be reversed', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'distribution_reversed_wholly';
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION protect_filter() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.removed_at IS NULL AND NEW.removed_at IS NOT NULL
       AND to_jsonb(NEW) - '{removed_at,removed_by}'::text[]
         = to_jsonb(OLD) - '{removed_at,removed_by}'::text[]
       OR is_erasure(to_jsonb(OLD), to_jsonb(NEW), '{reason}', false) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'filter %: it can be removed, once, and not be changed', OLD.id
        USING ERRCODE = 'restrict_violation';
END $$;

-- As it was; but of an erased client the invoice goes, which tells of its wallet. Its hash stays, and proves it.
CREATE OR REPLACE FUNCTION protect_payout() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'payout %: delete refused', OLD.id USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.id, NEW.client_id, NEW.destination_id, NEW.amount_sats, NEW.credit_sats)
       <> (OLD.id, OLD.client_id, OLD.destination_id, OLD.amount_sats, OLD.credit_sats)
       OR NEW.adopted_at IS DISTINCT FROM OLD.adopted_at
       OR (OLD.payment_hash IS NOT NULL AND NEW.payment_hash IS DISTINCT FROM OLD.payment_hash)
       OR (OLD.bolt11 IS NOT NULL AND NEW.bolt11 IS DISTINCT FROM OLD.bolt11
           AND (NEW.bolt11 IS DISTINCT FROM 'erased' OR NEW.client_id IS DISTINCT FROM erasing()))
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
"""

# Nothing of these rows but the texts, in which somebody may be named.
TEXTS = {
    "audit_log": ("before", "after", "reason"),
    "journal_entry": ("cause",),
    "cash_out_log": ("detail",),
    "payout_log": ("detail",),
    "reconcile_run": ("not_compared", "differences", "notes"),
    "commission_version": ("reason",),
    "fixed_run": ("reason",),
    "cash_movement": ("reason",),
    "adjustment": ("reason", "corrects"),
    "treasury_move": ("reason",),
    "import_run": ("summary",),
    "client_opening": ("external_id",),
}
NOTHING_NEW = (
    "deposit",
    "adjustment",
    "cash_movement",
    "fixed_amount",
    "commission_share",
    "client_link",
    "api_token",
    "client_permission",
)
_ALLOWS = "it refuses what was refused before, but for an erasure"
_ERASED = "it refuses only what is done for a client that was erased"
EXCEPTIONS = {
    **{
        f"function {name} is another one": _ALLOWS
        for name in ("check_reversed", "protect_distribution", "protect_filter", "protect_payout")
    },
    **{f"trigger {table}_append_only on {table} is another one": _ALLOWS for table in TEXTS},
    **{
        f"trigger {table}_{name} on {table} is new": _ALLOWS
        for table in TEXTS
        for name in ("no_change", "only_erasure")
    },
    **{f"trigger {table}_of_erased on {table} is new": _ERASED for table in NOTHING_NEW},
    "trigger client_erased on client is new": _ERASED,
    "trigger client_erasure on client is new": _ERASED,
}


def upgrade() -> None:
    for part in (ERASURES, WORDS, GUARDS):
        op.execute(part)
    for table, columns in TEXTS.items():
        op.execute(f"DROP TRIGGER {table}_append_only ON {table}")
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_but_erasure()"
        )
        arguments = ", ".join(f"'{column}'" for column in columns)
        op.execute(
            f"CREATE TRIGGER {table}_only_erasure BEFORE UPDATE ON {table}"
            f" FOR EACH ROW EXECUTE FUNCTION refuse_change_but_erasure({arguments})"
        )
    for table in NOTHING_NEW:
        op.execute(
            f"CREATE TRIGGER {table}_of_erased BEFORE INSERT ON {table}"
            " FOR EACH ROW WHEN (NEW.client_id IS NOT NULL) EXECUTE FUNCTION refuse_erased()"
        )


def downgrade() -> None:
    raise NotImplementedError("an older version works with the dump that was made before the upgrade")
