"""Where somebody is paid: kept with its invoice key encrypted, told in words without it."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import ConfigError, InputError
from dca_daemon.ledger.db import Database, execute, rows, scalar
from dca_daemon.payouts.cipher import KeyRing
from dca_daemon.payouts.wallet import Destination, DestinationInfo, DestinationKind
from dca_daemon.services.audit import audit

_KEY = re.compile(r"[\x21-\x7e]{8,256}")


def given(
    *, invoice_key: str | None = None, lightning_address: str | None = None, lnurl: str | None = None
) -> Destination:
    """The destination that a person gave in one of these ways. Raises `InputError`; no message holds the key."""
    ways = {"invoice_key": invoice_key, "lightning_address": lightning_address, "lnurl": lnurl}
    used = [name for name, text in ways.items() if text is not None]
    if len(used) != 1:
        raise InputError(
            "give one destination: the invoice key of an LNbits wallet, a Lightning address, or an LNURL",
            field=used[-1] if used else "invoice_key",
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


INVOICE_KEYS, WEBHOOKS, SECOND_FACTORS = "invoice keys", "secrets of webhooks", "second factors"
_IN_USE = {
    INVOICE_KEYS: """SELECT d.invoice_key_encrypted AS sealed FROM destination d
                      WHERE d.invoice_key_encrypted IS NOT NULL AND d.id IN (SELECT destination_id FROM client)""",
    WEBHOOKS: "SELECT secret_encrypted AS sealed FROM webhook",
    SECOND_FACTORS: """SELECT totp_secret_encrypted AS sealed FROM console_user
                        WHERE totp_secret_encrypted IS NOT NULL""",
}


@dataclass(frozen=True, slots=True)
class Sealed:
    """How many of a kind are kept encrypted, and how many of them no key opens."""

    kind: str
    count: int
    lost: int


async def look_at_sealed(db: Database, keys: KeyRing) -> list[Sealed]:
    """Whether all that is in use can still be opened, by kind."""
    found = []
    async with db.transaction() as conn:
        for kind, query in _IN_USE.items():
            sealed = [bytes(r.sealed) for r in await rows(conn, query)]
            found.append(Sealed(kind, len(sealed), sum(not _opens(keys, one) for one in sealed)))
    return found


async def check_keys(db: Database, keys: KeyRing, kinds: Collection[str] = (INVOICE_KEYS,)) -> int:
    """Opens all that is kept encrypted of these kinds; how many there are. Raises `ConfigError` when one can't be.

    The daemon needs the invoice keys only: no webhook's secret keeps clients from being paid.
    """
    found = [one for one in await look_at_sealed(db, keys) if one.kind in kinds]
    lost = ", ".join(f"{one.lost} of {one.count} {one.kind}" for one in found if one.lost)
    if lost:
        raise ConfigError(
            f"none of the encryption keys fits what is stored: {lost}",
            remedy="put the key back that it was encrypted with, as a further line of security.encryption_keys",
        )
    return sum(one.count for one in found)


def _opens(keys: KeyRing, sealed: bytes) -> bool:
    try:
        keys.decrypt(sealed)
    except ConfigError:
        return False
    return True


# Everything that is kept encrypted: what is in use, former destinations, and for some days what programs were
# answered and people were shown.
_SEALED = (
    ("destination", "invoice_key_encrypted"),
    ("webhook", "secret_encrypted"),
    ("console_user", "totp_secret_encrypted"),
    ("idempotency_key", "body_sealed"),
    ("intent", "input_sealed"),
)


async def rotate_keys(db: Database, keys: KeyRing, *, actor: str) -> int:
    """Encrypts every stored secret with the first key of the key ring; how many there were."""

    async def work(conn: AsyncConnection) -> int:
        count = 0
        for table, column in _SEALED:
            found = await rows(
                conn,
                f"""SELECT ctid::text AS place, {column} AS sealed FROM {table}
                     WHERE {column} IS NOT NULL FOR UPDATE""",  # noqa: S608 - our own names
            )
            for r in found:
                await execute(
                    conn,
                    # It is locked, so that it stays where it was found.
                    f"UPDATE {table} SET {column} = :sealed WHERE ctid = CAST(:place AS tid)",  # noqa: S608
                    place=r.place,
                    sealed=keys.rotate(bytes(r.sealed)),
                )
            count += len(found)
        await audit(conn, actor=actor, action="keys.rotate", subject="destinations", after={"count": count})
        return count

    return await db.run(work)
