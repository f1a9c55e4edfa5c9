"""The reader's role can do what we need, and nothing else."""

from __future__ import annotations

import psycopg
import pytest

from dca_daemon.domain.errors import ConfigError
from dca_daemon.lamassu.grants import grants_sql
from tests.fixtures.postgres import READER_ROLE, LamassuDb

READABLE = "SELECT id, device_id, crypto_atoms, fiat, status, dispense_confirmed, created FROM public.cash_out_txs"
FORBIDDEN = [
    "SELECT to_address FROM public.cash_out_txs",
    "SELECT phone FROM public.cash_out_txs",
    "SELECT customer_id FROM public.cash_out_txs",
    "SELECT * FROM public.cash_out_txs",
    "SELECT to_address FROM public.cash_out_actions",
    "SELECT id FROM public.customers",
    "SELECT data FROM public.user_config",
    "SELECT id FROM public.users",
    "SELECT id FROM public.cash_in_txs",
    "UPDATE public.cash_out_txs SET fiat = 1",
    "DELETE FROM public.cash_out_txs",
    "SELECT id FROM public.cash_out_txs FOR UPDATE",
    "SELECT id FROM public.cash_out_txs FOR KEY SHARE",
    "LOCK TABLE public.cash_out_txs IN ROW EXCLUSIVE MODE",
]


def test_the_reader_reads_what_it_needs(lamassu_db: LamassuDb) -> None:
    with psycopg.connect(lamassu_db.reader_dsn, autocommit=True) as conn:
        conn.execute(READABLE)
        conn.execute("SELECT id, tx_id, action, created FROM public.cash_out_actions")
        conn.execute("SELECT device_id, name, version FROM public.devices")
        conn.execute("LISTEN dca_cash_out")


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_the_reader_can_do_nothing_else(lamassu_db: LamassuDb, statement: str) -> None:
    with psycopg.connect(lamassu_db.reader_dsn) as conn:
        conn.execute("SET TRANSACTION READ WRITE")  # the read-only default is not what protects
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute(statement.encode())


def test_the_role_has_its_timeouts(lamassu_db: LamassuDb) -> None:
    with psycopg.connect(lamassu_db.reader_dsn) as conn:
        settings = {
            name: conn.execute("SELECT current_setting(%s)", (name,)).fetchone()
            for name in (
                "default_transaction_read_only",
                "statement_timeout",
                "idle_in_transaction_session_timeout",
            )
        }
    assert settings == {
        "default_transaction_read_only": ("on",),
        "statement_timeout": ("30s",),
        "idle_in_transaction_session_timeout": ("30s",),
    }


def test_the_grants_may_be_run_again(lamassu_db: LamassuDb) -> None:
    with psycopg.connect(lamassu_db.admin_dsn) as conn:
        conn.execute(grants_sql(READER_ROLE, lamassu_db.database).encode())


@pytest.mark.parametrize("role", ["", "a b", 'x"; DROP TABLE cash_out_txs; --', "r" * 64, "$dca$", "1st"])
def test_a_role_that_cannot_be_one_is_refused(role: str) -> None:
    with pytest.raises(ConfigError):
        grants_sql(role, "lamassu")
