"""What Prometheus can read from `/metrics`; docs/metrics.md explains each family.

Counts and a histogram are kept here; all else is asked for at each scrape by a snapshot, so that no gauge
can be stale. The registry is our own: two daemons in one process (as in tests) do not mix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

# Otherwise each counter has a second series, with the time of its first count, which nothing of ours reads.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LATENCY_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """How things stand now. What is None is not known, and is left out rather than shown as 0."""

    cash_outs: Mapping[str, int] = field(default_factory=dict)  # state → number
    payouts: Mapping[str, int] = field(default_factory=dict)  # state → number
    owed_sats: int | None = None
    gathered_sats: int | None = None
    oldest_owed_seconds: float | None = None
    source_wallet_balance_sats: int | None = None
    tunnel_up: bool | None = None
    listener_mode: str | None = None  # "listen" or "poll"
    scan_lag_seconds: float | None = None
    queue_length: int | None = None
    leader: bool = False
    reconcile_differences: Mapping[str, int] | None = None  # kind → number, of the last comparison
    reconcile_age_seconds: float | None = None
    fixed_waiting_runs: int | None = None
    fixed_next_run_seconds: float | None = None
    fixed_last_run_age_seconds: float | None = None
    open_problems: Mapping[str, int] = field(default_factory=dict)  # event → number
    backup_last_success_timestamp_seconds: float | None = None


SnapshotCallable = Callable[[], Snapshot]


class Metrics:
    """The registry with all that is in it. `snapshot` must be quick and must not block: it is called in the
    event loop at each scrape, so give it what was gathered last."""

    def __init__(self, snapshot: SnapshotCallable, *, version: str) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._log_events = Counter(
            "dca_log_events",
            "Log lines by event and level.",
            ["event", "level"],
            registry=self.registry,
        )
        self._distribution_latency = Histogram(
            "dca_distribution_latency_seconds",
            "From a successful cash-out seen to its distribution committed.",
            buckets=_LATENCY_BUCKETS_SECONDS,
            registry=self.registry,
        )
        self._notifications = Counter(
            "dca_notifications",
            "Attempts to send a notification by what came of it.",
            ["result"],
            registry=self.registry,
        )
        for result in ("sent", "failed"):
            self._notifications.labels(result)
        self._cache: dict[tuple[str, str], Counter] = {}
        self.registry.register(_SnapshotCollector(snapshot, version))
        ProcessCollector(registry=self.registry)

    def count_event(self, event: str, level: str) -> None:
        """For `logging.count_events_with`."""
        child = self._cache.get((event, level))
        if child is None:
            child = self._cache[event, level] = self._log_events.labels(event, level)
        child.inc()

    def count_notification(self, sent: bool) -> None:
        """An attempt to send a notification."""
        self._notifications.labels("sent" if sent else "failed").inc()

    def observe_distribution_latency(self, seconds: float) -> None:
        """Time from a cash-out seen to its distribution committed."""
        self._distribution_latency.observe(seconds)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: SnapshotCallable, version: str) -> None:
        self._snapshot = snapshot
        self._version = version

    def collect(self) -> Iterator[Metric]:
        now = self._snapshot()
        yield _by_label("dca_cash_outs", "Cash-outs on our books by state.", "state", now.cash_outs)
        yield _by_label("dca_payouts", "Payouts by state.", "state", now.payouts)
        yield from _optional("dca_owed_sats", "Owed to receivers, not yet settled.", now.owed_sats)
        yield from _optional(
            "dca_gathered_sats", "Commission that is gathered, and not payable yet.", now.gathered_sats
        )
        yield from _optional(
            "dca_oldest_owed_seconds",
            "Age of the oldest record that is not paid yet, but for those of held payouts.",
            now.oldest_owed_seconds,
        )
        yield from _optional(
            "dca_source_wallet_balance_sats",
            "Balance of the wallet that pays, when last read.",
            now.source_wallet_balance_sats,
        )
        yield from _optional(
            "dca_tunnel_up", "1 while the SSH tunnel to Lamassu's database stands.", now.tunnel_up
        )
        yield _by_label(
            "dca_listener_mode",
            "1 for the mode in which new cash-outs are noticed.",
            "mode",
            {mode: int(now.listener_mode == mode) for mode in ("listen", "poll")},
        )
        yield from _optional(
            "dca_scan_lag_seconds", "Time since the last completed scan of Lamassu.", now.scan_lag_seconds
        )
        yield from _optional(
            "dca_queue_length", "Cash-outs read from Lamassu that wait to be booked.", now.queue_length
        )
        yield GaugeMetricFamily("dca_leader", "1 while this daemon is the active one.", value=now.leader)
        if now.reconcile_differences is not None:
            yield _by_label(
                "dca_reconcile_differences",
                "What differed when the books were last compared with LNbits and Lamassu.",
                "kind",
                now.reconcile_differences,
            )
        yield from _optional(
            "dca_reconcile_age_seconds",
            "Time since the last comparison that could compare everything.",
            now.reconcile_age_seconds,
        )
        yield from _optional(
            "dca_fixed_waiting_runs",
            "Fixed runs whose time has come and that were not run yet.",
            now.fixed_waiting_runs,
        )
        yield from _optional(
            "dca_fixed_next_run_seconds", "Time until the next fixed run.", now.fixed_next_run_seconds
        )
        yield from _optional(
            "dca_fixed_last_run_age_seconds",
            "Time since a fixed run was last dealt with.",
            now.fixed_last_run_age_seconds,
        )
        yield _by_label(
            "dca_open_problems",
            "Problems that last at the moment, as the log tells, by the event that began them.",
            "event",
            now.open_problems,
        )
        yield from _optional(
            "dca_backup_last_success_timestamp_seconds",
            "When the last good backup was begun, as Unix time.",
            now.backup_last_success_timestamp_seconds,
        )
        yield _by_label("dca_build_info", "Always 1; the label tells the version.", "version", {self._version: 1})


def _by_label(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family


def _optional(name: str, text: str, value: float | None) -> Iterator[Metric]:
    if value is not None:
        yield GaugeMetricFamily(name, text, value=value)
