"""The cash that should be in the machines: added up from what happened, and agreed with the books."""

from __future__ import annotations

from dataclasses import dataclass, fields

from dca_daemon.domain.errors import BooksError
from dca_daemon.ledger.db import Database, for_sums, rows
from dca_daemon.services import pools
from dca_daemon.services.pools import Pool


@dataclass(frozen=True, slots=True)
class MachineCash:
    """What came into a machine and left it, in minor units, while it was in the pool.

    `device_id` is None for what nobody told the machine of.
    """

    device_id: str | None
    name: str | None
    here: bool  # whether the machine is in the pool now
    deposits_minor: int
    refills_minor: int
    removals_minor: int
    dispensed_minor: int
    given_back_minor: int

    @property
    def cash_minor(self) -> int:
        """What should be in it."""
        return (
            self.deposits_minor
            + self.refills_minor
            - self.removals_minor
            - self.dispensed_minor
            - self.given_back_minor
        )


@dataclass(frozen=True, slots=True)
class PoolCash:
    """A pool's cash: by machine, and whose it is."""

    pool: Pool
    machines: tuple[MachineCash, ...]
    cash_minor: int
    clients_minor: int
    house_minor: int

    def __post_init__(self) -> None:
        added_up = sum(machine.cash_minor for machine in self.machines)
        if added_up != self.cash_minor or self.clients_minor + self.house_minor != self.cash_minor:
            raise BooksError(
                f"the cash of pool {self.pool.name!r} does not add up: machines {added_up}, "
                f"books {self.cash_minor}, clients {self.clients_minor}, house {self.house_minor}",
                remedy="stop, and run: dca-daemon ledger verify",
            )


async def report(db: Database, pool: str | None = None) -> list[PoolCash]:
    """Every pool, or one, in one snapshot of the books. Raises `BooksError` when it does not add up."""
    async with db.transaction() as conn:
        await conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        await for_sums(conn)
        only = None if pool is None else (await pools.find(conn, pool)).pool_id
        by_machine = await rows(conn, _BY_MACHINE, only=only)
        kept = await rows(conn, _KEPT, only=only)
    machines: dict[int, list[MachineCash]] = {}
    names = [f.name for f in fields(MachineCash)]
    for r in by_machine:
        values = {name: r._mapping[name] for name in names}
        minor = {name: int(value) for name, value in values.items() if name.endswith("_minor")}
        machines.setdefault(r.pool_id, []).append(MachineCash(**{**values, **minor}))
    return [
        PoolCash(
            Pool(r.id, r.name, r.currency),
            tuple(machines.get(r.id, ())),
            int(r.cash_minor),
            int(r.clients_minor),
            int(r.house_minor),
        )
        for r in kept
    ]


_BY_MACHINE = """
    WITH moved (pool_id, device_id, deposits, refills, removals, dispensed, given_back) AS (
        SELECT pool_id, device_id, CAST(sum(amount_minor) AS bigint), 0, 0, 0, 0
          FROM deposit WHERE state = 'confirmed' GROUP BY pool_id, device_id
         UNION ALL
        SELECT pool_id, device_id, 0,
               CASE kind WHEN 'refill' THEN amount_minor ELSE 0 END,
               CASE kind WHEN 'removal' THEN amount_minor ELSE 0 END, 0,
               CASE kind WHEN 'give-back' THEN amount_minor ELSE 0 END
          FROM cash_movement
         UNION ALL
        SELECT d.pool_id, c.device_id, 0, 0, 0, CAST(sum(d.fiat_minor) AS bigint), 0
          FROM cash_out c JOIN distribution d ON d.cash_out_id = c.id
         WHERE d.kind = 'cash-out' AND d.reversed_at IS NULL GROUP BY d.pool_id, c.device_id
         UNION ALL
        SELECT pool_id, device_id, 0, 0, 0, 0, 0 FROM machine)
    SELECT t.pool_id, t.device_id, m.name, m.pool_id IS NOT DISTINCT FROM t.pool_id AS here,
           sum(t.deposits) AS deposits_minor, sum(t.refills) AS refills_minor, sum(t.removals) AS removals_minor,
           sum(t.dispensed) AS dispensed_minor, sum(t.given_back) AS given_back_minor
      FROM moved t LEFT JOIN machine m ON m.device_id = t.device_id
     WHERE CAST(:only AS integer) IS NULL OR t.pool_id = :only
     GROUP BY t.pool_id, t.device_id, m.name, m.pool_id
     ORDER BY t.pool_id, t.device_id IS NULL, m.name, t.device_id"""

_KEPT = """
    SELECT p.id, p.name, p.currency,
           coalesce(sum(a.balance) FILTER (WHERE a.purpose = 'cash'), 0) AS cash_minor,
           coalesce(-sum(a.balance) FILTER (WHERE a.purpose = 'client-fiat'), 0) AS clients_minor,
           coalesce(-sum(a.balance) FILTER (WHERE a.purpose = 'house-fiat'), 0) AS house_minor
      FROM pool p LEFT JOIN account a ON a.pool_id = p.id
     WHERE CAST(:only AS integer) IS NULL OR p.id = :only
     GROUP BY p.id ORDER BY p.id"""
