"""What the gateway counts, as Prometheus takes it.

Labels never name a namespace, tenant, action type or caller: there may be any number of them, and
they are nobody's business.
"""

from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import accumulate

from attrs import frozen
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.registry import Collector

from acteon.gateway import BUCKETS, Gateway, Histogram

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily

OUTCOMES = ("executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed")


def registry_of(gateway: Gateway) -> CollectorRegistry:
    """Return a registry of all that `gateway` counts, and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(gateway))
    return registry


@frozen
class GatewayCollector(Collector):
    """Renders the plain integers of a gateway when it is asked."""

    gateway: Gateway

    def collect(self) -> Iterator[Family]:
        yield from self._dispatches()
        yield from self._providers()
        yield _counter(
            "acteon_rule_errors",
            "Rules that could not be evaluated.",
            ["rule"],
            {(rule,): count for rule, count in self.gateway.metrics.rule_errors.items()},
        )
        yield from self._queues()
        build = InfoMetricFamily("acteon_build", "What runs here.")
        build.add_metric([], {"version": version("acteon-server")})
        yield build

    def _dispatches(self) -> Iterator[Family]:
        metrics = self.gateway.metrics
        yield CounterMetricFamily(
            "acteon_dispatched", "Dispatches begun.", value=metrics.dispatched
        )
        counters = metrics.counters()
        yield _counter(
            "acteon_outcomes",
            "Dispatches by outcome.",
            ["outcome"],
            {(outcome,): counters[outcome] for outcome in OUTCOMES},
        )
        yield _counter(
            "acteon_dispatch_errors",
            "Dispatches that reached no outcome, by code.",
            ["code"],
            {(code,): count for code, count in metrics.errors.items()},
        )
        durations = HistogramMetricFamily(
            "acteon_dispatch_duration_seconds", "How long dispatches took."
        )
        _add_histogram(durations, [], metrics.durations)
        yield durations
        yield CounterMetricFamily(
            "acteon_leases_lost",
            "Locks or claims that were lost while work ran.",
            value=metrics.leases_lost,
        )
        yield CounterMetricFamily(
            "acteon_settle_errors",
            "Failed attempts to give locks back or to end claims.",
            value=metrics.settle_errors,
        )

    def _providers(self) -> Iterator[Family]:
        metrics = self.gateway.metrics
        yield _counter(
            "acteon_provider_attempts",
            "Calls to providers, by result.",
            ["provider", "result"],
            dict(metrics.attempts.items()),
        )
        durations = HistogramMetricFamily(
            "acteon_provider_duration_seconds", "How long those calls took.", labels=["provider"]
        )
        for provider, histogram in metrics.provider_durations.items():
            _add_histogram(durations, [provider], histogram)
        yield durations

    def _queues(self) -> Iterator[Family]:
        trail = self.gateway.audit
        if trail is not None:
            yield GaugeMetricFamily(
                "acteon_audit_queue_records",
                "Audit records on their way into the store.",
                value=trail.queued,
            )
            yield CounterMetricFamily(
                "acteon_audit_dropped", "Audit records that were given up.", value=trail.dropped
            )
        letters = self.gateway.dead_letters
        if letters is not None:
            yield GaugeMetricFamily(
                "acteon_dead_letters", "Actions that could not be delivered.", value=len(letters)
            )


def _counter(
    name: str, text: str, labels: list[str], counts: Mapping[tuple[str, ...], int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family


def _add_histogram(family: HistogramMetricFamily, labels: list[str], histogram: Histogram) -> None:
    bounds = [*map(str, BUCKETS), "+Inf"]
    counts = accumulate(histogram.counts)
    family.add_metric(labels, list(zip(bounds, counts, strict=True)), histogram.total)
