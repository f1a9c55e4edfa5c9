"""Where somebody is paid: kept with its invoice key encrypted, told in words without it."""

from __future__ import annotations

import re

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import InputError
from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.services.audit import audit

_KEY = re.compile(r"[\x21-\x7e]{8,256}")


def given(
    *, invoice_key: str | None = None, lightning_address: str | None = None, lnurl: str | None = None
) -> Destination:
    """The destination that a person gave in one of these ways. Raises `InputError`; no message holds the key."""
    ways = [invoice_key is not None, lightning_address is not None, lnurl is not None]
    if ways.count(True) != 1:
        raise InputError(
            "give one destination: the invoice key of an LNbits wallet, a Lightning address, or an LNURL"
        )
    if lightning_address is not None:
        return Destination(DestinationKind.LIGHTNING_ADDRESS, address=lightning_address.strip().lower())
    if lnurl is not None:
        return Destination(DestinationKind.LNURL, address=lnurl.strip())
    assert invoice_key is not None
    if not _KEY.fullmatch(invoice_key.strip()):
        raise InputError(
            "this is no invoice key",
            remedy="it is one word of 8 to 256 characters without blanks",
            field="invoice_key",
        )
    return Destination(DestinationKind.LNBITS, invoice_key=invoice_key.strip())


def describe(kind: str, address: str | None, wallet_id: str | None, name: str | None) -> str:
    """A destination in words."""
    if kind == DestinationKind.LNBITS:
        return " ".join(filter(None, ("LNbits wallet", name and repr(name), wallet_id and f"({wallet_id})")))
    return address or ""


async def save_destination(
    conn: AsyncConnection, keys: KeyRing, destination: Destination, info: DestinationInfo
) -> int:
    """Keeps where somebody is paid, the invoice key encrypted; the destination's id."""
    key = destination.invoice_key
    destination_id: int = await scalar(
        conn,
        """INSERT INTO destination (kind, name, min_sats, address, wallet_id, invoice_key_encrypted)
           VALUES (:kind, :name, :min_sats, :address, :wallet_id, :key) RETURNING id""",
        name=info.name,
        min_sats=info.min_sats,
        kind=destination.kind,
        address=destination.address,
        wallet_id=destination.wallet_id,
        key=None if key is None else keys.encrypt(key),
    )
    return destination_id


async def check_keys(db: Database, keys: KeyRing) -> int:
    """Opens every stored invoice key; how many there are. Raises `ConfigError` when one can't be opened."""
    async with db.transaction() as conn:
        sealed = await rows(
            conn,
            """SELECT d.invoice_key_encrypted AS sealed FROM client c JOIN destination d ON d.id = c.destination_id
                WHERE d.invoice_key_encrypted IS NOT NULL""",
        )
    for r in sealed:
        keys.decrypt(bytes(r.sealed))
    return len(sealed)


# Everything that is kept encrypted: invoice keys, what signs webhooks, second factors of people.
_SEALED = (
    ("destination", "invoice_key_encrypted"),
    ("webhook", "secret_encrypted"),
    ("console_user", "totp_secret_encrypted"),
)


async def rotate_keys(db: Database, keys: KeyRing, *, actor: str) -> int:
    """Encrypts every stored secret with the first key of the key ring; how many there were."""

    async def work(conn: AsyncConnection) -> int:
        count = 0
        for table, column in _SEALED:
            found = await rows(
                conn,
                f"""SELECT id, {column} AS sealed FROM {table}
                     WHERE {column} IS NOT NULL ORDER BY id FOR UPDATE""",  # noqa: S608 - our own names
            )
            for r in found:
                await execute(
                    conn,
                    f"UPDATE {table} SET {column} = :sealed WHERE id = :id",  # noqa: S608 - our own names
                    id=r.id,
                    sealed=keys.rotate(bytes(r.sealed)),
                )
            count += len(found)
        await audit(conn, actor=actor, action="keys.rotate", subject="destinations", after={"count": count})
        return count

    return await db.run(work)
