-- Two years of a shop with many machines, made by sets, as the program itself would have left them: `ledger verify`
-- holds on it. How much: bench.cash_outs and bench.clients. Triggers are off, and the big tables' indexes are made
-- afterwards (big_books.py).
SELECT setseed(0.5);

CREATE TEMP TABLE size AS
SELECT current_setting('bench.cash_outs')::integer AS cash_outs, current_setting('bench.clients')::integer AS clients,
       date_trunc('minute', now()) - interval '1 minute' AS until,
       date_trunc('minute', now()) - interval '1 minute' - interval '730 days' AS since;

-- Who there is: clients 1 to N, four wallets that only receive commission, three pools, 22 machines.
INSERT INTO pool (id, name, currency) VALUES (1, 'default', 'GTQ'), (2, 'coast', 'GTQ'), (3, 'border', 'USD')
    ON CONFLICT DO NOTHING;
INSERT INTO machine (device_id, name, version, pool_id, first_seen_at, awaiting_pool)
SELECT md5('machine ' || n) || md5(n::text), 'Machine ' || n, '10.1.0',
       CASE WHEN n <= 14 OR n > 20 THEN 1 WHEN n <= 17 THEN 2 ELSE 3 END, s.since, n > 20
  FROM size s, generate_series(1, 22) n;
INSERT INTO destination (kind, name, address, wallet_id, invoice_key_encrypted)
SELECT CASE WHEN n % 5 < 3 THEN 'lightning-address' ELSE 'lnbits' END, 'Wallet of client ' || n,
       CASE WHEN n % 5 < 3 THEN 'client' || n || '@wallets.example' END,
       CASE WHEN n % 5 >= 3 THEN md5('wallet ' || n) END, CASE WHEN n % 5 >= 3 THEN '\x00'::bytea END
  FROM size s, generate_series(1, s.clients + 4) n;
INSERT INTO client (id, name, mode, status, destination_id, created_at)
SELECT n, CASE WHEN n > s.clients THEN 'Receiver ' || n - s.clients
               ELSE (ARRAY['Ana', 'Bruno', 'Carla', 'Diego', 'Elena', 'Fredy', 'Gloria', 'Hugo'])[1 + n % 8]
                    || ' ' || (ARRAY['Morales', 'Pérez', 'Xicará', 'Tzul', 'López'])[1 + n % 5] || ' ' || n END,
       CASE WHEN n > s.clients THEN 'commission' WHEN n % 20 = 0 OR n % 40 = 39 THEN 'fixed' ELSE 'flow' END,
       CASE WHEN n % 33 = 32 THEN 'inactive' ELSE 'active' END, n, s.since
  FROM size s, generate_series(1, s.clients + 4) n;
-- Client 1 is in every pool, and has a share in everything.
CREATE TEMP TABLE member AS
SELECT pool_id, id AS client_id, row_number() OVER (PARTITION BY pool_id ORDER BY id) - 1 AS nth
  FROM (SELECT id, CASE id % 10 WHEN 8 THEN 2 WHEN 9 THEN 3 ELSE 1 END AS pool_id FROM client
         WHERE mode = 'flow' AND id > 1) m;
CREATE TEMP TABLE members AS SELECT pool_id, count(*) AS n FROM member GROUP BY pool_id;
INSERT INTO commission_version (pay, created_at, actor, reason)
SELECT 'at-once', since, 'os:root', 'the beginning' FROM size UNION ALL
SELECT 'at-once', since + interval '365 days', 'user:admin', 'a new agreement' FROM size;
INSERT INTO commission_share (version_id, client_id, basis_points)
SELECT v, c, p FROM size s, LATERAL (VALUES (1, s.clients + 1, 4000), (1, s.clients + 2, 2500), (1, 1, 500),
    (2, s.clients + 1, 5000), (2, s.clients + 3, 1000), (2, 1, 500)) shares (v, c, p);
INSERT INTO baseline (source, at, set_by) SELECT 'lamassu', since + interval '14 days', 'os:root' FROM size;

-- Cash-outs: most were distributed; entries by hand at the end settle a few.
CREATE TEMP TABLE paid_out AS
SELECT n AS id, c.at, CASE WHEN c.at < b.at THEN 'before-baseline' WHEN n > s.cash_outs - 3 THEN 'due'
                         WHEN r < 0.05 THEN 'failed' WHEN r < 0.07 THEN 'ignored' WHEN r < 0.073 THEN 'review'
                         WHEN r < 0.075 THEN 'settled-by-hand' ELSE 'distributed' END AS state,
       m.device_id, m.name AS machine_name, m.pool_id, p.currency,
       CASE p.currency WHEN 'GTQ' THEN 10000 ELSE 2000 END * (1 + floor(f * 50))::bigint AS fiat_minor,
       CASE p.currency WHEN 'GTQ' THEN 2 ELSE 15 END AS rate, 'lamassu' AS source, NULL::bigint AS settles_id
  FROM size s, baseline b, LATERAL (
       SELECT n, s.since + n * ((s.until - s.since) / s.cash_outs) AS at, random() AS r, random() AS f,
              1 + floor(20 * power(random(), 1.3))::integer AS machine
         FROM generate_series(1, s.cash_outs) n) c
  JOIN machine m ON m.name = 'Machine ' || c.machine JOIN pool p ON p.id = m.pool_id;
INSERT INTO paid_out
SELECT (SELECT cash_outs FROM size) + row_number() OVER (ORDER BY id), least(at + interval '1 hour', s.until),
       'distributed', device_id, machine_name, pool_id, currency, fiat_minor, rate, 'manual', id
  FROM paid_out, size s WHERE state = 'settled-by-hand';
ALTER TABLE paid_out ADD sats bigint, ADD external_id text;
UPDATE paid_out SET
    sats = fiat_minor * rate * (100 + 30 * sin(extract(epoch FROM at) / 5e6)) / 100,
    external_id = CASE source WHEN 'manual' THEN 'manual-' || id
                  ELSE (md5('cash-out ' || id)::uuid)::text END;
INSERT INTO cash_out (id, source, external_id, digest, state, reason, reason_text, device_id, machine_name, pool_id,
    crypto_code, crypto_atoms, fiat, fiat_code, commission_percentage, discount, raw_ticker_price, source_status,
    dispense, dispense_confirmed, redeem, error, created_at, confirmed_at, happened_at, first_seen_at, updated_at,
    duplicates, settles_id, entered_by, entry_reason)
SELECT id, source, external_id, '4:confirmed:11:' || substr(md5(id::text), 1, 8), state,
       CASE state WHEN 'failed' THEN 'not-dispensed' WHEN 'ignored' THEN (ARRAY['other-coin', 'by-hand'])[1 + id % 2]
                  WHEN 'review' THEN (ARRAY['refused', 'unusable', 'partly-dispensed'])[1 + id % 3]
                  ELSE 'dispensed' END,
       CASE state WHEN 'failed' THEN 'the machine did not say that the notes came out'
                  WHEN 'ignored' THEN 'left out: ' || (ARRAY['ETH is not bitcoin', 'a test by the operator'])[1 + id % 2]
                  WHEN 'review' THEN 'only some of the notes came out' ELSE 'the machine says that all notes came out' END,
       device_id, machine_name, pool_id, CASE WHEN state = 'ignored' AND id % 2 = 0 THEN 'ETH' WHEN id % 3 = 0 THEN 'BTC' ELSE 'LN' END,
       sats, fiat_minor / 100.0, currency, 0.05, 0, 500000, 'confirmed', true, state <> 'failed', true,
       CASE state WHEN 'failed' THEN 'not enough notes' END, at - interval '4 minutes', at - interval '1 minute', at, at, at,
       (id % 500 = 0)::integer, settles_id, CASE source WHEN 'manual' THEN 'user:olga' END,
       CASE source WHEN 'manual' THEN 'the machine stopped, and was emptied by hand' END
  FROM paid_out ORDER BY id;

-- Fixed Mode: twice a day in two pools.
INSERT INTO fixed_schedule (pool_id, zone, times, missed, default_max_minor, created_at, actor)
SELECT p, 'America/Guatemala', '{08:00,18:00}', 'catch-up', 100000, since, 'user:admin'
  FROM size, unnest(ARRAY[1, 3]) p;
INSERT INTO fixed_amount (client_id, pool_id, daily_minor, created_at, actor)
SELECT id, CASE id % 40 WHEN 39 THEN 3 ELSE 1 END, 10000 * n, since + n * interval '90 days', 'user:olga'
  FROM client, size, generate_series(1, 3) n WHERE mode = 'fixed';
INSERT INTO fixed_run (pool_id, schedule_id, local_date, local_time, due_at, state, at, actor)
SELECT p, (p + 1) / 2, since::date + d, t, (since::date + d + t::time) AT TIME ZONE 'America/Guatemala',
       CASE WHEN d % 20 = 0 THEN 'nothing' ELSE 'done' END,
       (since::date + d + t::time) AT TIME ZONE 'America/Guatemala' + interval '2 seconds', 'daemon'
  FROM size, generate_series(1, 728) d, unnest(ARRAY['08:00', '18:00']) t, unnest(ARRAY[1, 3]) p
 ORDER BY d, t, p;

-- Distributions, in the order in which they were booked. A few were taken back.
CREATE TEMP TABLE shared AS
SELECT row_number() OVER (ORDER BY at, cash_out_id, run_id, client_id) AS id, x.*,
       kind = 'cash-out' AND state = 'review' AS reversed
  FROM (SELECT 'cash-out' AS kind, id AS cash_out_id, NULL::bigint AS run_id, NULL::bigint AS client_id, pool_id, at,
               source, sats AS total_sats, round(sats * 0.05)::bigint AS commission_sats, fiat_minor,
               fiat_minor * 95 / 100 AS charge_minor, state,
               CASE WHEN at < (SELECT since + interval '365 days' FROM size) THEN 1 ELSE 2 END AS version_id
          FROM paid_out WHERE state = 'distributed' OR state = 'review' AND id % 3 = 0
         UNION ALL
        SELECT 'fixed', NULL, u.id, NULL, u.pool_id, u.at, 'daemon', 0, 0, 0, 0, 'done', NULL
          FROM fixed_run u WHERE u.state = 'done'
         UNION ALL
        SELECT 'adjustment', NULL, NULL, 1 + n % s.clients, 1, s.since + n * interval '40 hours', 'by hand', 1000 + n, 0, 0, 0,
               'done', NULL FROM size s, generate_series(1, 400) n) x;

ANALYZE shared;
ANALYZE members;
CREATE TEMP TABLE record AS
SELECT row_number() OVER (ORDER BY distribution_id, type, client_id) AS id, r.*
  FROM (SELECT s.id AS distribution_id, m.client_id, CASE s.source WHEN 'manual' THEN 'manual' ELSE 'flow' END AS type,
               (s.total_sats - s.commission_sats) / s.parts AS sats, s.charge_minor / s.parts AS fiat_minor
          FROM (SELECT s.*, least(8 + s.id % 21, n.n) AS takers, n.n,
                       least(8 + s.id % 21, n.n) + 1 + (s.id % 20 = 0)::integer AS parts
                  FROM shared s JOIN members n USING (pool_id) WHERE s.kind = 'cash-out') s
         CROSS JOIN generate_series(0, s.takers) j
         CROSS JOIN LATERAL (SELECT CASE j WHEN s.takers THEN -1 ELSE (s.id * 7 + j) % s.n END AS nth) place
          JOIN (SELECT * FROM member UNION ALL SELECT id, 1, -1 FROM pool) m
            ON m.pool_id = s.pool_id AND m.nth = place.nth
         UNION ALL
        SELECT s.id, c.client_id, 'commission', s.commission_sats * c.basis_points / 10000, 0
          FROM shared s JOIN commission_share c USING (version_id)
         UNION ALL
        SELECT s.id, a.client_id, 'fixed', 5000 * CASE s.pool_id WHEN 1 THEN 2 ELSE 15 END, 5000
          FROM shared s JOIN fixed_amount a ON a.pool_id = s.pool_id AND a.daily_minor = 10000
         WHERE s.kind = 'fixed'
         UNION ALL
        SELECT s.id, s.client_id, 'manual', s.total_sats, 0 FROM shared s WHERE s.kind = 'adjustment') r;

-- Ten records of a client are paid by one payout; of each fifth client the last ones are owed, of others under way.
CREATE TEMP TABLE paid AS
SELECT r.*, s.at, (row_number() OVER w - 1) / 10 AS nth, (count(*) OVER (PARTITION BY r.client_id) - 1) / 10 AS last
  FROM record r JOIN shared s ON s.id = r.distribution_id AND NOT s.reversed
WINDOW w AS (PARTITION BY r.client_id ORDER BY r.id);
CREATE TEMP TABLE payment AS
SELECT row_number() OVER (ORDER BY at, client_id) AS n, md5('payout ' || client_id || ' ' || nth)::uuid AS id, p.*,
       CASE WHEN nth = last AND client_id % 5 = 1
            THEN (ARRAY['reserved', 'invoiced', 'submitted', 'unknown'])[1 + client_id / 5 % 4]
            WHEN nth = last - 1 AND client_id % 17 = 0 THEN 'held' ELSE 'settled' END AS state, true AS active
  FROM (SELECT client_id, nth, last, max(at) + interval '20 seconds' AS at, sum(sats)::bigint AS sats
          FROM paid GROUP BY client_id, nth, last) p
 WHERE sats > 0 AND NOT (nth = last AND client_id % 5 = 0);
-- A few failed at first.
INSERT INTO payment
SELECT (SELECT max(n) FROM payment) + row_number() OVER (ORDER BY n), md5('failed ' || client_id || ' ' || nth)::uuid,
       client_id, nth, last, at - interval '10 seconds', sats, (ARRAY['failed', 'failed', 'expired', 'void'])[1 + n % 4], false
  FROM payment WHERE state = 'settled' AND n % 30 = 0;
ANALYZE record;
ANALYZE paid;
ANALYZE payment;
INSERT INTO payout (id, client_id, destination_id, amount_sats, state, held_from, reason, memo, bolt11, payment_hash,
    invoice_expires_at, submit_until, receiver_wallet_id, fee_msat, submits, last_submit_at, next_attempt_at,
    created_at, settled_at)
SELECT id, client_id, client_id, sats, state, CASE state WHEN 'held' THEN 'submitted' END,
       CASE WHEN state = 'held' THEN 'its outcome is not known after a day' WHEN NOT active THEN 'no route was found' END,
       'DCA ' || n, bolt11, CASE WHEN bolt11 IS NOT NULL THEN md5(id::text) || md5(n::text) END, at + interval '1 hour',
       at + interval '50 minutes', NULL, CASE state WHEN 'settled' THEN 1000 + n % 9000 END, 1, at, at, at,
       CASE state WHEN 'settled' THEN at + interval '5 seconds' END
  FROM (SELECT *, CASE WHEN state <> 'reserved' THEN 'lnbc' || repeat(md5(n::text), 8) END AS bolt11 FROM payment) p
 ORDER BY n;
INSERT INTO payout_record (payout_id, record_id, active)
SELECT m.id, p.id, m.active FROM payment m JOIN paid p ON p.client_id = m.client_id AND p.nth = m.nth ORDER BY p.id;

-- What was handed over: enough, and in good time.
CREATE TEMP TABLE needed AS
SELECT r.client_id, s.pool_id, p.currency, sum(r.fiat_minor)::bigint / 18 + 5000 AS minor
  FROM record r JOIN shared s ON s.id = r.distribution_id JOIN pool p ON p.id = s.pool_id
 WHERE r.fiat_minor > 0 GROUP BY 1, 2, 3;
INSERT INTO deposit (client_id, pool_id, amount_minor, state, note, recorded_at, confirmed_at, voided_at, void_reason, device_id)
SELECT client_id, pool_id, minor, state, CASE WHEN n % 7 = 0 THEN 'brought by a relative' END, at - interval '2 hours',
       CASE state WHEN 'confirmed' THEN at END, CASE state WHEN 'void' THEN at END,
       CASE state WHEN 'void' THEN 'entered twice' END,
       CASE WHEN state = 'confirmed' AND n % 3 > 0
            THEN (SELECT min(device_id) FROM machine m WHERE m.pool_id = d.pool_id) END
  FROM (SELECT client_id, pool_id, minor * CASE n WHEN 0 THEN 3 ELSE 1 END AS minor, n, 'confirmed' AS state,
               s.since + n * (s.until - s.since) / 20 - interval '1 minute' AS at FROM needed, size s, generate_series(0, 19) n
         UNION ALL
        SELECT client_id, pool_id, minor, 0, CASE WHEN client_id % 4 = 0 THEN 'pending' ELSE 'void' END,
               s.until - client_id * interval '10 minutes' FROM needed, size s WHERE client_id % 2 = 0) d
 ORDER BY at;
CREATE TEMP TABLE moved AS  -- notes, and sats of the operator
SELECT row_number() OVER (ORDER BY n) AS id, (ARRAY['refill', 'removal', 'give-back'])[1 + n % 3] AS kind,
       1 + n % 3 AS pool_id, 500 * 100 AS minor, s.until - n * interval '8 hours' AS at
  FROM size s, generate_series(1, 2000) n;
UPDATE moved SET minor = 100, at = s.until FROM size s WHERE kind = 'give-back';

-- The journal: an entry for each of them, in the order of time.
CREATE TEMP TABLE written AS
SELECT row_number() OVER (ORDER BY at, rank, ref) AS entry_id, x.*
  FROM (SELECT 5 AS rank, 'cash-out-distributed' AS template, id AS ref, at,
               'cash-out:' || source || ':' || cash_out_id AS key, 'cash-out ' || cash_out_id AS cause, 'daemon' AS actor
          FROM shared WHERE kind = 'cash-out'
        UNION ALL SELECT 6, 'reversal', id, at, 'reversal:' || id, 'distribution ' || id, 'user:admin' FROM shared WHERE reversed
        UNION ALL SELECT 5, 'fixed-run', id, at, 'fixed:' || run_id, 'fixed run ' || run_id, 'daemon' FROM shared WHERE kind = 'fixed'
        UNION ALL SELECT 5, 'sats-adjusted', id, at, 'adjustment:' || id, 'adjustment ' || id, 'user:admin' FROM shared WHERE kind = 'adjustment'
        UNION ALL SELECT 1, 'deposit-confirmed', id, confirmed_at, 'deposit:' || id || ':confirmed', 'deposit ' || id, 'user:olga'
                    FROM deposit WHERE state = 'confirmed'
        UNION ALL SELECT 7, 'payout-reserved', n, at, 'payout:' || id || ':reserved', 'payout ' || id, 'daemon' FROM payment
        UNION ALL SELECT 8, 'payout-settled', n, at + interval '5 seconds', 'payout:' || id || ':settled', 'payout ' || id, 'daemon'
                    FROM payment WHERE state = 'settled'
        UNION ALL SELECT 8, 'payout-' || state, n, at + interval '5 seconds', 'payout:' || id || ':released', 'payout ' || id, 'daemon'
                    FROM payment WHERE NOT active
        UNION ALL SELECT 9, CASE kind WHEN 'refill' THEN 'cash-refilled' WHEN 'removal' THEN 'cash-removed' ELSE 'fiat-given-back' END,
                         id, at, 'cash-movement:' || id, 'cash movement ' || id, 'user:olga' FROM moved
        UNION ALL SELECT 9, 'treasury-moved', n, s.since + n * interval '6 days', 'treasury-move:' || n, 'treasury move ' || n, 'user:admin'
                    FROM size s, generate_series(1, 120) n) x;
ANALYZE written;
INSERT INTO journal_entry (id, template, idempotency_key, input_hash, happened_at, written_at, actor, cause, corrects_entry_id)
OVERRIDING SYSTEM VALUE
SELECT entry_id, template, key, md5(key), at, at, actor, cause,
       CASE template WHEN 'reversal' THEN (SELECT o.entry_id FROM written o
                                            WHERE o.template = 'cash-out-distributed' AND o.ref = w.ref) END
  FROM written w ORDER BY entry_id;
INSERT INTO account (name, unit, kind, purpose, guarded, client_id, pool_id)
SELECT 'client:' || id || ':payable', 'msat', 'liability', 'client-payable', true, id, NULL::integer FROM client
UNION ALL SELECT 'client:' || client_id || ':fiat:' || pool_id, currency, 'liability', 'client-fiat', true, client_id, pool_id FROM needed
UNION ALL SELECT 'cash:pool:' || id, currency, 'asset', 'cash', false, NULL, id FROM pool
UNION ALL SELECT 'house:fiat:' || id, currency, 'equity', 'house-fiat', false, NULL, id FROM pool
UNION ALL VALUES ('coins:received', 'msat', 'asset', 'coins-received', false, NULL::bigint, NULL::integer),
    ('coins:source', 'msat', 'asset', 'coins-source', false, NULL, NULL), ('house:sats', 'msat', 'equity', 'house-sats', false, NULL, NULL),
    ('payouts:in-flight', 'msat', 'liability', 'payouts-in-flight', true, NULL, NULL), ('expense:fees', 'msat', 'expense', 'fees', false, NULL, NULL);
CREATE TEMP TABLE got AS  -- of each distribution, by client
SELECT distribution_id, client_id, sum(sats)::bigint * 1000 AS msat, sum(fiat_minor)::bigint AS minor
  FROM record GROUP BY 1, 2;
CREATE TEMP TABLE given AS SELECT distribution_id, sum(msat)::bigint AS msat, sum(minor)::bigint AS minor FROM got GROUP BY 1;
ANALYZE got;
ANALYZE given;
ANALYZE account;
ANALYZE deposit;
CREATE TEMP TABLE e AS
SELECT w.entry_id, w.ref, CASE w.template WHEN 'reversal' THEN -1 ELSE 1 END AS sign, s.kind, s.pool_id,
       s.total_sats * 1000 AS msat, s.fiat_minor
  FROM written w JOIN shared s ON s.id = w.ref
 WHERE w.template IN ('cash-out-distributed', 'reversal', 'fixed-run', 'sats-adjusted');
CREATE TEMP TABLE p AS
SELECT w.entry_id, w.template, p.client_id, p.sats * 1000 AS msat, 1000 + p.n % 9000 AS fee
  FROM written w JOIN payment p ON p.n = w.ref WHERE w.template LIKE 'payout-%';
CREATE TEMP TABLE f AS SELECT id, pool_id, client_id FROM account WHERE purpose = 'client-fiat';
CREATE TEMP TABLE o AS SELECT id, client_id FROM account WHERE purpose = 'client-payable';
CREATE TEMP TABLE c AS
SELECT c.pool_id, c.id AS cash, h.id AS house FROM account c JOIN account h USING (pool_id)
 WHERE c.purpose = 'cash' AND h.purpose = 'house-fiat';
CREATE TEMP TABLE one AS
SELECT max(id) FILTER (WHERE purpose = 'coins-received') AS received,
       max(id) FILTER (WHERE purpose = 'coins-source') AS source, max(id) FILTER (WHERE purpose = 'house-sats') AS house,
       max(id) FILTER (WHERE purpose = 'payouts-in-flight') AS flying, max(id) FILTER (WHERE purpose = 'fees') AS fees
  FROM account;
ANALYZE e;
ANALYZE p;
ANALYZE f;
ANALYZE o;
CREATE TEMP TABLE line AS
SELECT e.entry_id, o.id AS account_id, e.sign * -g.msat AS amount
  FROM e JOIN got g ON g.distribution_id = e.ref JOIN o USING (client_id)
 UNION ALL
SELECT e.entry_id, f.id, e.sign * g.minor
  FROM e JOIN got g ON g.distribution_id = e.ref AND g.minor > 0 JOIN f USING (client_id, pool_id)
 UNION ALL
SELECT e.entry_id, x.account, e.sign * x.amount
  FROM e JOIN c USING (pool_id) JOIN given g ON g.distribution_id = e.ref CROSS JOIN one,
       LATERAL (VALUES (c.cash, CASE e.kind WHEN 'cash-out' THEN -e.fiat_minor END), (c.house, e.fiat_minor - g.minor),
                       (one.received, CASE e.kind WHEN 'cash-out' THEN e.msat END),
                       (one.house, g.msat - CASE e.kind WHEN 'cash-out' THEN e.msat ELSE 0 END)) x (account, amount)
 WHERE x.amount IS NOT NULL
 UNION ALL
SELECT p.entry_id, x.account, x.amount
  FROM p JOIN o USING (client_id) CROSS JOIN one,
       LATERAL (SELECT o.id, p.msat WHERE p.template = 'payout-reserved'
                 UNION ALL SELECT o.id, -p.msat WHERE p.template NOT IN ('payout-reserved', 'payout-settled')
                 UNION ALL SELECT one.flying, CASE p.template WHEN 'payout-reserved' THEN -p.msat ELSE p.msat END
                 UNION ALL SELECT one.fees, p.fee WHERE p.template = 'payout-settled'
                 UNION ALL SELECT one.source, -(p.msat + p.fee) WHERE p.template = 'payout-settled') x (account, amount)
 UNION ALL
SELECT w.entry_id, x.account, x.amount
  FROM written w JOIN deposit d ON d.id = w.ref JOIN f USING (client_id, pool_id) JOIN c USING (pool_id),
       LATERAL (VALUES (c.cash, d.amount_minor), (f.id, -d.amount_minor)) x (account, amount)
 WHERE w.template = 'deposit-confirmed'
 UNION ALL
SELECT w.entry_id, x.account, x.amount
  FROM written w JOIN moved m ON m.id = w.ref JOIN c USING (pool_id) JOIN f ON f.pool_id = m.pool_id AND f.client_id = 1,
       LATERAL (VALUES (c.cash, 1), (CASE m.kind WHEN 'give-back' THEN f.id ELSE c.house END, -1)) y (account, sign),
       LATERAL (SELECT y.account, y.sign * CASE m.kind WHEN 'refill' THEN m.minor ELSE -m.minor END) x (account, amount)
 WHERE w.template IN ('cash-refilled', 'cash-removed', 'fiat-given-back')
 UNION ALL
SELECT w.entry_id, x.account, x.amount
  FROM written w, one,
       LATERAL (VALUES (one.source, 90000000000), (one.fees, 5000), (one.received, -90000005000)) x (account, amount)
 WHERE w.template = 'treasury-moved';
INSERT INTO posting (account_id, account_version, entry_id, amount, balance_after)
SELECT account_id, row_number() OVER w, entry_id, amount, sum(amount) OVER w FROM line WHERE amount <> 0
WINDOW w AS (PARTITION BY account_id ORDER BY entry_id ROWS UNBOUNDED PRECEDING);
UPDATE account a SET version = p.version, balance = p.balance
  FROM (SELECT account_id, count(*) AS version, sum(amount) AS balance FROM line WHERE amount <> 0 GROUP BY 1) p WHERE p.account_id = a.id;

DROP TABLE line;

-- What the journal's entries are of.
INSERT INTO distribution (id, kind, cash_out_id, fixed_run_id, pool_id, entry_id, split_method, charge, total_sats,
    principal_sats, commission_sats, commission_shared_sats, commission_version_id, uncovered_sats, fiat_minor, charge_minor,
    uncovered_minor, client_count, happened_at, booked_at, rate_fiat, rate_source, rate_at, reason, reversed_at, reversal_entry_id)
SELECT s.id, s.kind, s.cash_out_id, s.run_id, s.pool_id, w.entry_id, CASE s.kind WHEN 'cash-out' THEN 'recorded' END,
       CASE s.kind WHEN 'cash-out' THEN 'principal' END,
       CASE s.kind WHEN 'fixed' THEN r.sats ELSE s.total_sats END,
       CASE s.kind WHEN 'fixed' THEN r.sats ELSE s.total_sats - s.commission_sats END, s.commission_sats, r.shared, s.version_id,
       CASE s.kind WHEN 'fixed' THEN 0 ELSE s.total_sats - s.commission_sats - r.sats END,
       CASE s.kind WHEN 'fixed' THEN r.minor ELSE s.fiat_minor END, CASE s.kind WHEN 'fixed' THEN r.minor ELSE s.charge_minor END,
       CASE s.kind WHEN 'fixed' THEN 0 ELSE s.charge_minor - r.minor END, r.clients, s.at, s.at + interval '40 milliseconds',
       CASE s.kind WHEN 'fixed' THEN 500000 END, CASE s.kind WHEN 'fixed' THEN 'lnbits' END, CASE s.kind WHEN 'fixed' THEN s.at END,
       CASE s.kind WHEN 'adjustment' THEN 'an apology' END, CASE WHEN s.reversed THEN s.at + interval '1 hour' END, back.entry_id
  FROM shared s JOIN written w ON w.ref = s.id AND w.template IN ('cash-out-distributed', 'fixed-run', 'sats-adjusted')
  LEFT JOIN written back ON back.ref = s.id AND back.template = 'reversal'
  JOIN (SELECT distribution_id, coalesce(sum(sats) FILTER (WHERE type <> 'commission'), 0)::bigint AS sats,
               coalesce(sum(sats) FILTER (WHERE type = 'commission'), 0)::bigint AS shared,
               sum(fiat_minor)::bigint AS minor, count(*) FILTER (WHERE type <> 'commission') AS clients
          FROM record GROUP BY 1) r ON r.distribution_id = s.id
 ORDER BY s.id;
INSERT INTO distribution_record (id, distribution_id, client_id, type, sats, fiat_minor, state)
SELECT r.id, r.distribution_id, r.client_id, r.type, r.sats, r.fiat_minor,
       CASE WHEN p.id IS NULL THEN 'reversed' WHEN r.sats = 0 THEN 'nothing' WHEN m.state IS NULL THEN 'owed'
            WHEN m.state = 'settled' THEN 'settled' ELSE 'in-payout' END
  FROM record r LEFT JOIN paid p ON p.id = r.id
  LEFT JOIN payment m ON m.client_id = p.client_id AND m.nth = p.nth AND m.active
 ORDER BY r.id;
INSERT INTO adjustment (client_id, amount_sats, reason, entry_id, distribution_id, at, actor)
SELECT client_id, total_sats, 'an apology', w.entry_id, s.id, s.at, 'user:admin'
  FROM shared s JOIN written w ON w.ref = s.id AND w.template = 'sats-adjusted' ORDER BY s.id;
INSERT INTO cash_movement (kind, pool_id, client_id, amount_minor, reason, entry_id, at, actor)
SELECT kind, pool_id, CASE kind WHEN 'give-back' THEN 1 END, minor, 'the daily round', w.entry_id, m.at, 'user:olga'
  FROM moved m JOIN written w ON w.ref = m.id AND w.rank = 9 AND w.template <> 'treasury-moved' ORDER BY m.id;
INSERT INTO treasury_move (sats, fee_sats, reason, entry_id, at, actor)
SELECT 90000000, 5, 'for the payouts', entry_id, at, 'user:admin' FROM written WHERE template = 'treasury-moved' ORDER BY entry_id;
INSERT INTO reconcile_run (began_at, at, actor, routine, complete, agrees, compared, not_compared, counts, differences, notes)
SELECT s.until - n * interval '3 hours 30 minutes', s.until - n * interval '3 hours 30 minutes', 'daemon', true, n % 40 > 0, n % 40 > 0,
       '{"payments": 215000, "cash-outs": 100000, "receivers": 600}', CASE WHEN n % 40 > 0 THEN '{}' ELSE '{"lamassu": "it did not answer"}' END::jsonb,
       '{}', '[]', '[]' FROM size s, generate_series(5000, 1, -1) n;
INSERT INTO intake_filter (kind, value, created_by, removed_at, removed_by)
SELECT 'coin', 'COIN' || n, 'user:olga', CASE WHEN n > 5 THEN now() END, CASE WHEN n > 5 THEN 'user:olga' END FROM generate_series(1, 200) n;

-- The logs, and the feed that is made of their last ninety days.
INSERT INTO cash_out_log (cash_out_id, at, event, detail)
SELECT p.id, p.at + e.n * interval '30 milliseconds', e.event, jsonb_build_object('state', p.state, 'total_sats', p.sats, 'clients', 20)
  FROM paid_out p, unnest(ARRAY['seen', 'booked']) WITH ORDINALITY e (event, n) WHERE e.n = 1 OR p.state = 'distributed' ORDER BY p.at, e.n;
INSERT INTO payout_log (payout_id, at, event, detail)
SELECT p.id, p.at + e.n * interval '1 second', e.event, jsonb_build_object('from', 'reserved')
  FROM payment p, unnest(ARRAY['reserved', 'invoiced', 'submitted', 'end']) WITH ORDINALITY step (name, n),
       LATERAL (SELECT step.n, CASE step.name WHEN 'end' THEN p.state ELSE step.name END AS event) e
 WHERE step.name <> 'end' OR p.state NOT IN ('reserved', 'invoiced', 'submitted') ORDER BY p.at, e.n;
INSERT INTO audit_log (at, actor, action, subject, before, after, reason)
SELECT * FROM (
    SELECT recorded_at AS at, 'user:olga' AS actor, 'deposit.record' AS action, 'deposit:' || id AS subject, NULL::jsonb AS before, jsonb_build_object('amount_minor', amount_minor) AS after, note AS reason FROM deposit
    UNION ALL SELECT confirmed_at, 'user:olga', 'deposit.confirm', 'deposit:' || id, '{"state": "pending"}', '{"state": "confirmed"}', NULL FROM deposit WHERE state = 'confirmed'
    UNION ALL SELECT s.since + n * (s.until - s.since) / (s.cash_outs * 3 / 2), 'user:' || (ARRAY['olga', 'admin', 'paco'])[1 + n % 3],
           (ARRAY['client.set-mode', 'client.rename', 'client.set-destination', 'fixed.set-amount', 'machine.name', 'payout.resolve'])[1 + n % 6],
           'client:' || 1 + n % s.clients, '{"mode": "flow", "address": "somebody@wallets.example"}', '{"mode": "fixed", "address": "somebody.else@wallets.example"}', 'asked for by telephone'
      FROM size s, generate_series(1, s.cash_outs * 3 / 2) n) a ORDER BY at;
INSERT INTO event (at, kind, subject, data)
SELECT * FROM (
    SELECT at, 'cash-out.' || event AS kind, 'cash-out:' || cash_out_id, detail FROM cash_out_log WHERE at > now() - interval '90 days'
    UNION ALL SELECT at, 'payout.' || event, 'payout:' || payout_id, detail FROM payout_log WHERE at > now() - interval '90 days'
    UNION ALL SELECT at, action, subject, jsonb_build_object('actor', actor, 'before', before, 'after', after) FROM audit_log WHERE at > now() - interval '90 days') e
 ORDER BY at;

-- The doors.
INSERT INTO console_user (name, role) SELECT 'user' || n, (ARRAY['viewer', 'operator', 'admin'])[1 + n % 3] FROM generate_series(1, 12) n;
INSERT INTO console_session (token_hash, user_id, created_at, last_seen_at, expires_at, address, ended_at)
SELECT md5('session ' || n)::bytea, 1 + n % 12, now() - n * interval '30 minutes', now() - n * interval '30 minutes', now() + interval '7 days' - n * interval '30 minutes',
       '192.0.2.1', CASE WHEN n > 20 THEN now() END FROM generate_series(1, 5000) n;
INSERT INTO login_failure (at, name, address) SELECT now() - n * interval '1 minute', 'user' || n % 20, '192.0.2.' || n % 200 FROM generate_series(1, 5000) n;
INSERT INTO api_token (name, token_hash, hint, scopes, client_id, created_by, revoked_at)
SELECT 'token ' || n, md5('token ' || n)::bytea, 'dca_' || n, CASE WHEN n % 10 = 0 THEN '{read}' ELSE '{client}' END::text[], CASE WHEN n % 10 > 0 THEN 1 + n % s.clients END,
       'user:user2', CASE WHEN n % 3 = 0 THEN now() END FROM size s, generate_series(1, s.clients * 2) n;
INSERT INTO client_link (client_id, token_hash, created_by) SELECT id, md5('link ' || id)::bytea, 'user:user2' FROM client WHERE mode <> 'commission';
INSERT INTO client_permission SELECT id, id % 2 = 0, id % 3 = 0 FROM client WHERE mode <> 'commission';
INSERT INTO intent (token_hash, actor, action, input_sealed, effect_hash, expires_at) SELECT md5('intent ' || n)::bytea, 'user:user2', 'deposit.confirm', '\x00', 'x', now() FROM generate_series(1, 5000) n;
INSERT INTO webhook (name, url, secret_encrypted, kinds, after_event_id, created_by)
SELECT 'webhook ' || n, 'https://hooks.example/' || n, '\x00', '{*}', (SELECT max(id) FROM event), 'user:user2' FROM generate_series(1, 3) n;
INSERT INTO webhook_delivery (webhook_id, event_id, kind, body, state, attempts, last_status, created_at, ended_at)
SELECT w.id, e.id, e.kind, repeat('x', 300), CASE WHEN e.id % 100 = 0 THEN 'given-up' ELSE 'delivered' END, 1, CASE WHEN e.id % 100 = 0 THEN 500 ELSE 200 END, e.at, e.at
  FROM webhook w, event e WHERE e.at > now() - interval '15 days' ORDER BY e.id;

-- What the triggers keep, which did not run.
INSERT INTO client_total
SELECT r.client_id, d.pool_id, count(*) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment'),
       coalesce(sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind <> 'adjustment'), 0),
       coalesce(sum(r.fiat_minor) FILTER (WHERE r.type <> 'commission'), 0),
       coalesce(sum(r.sats) FILTER (WHERE r.type <> 'commission' AND d.kind = 'adjustment'), 0),
       coalesce(sum(r.sats) FILTER (WHERE r.type = 'commission'), 0)
  FROM distribution_record r JOIN distribution d ON d.id = r.distribution_id
 WHERE r.state <> 'reversed' GROUP BY r.client_id, d.pool_id;

-- Numbers go on after those that were given here.
SELECT setval(pg_get_serial_sequence(t, 'id'), n) FROM (
    SELECT 'pool' AS t, max(id)::bigint AS n FROM pool UNION ALL SELECT 'client', max(id) FROM client UNION ALL SELECT 'cash_out', max(id) FROM cash_out
    UNION ALL SELECT 'distribution', max(id) FROM distribution UNION ALL SELECT 'distribution_record', max(id) FROM distribution_record
    UNION ALL SELECT 'journal_entry', max(id) FROM journal_entry) m;
