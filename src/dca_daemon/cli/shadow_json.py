"""What a shadow or a simulation came to, for scripts: the keys that docs/cli.md names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dca_daemon.cli.output import iso
from dca_daemon.domain.wording import fiat_json, source_fiat_json, source_sats_json

if TYPE_CHECKING:
    from dca_daemon.runtime.shadow import Outcome
    from dca_daemon.services.intake import IntakeResult
    from dca_daemon.services.shadow.differences import Comparison, Side
    from dca_daemon.services.shadow.opening import Opening
    from dca_daemon.services.shadow.report import CashOutSums, ClientSums, PoolSums, Undistributed


def batch_dicts(result: IntakeResult, opening: Opening) -> Iterator[dict[str, Any]]:
    """What a batch came to, as `cash_outs` and `not_distributed` in a report are."""
    names = {m.client_id: m.name for m in opening.members}
    for d in result.distributed:
        code = d.pool.currency
        yield {
            "kind": "distributed",
            "external_id": d.row.external_id,
            "happened_at": iso(d.happened_at),
            "machine": d.row.machine_name,
            "pool_id": d.pool.pool_id,
            "currency": code,
            "fiat": fiat_json(d.fiat_minor, code),
            "charge": fiat_json(d.split.charge_minor, code),
            "total_sats": d.split.total_sats,
            "principal_sats": d.split.principal_sats,
            "commission_sats": d.split.commission_sats,
            "house_sats": d.house_sats,
            "shares": [
                *(
                    _share_dict(s.client_id, names[s.client_id], "flow", s.sats, fiat_json(s.fiat_minor, code))
                    for s in d.allocation.shares
                ),
                *(
                    _share_dict(p.client_id, names[p.client_id], "commission", p.sats, fiat_json(0, code))
                    for p in d.commission.parts
                ),
            ],
        }
    for m in result.changed:
        if m.state in ("review", "ignored") and m.is_news:
            yield {
                "kind": "not-distributed",
                "external_id": m.row.external_id,
                "state": m.state,
                "reason": m.reason,
                "text": m.text,
                "happened_at": iso(m.row.dispensed_at or m.row.created),
                "machine": m.row.machine_name,
                "fiat": source_fiat_json(m.row.fiat, m.row.fiat_code),
                "fiat_code": m.row.fiat_code,
                "crypto_atoms": source_sats_json(m.row.crypto_atoms),
                "crypto_code": m.row.crypto_code,
            }


def _share_dict(client_id: int, client: str, kind: str, sats: int, fiat: object) -> dict[str, Any]:
    return {"client_id": client_id, "client": client, "type": kind, "sats": sats, "fiat": fiat}


def outcome_dict(found: Outcome) -> dict[str, Any]:
    """All of it for scripts."""
    report = found.report
    return {
        "begun_at": iso(report.begun_at),
        "clients_from": report.about.get("clients"),
        "split_method": report.about.get("split_method"),
        "charge": report.about.get("charge"),
        "pools": [_pool_dict(p) for p in report.pools],
        "clients": [_client_dict(c) for c in report.clients],
        "receivers": [
            {"client_id": r.client_id, "receiver": r.receiver, "records": r.records, "sats": r.sats}
            for r in report.receivers
        ],
        "reasons": [
            {"state": state, "reason": reason, "count": n} for (state, reason), n in report.reasons.items()
        ],
        "not_distributed": [_undistributed_dict(u) for u in report.undistributed],
        "cash_outs": [_cash_out_dict(c) for c in report.cash_outs],
        "in_the_books": None if found.comparison is None else _comparison_dict(found.comparison),
    }


def _pool_dict(p: PoolSums) -> dict[str, Any]:
    return {
        "pool_id": p.pool_id,
        "pool": p.pool,
        "currency": p.currency,
        "cash_outs": p.cash_outs,
        "fiat": fiat_json(p.fiat_minor, p.currency),
        "charge": fiat_json(p.charge_minor, p.currency),
        "uncovered": fiat_json(p.uncovered_minor, p.currency),
        "total_sats": p.total_sats,
        "principal_sats": p.principal_sats,
        "clients_sats": p.clients_sats,
        "uncovered_sats": p.uncovered_sats,
        "commission_sats": p.commission_sats,
        "commission_shared_sats": p.commission_shared_sats,
        "house_sats": p.house_sats,
    }


def _client_dict(c: ClientSums) -> dict[str, Any]:
    return {
        "client_id": c.client_id,
        "client": c.client,
        "mode": c.mode,
        "status": c.status,
        "pool_id": c.pool_id,
        "pool": c.pool,
        "currency": c.currency,
        "came_in": fiat_json(c.given_minor, c.currency),
        "converted": fiat_json(c.converted_minor, c.currency),
        "left": fiat_json(c.left_minor, c.currency),
        "purchases": c.purchases,
        "sats": c.sats,
        "average_fiat_per_btc": None if c.average_fiat_per_btc is None else format(c.average_fiat_per_btc, "f"),
    }


def _undistributed_dict(u: Undistributed) -> dict[str, Any]:
    return {
        "external_id": u.external_id,
        "state": u.state,
        "reason": u.reason,
        "text": u.text,
        "happened_at": iso(u.happened_at),
        "machine": u.machine,
        "fiat": source_fiat_json(u.fiat, u.fiat_code),
        "fiat_code": u.fiat_code,
        "crypto_atoms": source_sats_json(u.crypto_atoms),
        "crypto_code": u.crypto_code,
    }


def _cash_out_dict(c: CashOutSums) -> dict[str, Any]:
    return {
        "external_id": c.external_id,
        "happened_at": iso(c.happened_at),
        "machine": c.machine,
        "pool_id": c.pool_id,
        "currency": c.currency,
        "fiat": fiat_json(c.fiat_minor, c.currency),
        "charge": fiat_json(c.charge_minor, c.currency),
        "total_sats": c.total_sats,
        "principal_sats": c.principal_sats,
        "commission_sats": c.commission_sats,
        "house_sats": c.house_sats,
        "shares": [
            _share_dict(
                s.client_id,
                s.client,
                "commission" if s.commission else "flow",
                s.sats,
                fiat_json(s.fiat_minor, c.currency),
            )
            for s in c.shares
        ],
    }


def _comparison_dict(comparison: Comparison) -> dict[str, Any]:
    return {
        "alike": comparison.alike,
        "differing": comparison.differing,
        "differences": [
            {
                "external_id": d.external_id,
                "happened_at": iso(d.happened_at),
                "currency": d.currency,
                "booked": _side_dict(d.booked, d.currency, comparison),
                "here": _side_dict(d.shadow, d.currency, comparison),
            }
            for d in comparison.differences
        ],
    }


def _side_dict(side: Side | None, currency: str, comparison: Comparison) -> dict[str, Any] | None:
    if side is None:
        return None
    return {
        "state": side.state,
        "reason": side.reason or None,
        "total_sats": side.total_sats,
        "principal_sats": side.principal_sats,
        "charge": None if side.charge_minor is None else fiat_json(side.charge_minor, currency),
        "house_sats": side.house_sats,
        "shares": [
            _share_dict(
                client_id,
                comparison.names.get(client_id, f"client {client_id}"),
                "commission" if commission else "flow",
                sats,
                fiat_json(minor, currency),
            )
            for (client_id, commission), (sats, minor) in sorted((side.shares or {}).items())
        ],
    }
