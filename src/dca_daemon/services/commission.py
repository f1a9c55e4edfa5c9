"""Commission shares: who gets how much of each commission, and when it becomes payable.

A change is a new version of the whole set; each commission record names the version that it was booked by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from dca_daemon.domain.cash_out import MAX_CASH_OUT_SATS
from dca_daemon.domain.commission import BASIS_POINTS, Pay, parse_percent, percent_decimal, percent_text
from dca_daemon.domain.errors import ConflictError, InputError, NotFoundError
from dca_daemon.domain.money import sats_text
from dca_daemon.domain.schedule import daily_times
from dca_daemon.domain.text import plain
from dca_daemon.ledger.db import Database, execute, int_array, one, rows, scalar
from dca_daemon.ledger.pages import Conditions, anchor
from dca_daemon.services import clients, commission_release
from dca_daemon.services.audit import audit
from dca_daemon.services.commission_release import Released, lock

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class PayRule:
    """When what was shared becomes payable. `times` are local times like `18:30` in `zone`."""

    pay: Pay = Pay.AT_ONCE
    times: tuple[str, ...] = ()
    zone: str | None = None
    from_sats: int | None = None

    @property
    def text(self) -> str:
        """For people."""
        if self.pay is Pay.AT_TIMES:
            return f"gathered, and paid daily at {', '.join(self.times)} ({self.zone})"
        if self.pay is Pay.FROM_AMOUNT:
            assert self.from_sats is not None
            return f"gathered, and paid to each receiver once it comes to {sats_text(self.from_sats)}"
        return "paid at once, with each cash-out"


@dataclass(frozen=True, slots=True)
class ShareOf:
    """One receiver's share in a version."""

    client_id: int
    name: str
    basis_points: int
    active: bool


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the shares; the newest is in force. Without any, all commission is the house's."""

    version_id: int | None
    rule: PayRule
    shares: tuple[ShareOf, ...]
    reason: str | None = None
    created_at: datetime | None = None
    actor: str | None = None

    @property
    def shared_basis_points(self) -> int:
        """What the active shares come to."""
        return sum(s.basis_points for s in self.shares if s.active)

    @property
    def house_basis_points(self) -> int:
        """What stays with the house."""
        return BASIS_POINTS - self.shared_basis_points


NO_VERSION = Version(None, PayRule(), ())


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for. None: as it is in the version in force.

    `shares` are (client or receiver, percentage as typed), the whole set; `active` and `inactive` name those of
    them that get something, or nothing, from now on.
    """

    shares: tuple[tuple[str, str], ...] | None = None
    active: tuple[str, ...] = ()
    inactive: tuple[str, ...] = ()
    rule: PayRule | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A new version beside the one that it replaces, and what it makes payable at once."""

    before: Version
    after: Version
    freed_sats: int
    names: Mapping[int, str]


def pay_rule(*, at_once: bool, times: Sequence[str], zone: str | None, from_sats: int | None) -> PayRule | None:
    """The rule that a person asked for; None when nothing was said. Raises `InputError`."""
    said = {"at_once": at_once, "times": bool(times), "from_sats": from_sats is not None}
    if sum(said.values()) > 1:
        last = [name for name, given in said.items() if given][-1]
        raise InputError("say once when it is paid: at once, at times, or from an amount on", field=last)
    if bool(times) != (zone is not None):
        remedy, field = "add --pay-at and --zone", "zone" if times else "times"
        raise InputError("times of the day need a zone, and a zone needs times", remedy=remedy, field=field)
    if times:
        assert zone is not None
        checked = daily_times(zone.strip(), [text.strip() for text in times])
        return PayRule(Pay.AT_TIMES, checked.times, checked.zone)
    if from_sats is not None:
        if not 0 < from_sats <= MAX_CASH_OUT_SATS:
            most = sats_text(MAX_CASH_OUT_SATS)
            raise InputError(f"the amount to pay from is 1 to {most}, not {from_sats}", field="from_sats")
        return PayRule(Pay.FROM_AMOUNT, from_sats=from_sats)
    return PayRule() if at_once else None


def parse_shares(text: str) -> Wish:
    """Shares as a person writes them, all of them, a line each: `Ana: 20`, or `Ana: 20 inactive` for one that gets
    nothing for now. Raises `InputError` with what is wrong in each line."""
    shares: list[tuple[str, str]] = []
    inactive: list[str] = []
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, colon, percent = line.rpartition(":")
        share = percent.strip().removesuffix("inactive").strip()
        try:
            if not colon or not name.strip():
                raise InputError(f"{plain(line.strip())!r} is no share", remedy="write it like Ana: 20")
            parse_percent(share)
        except InputError as error:
            wrong.append(f"line {number}: {error}")
        shares.append((name.strip(), share))
        if share != percent.strip():
            inactive.append(name.strip())
    if wrong:
        raise InputError("; ".join(wrong), field="shares")
    return Wish(shares=tuple(shares), inactive=tuple(inactive))


def listed_shares(shares: Sequence[tuple[str, str, bool]]) -> Wish:
    """The same of a list: receiver, percentage as typed, whether it gets something now. Raises `InputError`."""
    for receiver, percent, _ in shares:
        try:
            parse_percent(percent)
        except InputError as error:
            raise InputError(f"{plain(receiver)}: {error.message}", field="shares") from None
    inactive = tuple(receiver for receiver, _, active in shares if not active)
    return Wish(tuple((receiver, percent) for receiver, percent, _ in shares), inactive=inactive)


def written_shares(version: Version) -> str:
    """The shares as `parse_shares` reads them."""
    return "\n".join(
        f"{s.name}: {percent_decimal(s.basis_points)}" + ("" if s.active else " inactive") for s in version.shares
    )


_VERSION = "SELECT id, pay, pay_times, zone, pay_from_sats, reason, created_at, actor FROM commission_version"


async def in_force(conn: AsyncConnection) -> Version:
    """The newest version, with its shares."""
    found = await versions(conn, limit=1)
    return found[0] if found else NO_VERSION


async def versions(conn: AsyncConnection, *, limit: int, after: int | None = None) -> list[Version]:
    """The newest versions first, from after the version `after` on. Raises `NotFoundError`."""
    conditions = Conditions()
    conditions.given("id < :after", after=after)
    if after is not None:
        await anchor(conn, "version", "SELECT id FROM commission_version WHERE id = :after", after)
    query = f"{_VERSION} {conditions.where} ORDER BY id DESC LIMIT :limit"
    found = await rows(conn, query, limit=limit, **conditions.values)
    shares: dict[int, list[ShareOf]] = {}
    for s in await rows(
        conn,
        """SELECT s.version_id, s.client_id, c.name, s.basis_points, s.active
             FROM commission_share s JOIN client c ON c.id = s.client_id
            WHERE s.version_id = ANY(CAST(:ids AS bigint[])) ORDER BY s.client_id""",
        ids=int_array(v.id for v in found),
    ):
        shares.setdefault(s.version_id, []).append(ShareOf(s.client_id, s.name, s.basis_points, s.active))
    return [
        Version(
            version_id=v.id,
            rule=PayRule(Pay(v.pay), tuple(v.pay_times), v.zone, v.pay_from_sats),
            shares=tuple(shares.get(v.id, ())),
            reason=v.reason,
            created_at=v.created_at,
            actor=v.actor,
        )
        for v in found
    ]


async def list_versions(db: Database, *, limit: int = 50, after: int | None = None) -> list[Version]:
    """The same, in a transaction of its own."""
    async with db.transaction() as conn:
        return await versions(conn, limit=limit, after=after)


async def preview(db: Database, wish: Wish) -> Change:
    """What a new version would be. Raises `InputError`; changes nothing."""
    async with db.transaction() as conn:
        return await _change(conn, wish)


async def apply(db: Database, wish: Wish, *, seen: Version, reason: str | None, actor: str) -> Change:
    """Makes the new version, in force from the next cash-out on.

    `seen` is the version that the person looked at: raises `ConflictError` when another was made meanwhile.
    """

    async def work(conn: AsyncConnection) -> tuple[Change, list[Released]]:
        await lock(conn)
        change = await _change(conn, wish)
        if change.before.version_id != seen.version_id:
            raise ConflictError(
                "the commission shares were changed meanwhile", remedy="look again: dca-daemon commission show"
            )
        now: datetime = await scalar(conn, "SELECT now()")
        # What the old version has made payable by now still is.
        released = await commission_release.release_due(conn, now, actor=actor)
        version_id = await _insert(conn, change.after, reason, actor)
        released += await commission_release.release_due(conn, now, actor=actor)
        await audit(
            conn,
            actor=actor,
            action="commission.set",
            subject=f"commission-version:{version_id}",
            before=_plain(change.before),
            after=_plain(change.after),
            reason=reason,
        )
        freed_sats = sum(r.sats for r in released)
        return replace(change, after=await in_force(conn), freed_sats=freed_sats), released

    change, released = await db.run(work)
    for one_release in released:
        commission_release.tell(one_release)
    log.info(
        "commission.set",
        version_id=change.after.version_id,
        shared_basis_points=change.after.shared_basis_points,
        receivers=len(change.after.shares),
        pay=change.after.rule.pay,
    )
    return change


async def _insert(conn: AsyncConnection, version: Version, reason: str | None, actor: str) -> int:
    rule = version.rule
    version_id: int = await scalar(
        conn,
        """INSERT INTO commission_version (pay, pay_times, zone, pay_from_sats, reason, actor)
           VALUES (:pay, :times, :zone, :from_sats, :reason, :actor) RETURNING id""",
        pay=rule.pay,
        times=list(rule.times),
        zone=rule.zone,
        from_sats=rule.from_sats,
        reason=reason,
        actor=actor,
    )
    if version.shares:
        await execute(
            conn,
            """INSERT INTO commission_share (version_id, client_id, basis_points, active)
               SELECT :version, * FROM unnest(CAST(:clients AS bigint[]), CAST(:points AS integer[]),
                                              CAST(:active AS boolean[]))""",
            version=version_id,
            clients=[s.client_id for s in version.shares],
            points=[s.basis_points for s in version.shares],
            active=[s.active for s in version.shares],
        )
    return version_id


def _plain(version: Version) -> dict[str, Any] | None:
    """For the audit log."""
    if version.version_id is None and not version.shares and version.rule == PayRule():
        return None
    return {
        "pay": version.rule.text,
        "shares": {
            f"client:{s.client_id}": percent_text(s.basis_points) + ("" if s.active else " (inactive)")
            for s in version.shares
        },
    }


async def _change(conn: AsyncConnection, wish: Wish) -> Change:
    before = await in_force(conn)
    rule = wish.rule or before.rule
    shares = await _shares(conn, before, wish)
    if (rule, shares) == (before.rule, before.shares):
        raise InputError(
            "that is how the commission is shared already",
            remedy="see: dca-daemon commission show",
            field="shares",
        )
    after = Version(None, rule, shares)
    if after.shared_basis_points > BASIS_POINTS:
        raise InputError(
            f"the shares come to {percent_text(after.shared_basis_points)}: 100 % is all there is", field="shares"
        )
    freed_sats = await commission_release.gathered_sats(conn) if rule.pay is Pay.AT_ONCE else 0
    return Change(before, after, freed_sats, {s.client_id: s.name for s in (*before.shares, *shares)})


async def _shares(conn: AsyncConnection, before: Version, wish: Wish) -> tuple[ShareOf, ...]:
    found: dict[int, ShareOf] = {}
    if wish.shares is None:
        found = {s.client_id: s for s in before.shares}
    for reference, percent in wish.shares or ():
        basis_points = parse_percent(percent)
        client_id, name = await _receiver(conn, reference)
        if client_id in found:
            raise InputError(f"{name} is given two shares", remedy="give each receiver one", field="shares")
        found[client_id] = ShareOf(client_id, name, basis_points, True)
    switched: set[int] = set()
    for active, references in ((True, wish.active), (False, wish.inactive)):
        for reference in references:
            client_id, name = await _receiver(conn, reference)
            if client_id not in found:
                raise InputError(f"{name} has no share", remedy=f"give it one: '{name}=PERCENT'", field="shares")
            if client_id in switched:
                raise InputError(f"{name} is named twice, to be active or inactive", field="shares")
            switched.add(client_id)
            found[client_id] = replace(found[client_id], active=active)
    return tuple(found[client_id] for client_id in sorted(found))


async def _receiver(conn: AsyncConnection, reference: str) -> tuple[int, str]:
    try:
        client_id = await clients.find(conn, reference)
    except NotFoundError:
        raise NotFoundError(
            f"there is no client or receiver {plain(reference)!r}",
            remedy="see: dca-daemon commission show, client list; a new one: dca-daemon commission add-receiver",
            field="shares",
        ) from None
    await clients.refuse_erased(conn, client_id)
    found = await one(conn, "SELECT name FROM client WHERE id = :id", id=client_id)
    return client_id, found.name
