"""A simulated ATM: writes cash-outs into a Lamassu-shaped database, in the real order of writes.

A cash-out is an insert, some autocommit updates while coins arrive, and at the end one SERIALIZABLE transaction in
which the machine's own report of the notes is stored. What can happen to one is told in `atm_scenarios.py`.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal

import psycopg
from psycopg import IsolationLevel

SATS_PER_COIN = 100_000_000
_COIN_STEP = Decimal("0.000001")  # machines round coins to six decimals
_NOTE = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a machine charges. `ticker` is fiat per whole coin without commission; `commission` is a fraction."""

    fiat_code: str = "GTQ"
    ticker: Decimal = Decimal("826091.28")
    commission: Decimal = Decimal("0.055")
    discount: int | None = None

    def atoms(self, fiat: Decimal) -> int:
        """What the layperson is asked to pay for so much fiat, in satoshis: a multiple of 100."""
        effective = self.commission * (1 - Decimal(self.discount or 0) / 100)
        coins = fiat / (self.ticker * (1 - effective))
        return int(coins.quantize(_COIN_STEP, rounding=ROUND_HALF_EVEN) * SATS_PER_COIN)


class SimulatedAtm:
    """One machine. Its connection is the Lamassu server's: autocommit, a superuser, a search_path of its own.

    `ago`: all that it writes is dated back by so much.
    """

    def __init__(
        self,
        dsn: str,
        *,
        name: str = "Mercado Central",
        version: str = "10.0.3",
        terms: Terms | None = None,
        paired: bool = True,
    ) -> None:
        self.name = name
        self.device_id = hashlib.sha256(name.encode()).hexdigest()
        self.terms = terms or Terms()
        self.ago = timedelta()
        self._conn = psycopg.connect(dsn, autocommit=True)
        self._conn.isolation_level = IsolationLevel.SERIALIZABLE
        # The server's transactions commit under a search_path that names no schema: nothing may rely on it.
        self._conn.execute("SET search_path = lamassu_nowhere")
        if paired:
            self._conn.execute(
                "INSERT INTO public.devices (device_id, name, version) VALUES (%s, %s, %s)"
                " ON CONFLICT (device_id) DO NOTHING",
                (self.device_id, name, version),
            )

    def close(self) -> None:
        """Closes the connection."""
        self._conn.close()

    def __enter__(self) -> SimulatedAtm:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def unpair(self) -> None:
        """Takes the machine out of `devices`; its cash-outs stay."""
        self._conn.execute("DELETE FROM public.devices WHERE device_id = %s", (self.device_id,))

    def ask(
        self, fiat: Decimal, *, coin: str = "BTC", terms: Terms | None = None, ago: timedelta = timedelta()
    ) -> str:
        """A layperson asks for cash: the row is made. `ago` dates it back further. Gives its id."""
        charged = terms or self.terms
        external_id = str(uuid.uuid4())
        self._conn.execute(
            "INSERT INTO public.cash_out_txs (id, device_id, to_address, crypto_atoms, crypto_code, fiat,"
            " fiat_code, commission_percentage, discount, raw_ticker_price, tx_version, created, phone, email)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 1, now() - %s, %s, %s)",
            (external_id, self.device_id, "lnbc1private" if coin == "LN" else "bc1qprivate", charged.atoms(fiat),
             coin, fiat, charged.fiat_code, charged.commission, charged.discount, charged.ticker,
             self.ago + ago, "+502 5555 5555", "layperson@example.org"),
        )  # fmt: skip
        self._action(external_id, "provisionAddress")
        return external_id

    def coins(self, external_id: str, status: str, *, received: int | None = None) -> None:
        """The wallet's view of the coins changes: first sighting and first confirmation are dated."""
        self._conn.execute(
            "UPDATE public.cash_out_txs SET status = %s::public.status_stage, tx_version = tx_version + 1,"
            " received_crypto_atoms = coalesce(%s, crypto_atoms),"
            " published_at = CASE WHEN %s <> 'notSeen' THEN coalesce(published_at, now() - %s) END,"
            " confirmed_at = CASE WHEN %s = 'confirmed'"
            "  THEN coalesce(confirmed_at, date_trunc('milliseconds', now() - %s)) ELSE confirmed_at END"
            " WHERE id = %s",
            (status, received, status, self.ago, status, self.ago, external_id),
        )
        self._action(external_id, status)

    def redeem_later(self, external_id: str) -> None:
        """The layperson leaves, to fetch the cash another time."""
        self._update(external_id, "redeem = true")
        self._action(external_id, "redeemLater")

    def request_notes(self, external_id: str) -> None:
        """The machine is told to dispense."""
        self._update(external_id, "dispense = true")
        self._action(external_id, "provisionNotes")

    def report(self, external_id: str, *, notes: int | None = None, error: str | None = None) -> None:
        """The machine's report, in one SERIALIZABLE transaction. `notes` None: all of them came out."""
        with self._conn.transaction():
            row = self._conn.execute(
                "SELECT fiat FROM public.cash_out_txs WHERE id = %s FOR UPDATE", (external_id,)
            ).fetchone()
            assert row is not None
            due = int(row[0] / _NOTE)
            out = due if notes is None else notes
            self._conn.execute(
                "INSERT INTO public.cash_out_actions (tx_id, action, error, provisioned_1, dispensed_1,"
                " rejected_1, denomination_1, device_id, created)"
                " VALUES (%s, %s, %s, %s, %s, 0, %s, %s, now() - %s)",
                (
                    external_id,
                    "dispenseError" if error else "dispense",
                    error,
                    due,
                    out,
                    int(_NOTE),
                    self.device_id,
                    self.ago,
                ),
            )
            self._conn.execute(
                "UPDATE public.devices SET last_online = now() - %s WHERE device_id = %s",
                (self.ago, self.device_id),
            )
            self._conn.execute(
                "UPDATE public.cash_out_txs SET dispense = true, dispense_confirmed = %s,"
                " error = coalesce(%s, error), tx_version = tx_version + 1 WHERE id = %s",
                (out == due and error is None, error, external_id),
            )

    def cancel(self, external_id: str) -> None:
        """The operator cancels it by hand."""
        self._update(external_id, "dispense = true, error = 'Operator cancel', error_code = 'operatorCancel'")
        self._action(external_id, "operatorCompleted", error="Operator cancel")

    def refuse_score(self, external_id: str) -> None:
        """The scoring of the wallet refuses the coins."""
        self._update(external_id, "dispense = true, error = 'Chain analysis score is above threshold'")
        self._action(external_id, "provisionNotesError", error="Chain analysis score is above threshold")

    def backlog(self, count: int, *, fiat: Decimal = Decimal(1000), coin: str = "LN") -> None:
        """Many successes at once, in one transaction: for tests of catching up."""
        terms = self.terms
        with self._conn.transaction():
            self._conn.execute(
                "INSERT INTO public.cash_out_txs (id, device_id, to_address, crypto_atoms, crypto_code, fiat,"
                " fiat_code, status, dispense, dispense_confirmed, commission_percentage, discount,"
                " raw_ticker_price, tx_version, published_at, confirmed_at)"
                " SELECT gen_random_uuid(), %s, 'lnbc1private', %s, %s, %s, %s, 'confirmed', true, true,"
                " %s, %s, %s, 5, now(), now() FROM generate_series(1, %s)",
                (self.device_id, terms.atoms(fiat), coin, fiat, terms.fiat_code, terms.commission, terms.discount,
                 terms.ticker, count),
            )  # fmt: skip
            self._conn.execute(
                "INSERT INTO public.cash_out_actions (tx_id, action, device_id)"
                " SELECT t.id, 'dispense', t.device_id FROM public.cash_out_txs t WHERE t.created = now()"
            )

    def _update(self, external_id: str, assignments: str) -> None:
        text = f"UPDATE public.cash_out_txs SET {assignments}, tx_version = tx_version + 1 WHERE id = %s"  # noqa: S608
        self._conn.execute(text, (external_id,))

    def _action(self, external_id: str, action: str, *, error: str | None = None) -> None:
        self._conn.execute(
            "INSERT INTO public.cash_out_actions (tx_id, action, error, device_id, created)"
            " VALUES (%s, %s, %s, %s, now() - %s)",
            (external_id, action, error, self.device_id, self.ago),
        )
