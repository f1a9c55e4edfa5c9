"""A database shaped like Lamassu's, written by us from facts about it. No code of Lamassu is in here.

Only what a reader can meet: the columns we read, the private ones that we must not, the tables beside them.
"""

from __future__ import annotations

import psycopg

_STATUSES = (
    "notSeen", "published", "authorized", "instant", "confirmed", "rejected", "insufficientFunds",
)  # fmt: skip
ANONYMOUS_CUSTOMER = "47ac1184-8102-11e7-9079-8f13a7117867"

_UNITS = [*map(str, range(1, 5)), *(f"recycler_{n}" for n in range(1, 7))]
_UNIT_COLUMNS = ",\n  ".join(
    f"{what}_{unit} integer"
    for unit in _UNITS
    for what in ("provisioned", "dispensed", "rejected", "denomination")
)

DDL = f"""
CREATE TYPE public.status_stage AS ENUM ({", ".join(f"'{status}'" for status in _STATUSES)});

CREATE TABLE public.devices (
  device_id text PRIMARY KEY,
  name text,
  version text,
  cashbox integer NOT NULL DEFAULT 0,
  paired boolean NOT NULL DEFAULT true,
  last_online timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE public.customers (
  id uuid PRIMARY KEY,
  phone text,
  id_card_data text,
  created timestamptz NOT NULL DEFAULT now()
);
INSERT INTO public.customers (id) VALUES ('{ANONYMOUS_CUSTOMER}');

CREATE TABLE public.user_config (
  id serial PRIMARY KEY,
  type text NOT NULL,
  data text NOT NULL
);
INSERT INTO public.user_config (type, data) VALUES ('accounts', '{{"exchange": {{"key": "in clear"}}}}');

CREATE TABLE public.users (id uuid PRIMARY KEY, username text, password text);
CREATE TABLE public.cash_in_txs (id uuid PRIMARY KEY, to_address text NOT NULL, fiat numeric(14,5) NOT NULL);

CREATE TABLE public.cash_out_txs (
  id uuid PRIMARY KEY,
  device_id text NOT NULL,
  to_address text NOT NULL,
  crypto_atoms numeric(30,0) NOT NULL,
  crypto_code text NOT NULL,
  fiat numeric(14,5) NOT NULL,
  fiat_code text NOT NULL,
  status public.status_stage NOT NULL DEFAULT 'notSeen',
  dispense boolean NOT NULL DEFAULT false,
  dispense_confirmed boolean DEFAULT false,
  redeem boolean NOT NULL DEFAULT false,
  notified boolean NOT NULL DEFAULT false,
  swept boolean NOT NULL DEFAULT false,
  error text,
  error_code text,
  created timestamptz NOT NULL DEFAULT now(),
  last_checked timestamptz DEFAULT now(),
  published_at timestamptz,
  confirmed_at timestamptz,
  timedout boolean NOT NULL DEFAULT false,
  commission_percentage numeric(14,5) DEFAULT NULL,
  discount smallint,
  raw_ticker_price numeric(14,5) DEFAULT NULL,
  received_crypto_atoms numeric(30,0) DEFAULT NULL,
  tx_version integer NOT NULL,
  hd_index integer DEFAULT 0,
  layer_2_address text,
  customer_id uuid DEFAULT '{ANONYMOUS_CUSTOMER}' REFERENCES public.customers (id),
  phone text,
  email text,
  customer_photo_path text
);
CREATE INDEX cash_out_txs_hd_index ON public.cash_out_txs (hd_index);

CREATE TABLE public.cash_out_actions (
  id serial PRIMARY KEY,
  tx_id uuid NOT NULL,
  action text NOT NULL,
  error text,
  error_code text,
  tx_hash text,
  to_address text,
  redeem boolean,
  {_UNIT_COLUMNS},
  device_id text,
  created timestamptz NOT NULL DEFAULT now()
);
"""  # noqa: S608 - only constants go into it

FIXED_FEE_DDL = "ALTER TABLE public.cash_out_txs ADD COLUMN fixed_fee numeric(14,5) NOT NULL DEFAULT 0;"


def create_schema(dsn: str, *, fixed_fee: bool = False) -> None:
    """Makes the tables in an empty database, in one transaction. `fixed_fee`: as from release 10.2 on."""
    with psycopg.connect(dsn) as conn:
        conn.execute(DDL.encode())
        if fixed_fee:
            conn.execute(FIXED_FEE_DDL.encode())
