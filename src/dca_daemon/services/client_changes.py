"""What a client changes by itself, where the operator lets it: its mode, and its amount a day."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.errors import DcaError, InputError
from dca_daemon.ledger.db import Database, int_array, rows
from dca_daemon.ledger.one_transaction import OneTransaction
from dca_daemon.services import client_access, client_lists, clients, fixed_amounts
from dca_daemon.services.client_access import Permissions
from dca_daemon.services.clients import Mode
from dca_daemon.services.fixed_amounts import FixedAmount, FixedTerms
from dca_daemon.services.pools import Pool


@dataclass(frozen=True, slots=True)
class Switched:
    """How a client buys from now on, and the amounts that count while it is in Fixed Mode."""

    mode: Mode
    fixed: tuple[FixedTerms, ...]


class NotAllowedError(DcaError):
    """The operator does not let the client change this by itself."""

    code = "forbidden"


def actor_of(client_id: int) -> str:
    """For the audit log."""
    return f"client:{client_id}"


async def switch_mode(db: Database, client_id: int, mode: Mode) -> Switched:
    """Changes how the client buys from now on. Raises `NotAllowedError`."""

    async def work(conn: AsyncConnection) -> Switched:
        given = await client_access.permissions(conn, client_id, hold=True)
        _refuse_unless(given.may_switch_mode, "mode")
        whole = OneTransaction(db, conn)
        view = await clients.set_mode(whole, str(client_id), mode, actor=actor_of(client_id))
        return Switched(view.mode, await own_terms(conn, client_id))

    return await db.run(work)


async def change_amount(db: Database, client_id: int, per_day: str, pool: str | None = None) -> FixedAmount:
    """Sets what the client buys a day in Fixed Mode, up to the operator's maximum; `pool` by its name.

    It may be left out where the client has cash in one pool only. Raises `NotAllowedError`; `InputError` that says
    nothing of what is not the client's own.
    """

    async def work(conn: AsyncConnection) -> FixedAmount:
        given: Permissions = await client_access.permissions(conn, client_id, hold=True)
        _refuse_unless(given.may_change_amount, "amount a day")
        where = _chosen(await own_pools(conn, client_id), pool)
        try:
            return await fixed_amounts.change(
                OneTransaction(db, conn),
                str(client_id),
                per_day=per_day,
                pool_reference=str(where.pool_id),
                actor=actor_of(client_id),
            )
        except InputError as error:  # its remedy is for the operator
            raise InputError(error.message, field="per_day") from None

    return await db.run(work)


async def own_pools(conn: AsyncConnection, client_id: int) -> list[Pool]:
    """The pools in which the client has, or had, cash or a deposit."""
    found = await rows(conn, client_lists.BALANCES, ids=int_array([client_id]))
    return [Pool(r.pool_id, r.pool, r.currency) for r in found]


async def own_terms(conn: AsyncConnection, client_id: int) -> tuple[FixedTerms, ...]:
    """Fixed Mode as the client meets it, in each of these pools."""
    own = await own_pools(conn, client_id)
    return tuple([await fixed_amounts.terms(conn, client_id, where) for where in own])


def _refuse_unless(allowed: bool, what: str) -> None:
    if not allowed:
        raise NotAllowedError(f"you can't change your {what} by yourself", remedy="ask the operator")


def _chosen(own: list[Pool], name: str | None) -> Pool:
    if name is None and len(own) == 1:
        return own[0]
    found = [one for one in own if name is not None and one.name.lower() == name.strip().lower()]
    if found:
        return found[0]
    if not own:
        raise InputError("you have no cash in any machine yet", field="per_day")
    text = "in which pool?" if name is None else "you have nothing in a pool of that name"
    raise InputError(f"{text} ({', '.join(one.name for one in own)})", field="pool")
