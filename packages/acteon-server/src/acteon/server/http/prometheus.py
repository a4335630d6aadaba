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

from acteon.executor import CircuitState
from acteon.gateway import BUCKETS, Gateway, Histogram
from acteon.server.auth.book import AccountBook

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily

_OPEN = {CircuitState.CLOSED: 0.0, CircuitState.HALF_OPEN: 0.5, CircuitState.OPEN: 1.0}
OUTCOMES = ("executed", "deduplicated", "suppressed", "rerouted", "throttled", "failed")


def registry_of(gateway: Gateway, book: AccountBook | None = None) -> CollectorRegistry:
    """Return a registry of all that `gateway` counts, how `book` is, and nothing else."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(GatewayCollector(gateway))
    if book is not None:
        registry.register(AccountsCollector(book))
    return registry


@frozen
class AccountsCollector(Collector):
    """Tells whether the accounts in force are those of their file."""

    book: AccountBook

    def collect(self) -> Iterator[Family]:
        yield GaugeMetricFamily(
            "acteon_auth_file_refused",
            "1 if the file of users and keys cannot be used as it is now, else 0.",
            value=int(self.book.problem is not None),
        )


@frozen
class GatewayCollector(Collector):
    """Renders the plain integers of a gateway when it is asked."""

    gateway: Gateway

    def collect(self) -> Iterator[Family]:
        yield from self._dispatches()
        yield from self._providers()
        yield from self._rules()
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
        circuits = GaugeMetricFamily(
            "acteon_provider_circuit_open",
            "1 while a provider's circuit is open, 0.5 while it is half open, else 0.",
            labels=["provider"],
        )
        flights = GaugeMetricFamily(
            "acteon_provider_in_flight", "Calls to a provider under way.", labels=["provider"]
        )
        waits = GaugeMetricFamily(
            "acteon_provider_waiting", "Calls that wait for their turn.", labels=["provider"]
        )
        for status in self.gateway.provider_control.statuses():
            if status.line is not None:
                name = [status.provider.name]
                circuits.add_metric(name, _OPEN[status.line.circuit.state])
                flights.add_metric(name, status.line.in_flight)
                waits.add_metric(name, status.line.waiting)
        yield from (circuits, flights, waits)

    def _rules(self) -> Iterator[Family]:
        gateway = self.gateway
        metrics = gateway.metrics
        for name, text, counts in (
            ("acteon_rule_matches", "Rules that matched.", metrics.rule_matches),
            (
                "acteon_rule_shadow_matches",
                "Rules in shadow mode that would have matched.",
                metrics.rule_shadow_matches,
            ),
            ("acteon_rule_errors", "Rules that could not be evaluated.", metrics.rule_errors),
        ):
            yield _counter(name, text, ["rule"], {(rule,): count for rule, count in counts.items()})
        yield CounterMetricFamily(
            "acteon_rules_load_failures",
            "Failed attempts to put rule files in force.",
            value=metrics.rule_load_failures,
        )
        if gateway.rules_loaded_at is not None:
            yield GaugeMetricFamily(
                "acteon_rules_loaded_timestamp_seconds",
                "When rules were put in force last.",
                value=gateway.rules_loaded_at.timestamp(),
            )
        yield GaugeMetricFamily(
            "acteon_rules_stale",
            "1 while the rule files hold something else than what is in force.",
            value=int(gateway.rules_stale),
        )
        rules = InfoMetricFamily("acteon_rules", "The rules in force.")
        rules.add_metric([], {"version": gateway.rules_version})
        yield rules

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
