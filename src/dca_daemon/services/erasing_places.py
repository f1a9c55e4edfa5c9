"""Where a client's personal data stand, and how each place loses them. docs/privacy.md is the inventory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.ledger.db import execute, rows

# Texts in which somebody may be named: words of the client go from them, the rest stays. What a person gave as the
# reason for a change of money is such a text even where it is about this client alone.
TEXTS: Mapping[str, tuple[str, ...]] = {
    "journal_entry": ("cause",),
    "cash_out": ("reason_text", "entry_reason", "error"),
    "distribution": ("reason",),
    "deposit": ("note", "void_reason"),
    "payout": ("reason",),
    "commission_version": ("reason",),
    "fixed_run": ("reason",),
    "cash_movement": ("reason",),
    "adjustment": ("reason", "corrects"),
    "treasury_move": ("reason",),
    "intake_filter": ("reason",),
    "webhook": ("disabled_reason",),
    "webhook_delivery": ("body", "last_error"),
}
JSON: Mapping[str, tuple[str, ...]] = {
    "cash_out_log": ("detail",),
    "payout_log": ("detail",),
    "reconcile_run": ("not_compared", "differences", "notes"),
    "import_run": ("summary",),
}
# Reasons of these stay, but for the client's words: they explain the books.
_OF_MONEY = ("client.adjust", "deposit.give-back", "deposit.void", "fixed.set-amount")


async def own_subjects(conn: AsyncConnection, client_id: int) -> list[str]:
    """What the audit log and the feed of events call this client, its deposits and its tokens."""
    found = await rows(
        conn,
        """SELECT 'client:' || CAST(:id AS text) AS subject
            UNION ALL SELECT 'deposit:' || id FROM deposit WHERE client_id = :id
            UNION ALL SELECT subject FROM audit_log
                       WHERE action = 'token.add' AND after ->> 'client_id' = CAST(:id AS text)""",
        id=client_id,
    )
    return [r.subject for r in found]


async def known_words(conn: AsyncConnection, client_id: int) -> set[str]:
    """What the client was ever called, and the addresses and ids of where it was paid."""
    found = await rows(
        conn,
        """WITH own AS (SELECT d.address, d.wallet_id FROM destination d
                         WHERE d.id IN (SELECT destination_id FROM client WHERE id = :id
                                         UNION SELECT destination_id FROM payout WHERE client_id = :id)),
                told AS (SELECT jsonb_array_elements(jsonb_build_array(before, after)) AS said FROM audit_log
                          WHERE subject = 'client:' || CAST(:id AS text))
           SELECT word FROM (
               SELECT address AS word FROM own UNION SELECT wallet_id FROM own
               UNION SELECT receiver_wallet_id FROM payout WHERE client_id = :id
               UNION SELECT external_id FROM client_opening WHERE client_id = :id
               UNION SELECT said ->> 'name' FROM told
               UNION SELECT said ->> 'destination' FROM told
                      WHERE said ->> 'destination' NOT LIKE 'LNbits wallet%') w
            WHERE length(word) > 1""",
        id=client_id,
    )
    return {r.word for r in found}


@dataclass(frozen=True, slots=True)
class Places:
    """Within the transaction that erases it. `subjects`: what the logs call it, and what is only its own."""

    conn: AsyncConnection
    client_id: int
    subjects: Sequence[str]
    words: Collection[str]

    async def access(self) -> int:
        """Its tokens and permissions go."""
        await execute(self.conn, "DELETE FROM client_permission WHERE client_id = :id", id=self.client_id)
        return await execute(self.conn, "DELETE FROM api_token WHERE client_id = :id", id=self.client_id)

    async def links(self) -> int:
        """Its personal links go."""
        return await execute(self.conn, "DELETE FROM client_link WHERE client_id = :id", id=self.client_id)

    async def destinations(self) -> int:
        """Where it was paid: what is left can't be paid to, and names nobody. The payouts' invoices go too; their
        hashes stay, which prove them."""
        await execute(
            self.conn,
            """UPDATE payout SET bolt11 = CASE WHEN bolt11 IS NULL THEN NULL ELSE 'erased' END,
                                 receiver_wallet_id = NULL
                WHERE client_id = :id AND (bolt11 IS NOT NULL OR receiver_wallet_id IS NOT NULL)""",
            id=self.client_id,
        )
        await execute(  # former ones that were never paid to: others of no known address go by and by (retention)
            self.conn,
            """DELETE FROM destination WHERE (address = ANY(:words) OR wallet_id = ANY(:words))
                  AND NOT EXISTS (SELECT FROM client WHERE destination_id = destination.id)
                  AND NOT EXISTS (SELECT FROM payout WHERE destination_id = destination.id)""",
            words=list(self.words),
        )
        return await execute(
            self.conn,
            """UPDATE destination SET kind = 'lightning-address', address = 'erased', name = NULL,
                                      wallet_id = NULL, invoice_key_encrypted = NULL
                WHERE id IN (SELECT destination_id FROM client WHERE id = :id
                              UNION SELECT destination_id FROM payout WHERE client_id = :id)""",
            id=self.client_id,
        )

    async def texts(self) -> dict[str, int]:
        """Everything else; how many rows were changed or removed, by table."""
        counts = {
            "audit_log": await self._own_changes()
            + await self._json("audit_log", ("before", "after"), ("reason",)),
            "event": await self._own_events() + await self._json("event", ("data",)),
            "webhook_delivery": await self._own_deliveries(),
            "deposit": await self._own(
                "UPDATE deposit SET note = erased_name(:id) WHERE client_id = :id AND note IS NOT NULL"
            ),
            "client_opening": await self._own(
                "UPDATE client_opening SET external_id = erased_name(:id) WHERE client_id = :id"
            ),
        }
        for table, columns in TEXTS.items():
            counts[table] = counts.get(table, 0) + await self._json(table, (), columns)
        for table, columns in JSON.items():
            counts[table] = await self._json(table, columns)
        return {table: count for table, count in counts.items() if count}

    async def _own(self, sql: str) -> int:
        return await execute(self.conn, sql, id=self.client_id)

    async def _own_changes(self) -> int:
        reason = """CASE WHEN action = ANY(:money) THEN erased_text(reason, :id)
                         WHEN reason IS NOT NULL THEN erased_name(:id) END"""
        return await self._changed(
            "audit_log",
            {
                "before": "erased_json(before, :id, true)",
                "after": "erased_json(after, :id, true)",
                "reason": reason,
            },
            "subject = ANY(:subjects)",
            subjects=list(self.subjects),
            money=list(_OF_MONEY),
        )

    async def _own_events(self) -> int:
        return await self._changed(
            "event",
            {"data": "erased_json(data, :id, true)"},
            "subject = ANY(:subjects)",
            subjects=list(self.subjects),
        )

    async def _own_deliveries(self) -> int:
        """What was sent of it goes; what has still to be sent loses the words only."""
        return await execute(
            self.conn,
            """DELETE FROM webhook_delivery d USING event e
                WHERE e.id = d.event_id AND e.subject = ANY(:subjects) AND d.ended_at IS NOT NULL""",
            subjects=list(self.subjects),
        )

    async def _json(self, table: str, documents: Sequence[str], texts: Sequence[str] = ()) -> int:
        """Takes the words from these columns of all rows that have one of them."""
        new = {
            **{column: f"erased_json({column}, :id, false)" for column in documents},
            **{column: f"erased_text({column}, :id)" for column in texts},
        }
        found = " OR ".join(f"CAST({column} AS text) ILIKE ANY(:likes)" for column in new)
        likes = list({f"%{_literal(word).lower()}%" for word in self.words})
        return await self._changed(table, new, f"({found})", likes=likes)

    async def _changed(self, table: str, new: Mapping[str, str], which: str, **given: object) -> int:
        """Sets columns where that changes something; in how many rows."""
        sets = ", ".join(f"{column} = {erased}" for column, erased in new.items())
        differs = " OR ".join(f"{column} IS DISTINCT FROM {erased}" for column, erased in new.items())
        sql = f"UPDATE {table} SET {sets} WHERE {which} AND ({differs})"  # noqa: S608 - our own names
        return await execute(self.conn, sql, id=self.client_id, **given)


def _literal(word: str) -> str:
    """For LIKE."""
    return word.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
