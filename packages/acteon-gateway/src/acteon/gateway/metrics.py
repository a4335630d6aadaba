"""What the gateway counts: plain integers of this process, from its start."""

from bisect import bisect_left
from collections import Counter

from attrs import define, field

from acteon.core import ActionOutcome
from acteon.rules import Decision

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds in seconds; one bucket more is for what lies above."""


@define(eq=False)
class Histogram:
    """How many durations fell between which bounds.

    Attributes:
        counts: One count for each of `BUCKETS`, and one for the rest; not cumulative.
        total: All durations together, in seconds.
    """

    counts: list[int] = field(factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@define(eq=False)
class GatewayMetrics:
    """What the gateway counts.

    Attributes:
        dispatched: Dispatches begun; also those that end in an error.
        executed: Outcomes, by their names, as the next five.
        deduplicated: …
        suppressed: …
        rerouted: …
        throttled: …
        failed: …
        errors: Dispatches that reached no outcome, by code.
        durations: How long dispatches took.
        attempts: Calls to providers, by provider and result.
        provider_durations: How long those took, by provider.
        rule_matches: Rules that matched, by name.
        rule_shadow_matches: Rules that are only tried and would have matched, by name.
        rule_errors: Rules that could not be evaluated, by name.
        rule_load_failures: Failed attempts to put rule files in force.
        leases_lost: Locks or claims that were lost while work ran.
        settle_errors: Failed attempts to give locks back or to end claims.
    """

    dispatched: int = 0
    executed: int = 0
    deduplicated: int = 0
    suppressed: int = 0
    rerouted: int = 0
    throttled: int = 0
    failed: int = 0
    errors: Counter[str] = field(factory=Counter[str])
    durations: Histogram = field(factory=Histogram)
    attempts: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]])
    provider_durations: dict[str, Histogram] = field(factory=dict[str, Histogram])
    rule_matches: Counter[str] = field(factory=Counter[str])
    rule_shadow_matches: Counter[str] = field(factory=Counter[str])
    rule_errors: Counter[str] = field(factory=Counter[str])
    rule_load_failures: int = 0
    leases_lost: int = 0
    settle_errors: int = 0

    def ended(self, outcome: ActionOutcome) -> None:
        """Count an outcome."""
        tag = outcome.tag
        setattr(self, tag, getattr(self, tag) + 1)

    def attempted(self, provider: str, result: str, seconds: float) -> None:
        """Count one call to a provider."""
        self.attempts[provider, result] += 1
        histogram = self.provider_durations.get(provider)
        if histogram is None:
            histogram = self.provider_durations[provider] = Histogram()
        histogram.observe(seconds)

    def decided(self, decision: Decision) -> None:
        """Count what rules had to do with a decision."""
        for rule, _ in decision.matched:
            self.rule_matches[rule] += 1
        if decision.shadowed or decision.errors:
            self.rule_shadow_matches.update(rule for rule, _ in decision.shadowed)
            self.rule_errors.update(rule for rule, _ in decision.errors)

    def counters(self) -> dict[str, int]:
        """Return the seven plain counters by name, in their documented order."""
        return {
            "dispatched": self.dispatched,
            "executed": self.executed,
            "deduplicated": self.deduplicated,
            "suppressed": self.suppressed,
            "rerouted": self.rerouted,
            "throttled": self.throttled,
            "failed": self.failed,
        }
