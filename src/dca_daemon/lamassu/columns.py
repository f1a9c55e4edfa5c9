"""What we read of Lamassu's database, column by column: one list for the reader, the grants and the check.

Everything that is not named here (addresses, phone numbers, customers, keys) is never read and never granted.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "public"
CASH_OUT_TXS = "cash_out_txs"
CASH_OUT_ACTIONS = "cash_out_actions"
DEVICES = "devices"


@dataclass(frozen=True, slots=True)
class Column:
    """One column that we read. `types` are the PostgreSQL types that we know how to read it from."""

    table: str
    name: str
    types: tuple[str, ...]
    required: bool = True


_TEXT = ("text", "varchar", "bpchar")
_NUMBER = ("numeric", "int2", "int4", "int8")
_ENUM_OR_TEXT = ("*",)  # read as text, whatever it is

COLUMNS: tuple[Column, ...] = (
    Column(CASH_OUT_TXS, "id", ("uuid",)),
    Column(CASH_OUT_TXS, "device_id", _TEXT),
    Column(CASH_OUT_TXS, "crypto_atoms", _NUMBER),
    Column(CASH_OUT_TXS, "crypto_code", _TEXT),
    Column(CASH_OUT_TXS, "fiat", _NUMBER),
    Column(CASH_OUT_TXS, "fiat_code", _TEXT),
    Column(CASH_OUT_TXS, "status", _ENUM_OR_TEXT),
    Column(CASH_OUT_TXS, "dispense", ("bool",)),
    Column(CASH_OUT_TXS, "dispense_confirmed", ("bool",)),
    Column(CASH_OUT_TXS, "redeem", ("bool",)),
    Column(CASH_OUT_TXS, "error", _TEXT),
    Column(CASH_OUT_TXS, "error_code", _TEXT),
    Column(CASH_OUT_TXS, "created", ("timestamptz",)),
    Column(CASH_OUT_TXS, "confirmed_at", ("timestamptz",)),
    Column(CASH_OUT_TXS, "commission_percentage", _NUMBER),
    Column(CASH_OUT_TXS, "discount", _NUMBER),
    Column(CASH_OUT_TXS, "raw_ticker_price", _NUMBER),
    Column(CASH_OUT_TXS, "tx_version", _NUMBER),
    Column(CASH_OUT_TXS, "fixed_fee", _NUMBER, required=False),  # release 10.2 on
    Column(CASH_OUT_ACTIONS, "id", ("int4", "int8"), required=False),
    Column(CASH_OUT_ACTIONS, "tx_id", ("uuid",), required=False),
    Column(CASH_OUT_ACTIONS, "action", _TEXT, required=False),
    Column(CASH_OUT_ACTIONS, "created", ("timestamptz",), required=False),
    Column(DEVICES, "device_id", _TEXT, required=False),
    Column(DEVICES, "name", _TEXT, required=False),
    Column(DEVICES, "version", _TEXT, required=False),
)
