"""How commission is shown: to people, and to scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import iso, print_pairs, print_table, say, when
from dca_daemon.domain.commission import percent_decimal, percent_text
from dca_daemon.domain.money import sats_text

if TYPE_CHECKING:
    from dca_daemon.services.commission import Change, ShareOf, Version
    from dca_daemon.services.commission_history import PeriodAmount
    from dca_daemon.services.commission_overview import Overview, ReceiverView
    from dca_daemon.services.commission_release import Gathered


def version_dict(version: Version) -> dict[str, Any]:
    """A version of the shares, for scripts. Percentages are decimal strings."""
    rule = version.rule
    return {
        "id": version.version_id,
        "pay": rule.pay,
        "pay_times": list(rule.times),
        "zone": rule.zone,
        "pay_from_sats": rule.from_sats,
        "shares": [
            {
                "client_id": s.client_id,
                "receiver": s.name,
                "percent": percent_decimal(s.basis_points),
                "active": s.active,
            }
            for s in version.shares
        ],
        "shared_percent": percent_decimal(version.shared_basis_points),
        "house_percent": percent_decimal(version.house_basis_points),
        "reason": version.reason,
        "created_at": iso(version.created_at),
        "actor": version.actor,
    }


def overview_dict(overview: Overview) -> dict[str, Any]:
    """What `commission show` tells, for scripts."""
    return {
        "version": version_dict(overview.version),
        "next_release_at": iso(overview.next_release_at),
        "house_sats": overview.house_sats,
        "receivers": [
            {
                "client_id": r.client_id,
                "receiver": r.name,
                "mode": r.mode,
                "status": r.status,
                "destination": r.destination,
                "percent": None if r.basis_points is None else percent_decimal(r.basis_points),
                "active": r.share_active,
                "gathered_sats": r.gathered_sats,
                "owed_sats": r.owed_sats,
                "in_payout_sats": r.in_payout_sats,
                "settled_sats": r.settled_sats,
            }
            for r in overview.receivers
        ],
    }


def amount_dict(amount: PeriodAmount) -> dict[str, Any]:
    """A receiver's commission of a period, for scripts."""
    return {
        "period": amount.period,
        "client_id": amount.client_id,
        "receiver": amount.name,
        "records": amount.records,
        "sats": amount.sats,
        "settled_sats": amount.settled_sats,
    }


def gathered_dict(gathered: Gathered) -> dict[str, Any]:
    """What is gathered for a receiver, for scripts."""
    return {
        "client_id": gathered.client_id,
        "receiver": gathered.name,
        "records": gathered.records,
        "sats": gathered.sats,
    }


def show_overview(overview: Overview) -> None:
    """What `commission show` tells people."""
    version = overview.version
    if version.version_id is None:
        say("No commission is shared: all of it stays with the house.")
        say("To share it: dca-daemon commission set 'NAME=PERCENT' …")
        say()
    print_pairs(
        [
            *([("Version", _since(version))] if version.version_id is not None else []),
            ("Shared", _of_the_whole(version)),
            ("Payment", version.rule.text),
            *([("Next at", when(overview.next_release_at))] if overview.next_release_at else []),
            ("House", f"{sats_text(overview.house_sats)} of all commission so far"),
        ]
    )
    say()
    print_table(
        ("id", "receiver", ">share", ">gathered", ">owed", ">on its way", ">received", "~paid to"),
        (
            (
                r.client_id,
                r.name if r.mode == "commission" else f"{r.name} (client)",
                _share_of(r),
                sats_text(r.gathered_sats),
                sats_text(r.owed_sats),
                sats_text(r.in_payout_sats),
                sats_text(r.settled_sats),
                r.destination,
            )
            for r in overview.receivers
        ),
        title="Receivers, with what came of commission only",
        empty="There are none: dca-daemon commission add-receiver --help",
    )


def _since(version: Version) -> str:
    return f"{version.version_id} of {when(version.created_at)}, by {version.actor}"


def _of_the_whole(version: Version) -> str:
    shared, house = percent_text(version.shared_basis_points), percent_text(version.house_basis_points)
    return f"{shared} of each commission; {house} stays with the house"


def _share_of(r: ReceiverView) -> str | None:
    if r.basis_points is None:
        return None
    text = percent_text(r.basis_points)
    if not r.share_active:
        return f"{text} (inactive)"
    return text if r.status == "active" else f"{text} ({r.status})"


def show_change(change: Change) -> None:
    """A new version beside the one that it replaces."""
    before = {s.client_id: s for s in change.before.shares}
    after = {s.client_id: s for s in change.after.shares}
    rows: list[tuple[str, str, str]] = [
        (f"{c} {change.names[c]}", _share_text(before.get(c)), _share_text(after.get(c)))
        for c in sorted({*before, *after})
    ]
    rows.append(
        ("shared", percent_text(change.before.shared_basis_points), percent_text(change.after.shared_basis_points))
    )
    rows.append(
        (
            "stays with the house",
            percent_text(change.before.house_basis_points),
            percent_text(change.after.house_basis_points),
        )
    )
    print_table(("receiver", ">now", ">then"), rows, title="Shares of each commission", empty="")
    if change.after.rule == change.before.rule:
        say(f"It is {change.after.rule.text}, as now.")
    else:
        say(f"Now it is {change.before.rule.text}.")
        say(f"Then it is {change.after.rule.text}.")
    if change.freed_sats:
        say(f"{sats_text(change.freed_sats)} are gathered so far: they become payable at once.")
    say()


def _share_text(share: ShareOf | None) -> str:
    if share is None:
        return "none"
    return percent_text(share.basis_points) + ("" if share.active else " (inactive)")


def show_versions(versions: Sequence[Version]) -> None:
    """The versions, for people."""
    print_table(
        ("version", "since", "by", "shares", ">house", "~payment", "~reason"),
        (
            (
                v.version_id,
                when(v.created_at),
                v.actor,
                ", ".join(f"{s.name} {_share_text(s)}" for s in v.shares) or "none",
                percent_text(v.house_basis_points),
                v.rule.text,
                v.reason,
            )
            for v in versions
        ),
        title="Versions of the shares",
        empty="None yet: all commission stays with the house.",
    )


def show_amounts(amounts: Sequence[PeriodAmount], by: str) -> None:
    """What receivers got, for people."""
    print_table(
        (by, "receiver", ">cash-outs", ">commission", ">of it paid"),
        (
            (a.period, f"{a.client_id} {a.name}", a.records, sats_text(a.sats), sats_text(a.settled_sats))
            for a in amounts
        ),
        title="What receivers got",
        empty="Nothing yet.",
    )


def show_gathered(gathered: Sequence[Gathered]) -> None:
    """What is gathered, for people."""
    print_table(
        ("receiver", ">cash-outs", ">gathered"),
        ((f"{g.client_id} {g.name}", g.records, sats_text(g.sats)) for g in gathered),
        title="Gathered commission",
        empty="None.",
    )
