"""Steps that several examples have."""

import asyncio
from collections import Counter
from typing import Any

from acteon.core import Action
from acteon.simulation.examples.report import Report, Stopwatch
from acteon.simulation.harness import SimulationHarness

TENANT = "tenant-1"


def action(
    action_type: str, provider: str = "email", payload: Any = None, **members: Any
) -> Action:
    """Return an action of the examples."""
    given: dict[str, Any] = {"namespace": "examples", "tenant": TENANT, **members}
    return Action(
        provider=provider,
        action_type=action_type,
        payload={} if payload is None else payload,
        **given,
    )


async def one_of_each_key(harness: SimulationHarness, report: Report) -> list[Action]:
    """Show that a key is delivered once; return what was sent."""
    sent = [action("notify", dedup_key=key) for key in ("key-1", "key-1", "key-2")]
    tags = [(await harness.dispatch(each)).tag for each in sent]
    report.check("key-1 is executed", tags[0], "executed")
    report.check("key-1 again is deduplicated", tags[1], "deduplicated")
    report.check("key-2 is executed", tags[2], "executed")
    report.check("email was called twice", harness.provider("email").call_count, 2)
    return sent


async def no_spam(harness: SimulationHarness, report: Report) -> Action:
    """Show that spam is held back; return it."""
    harness.reset_recordings()
    spam = action("spam")
    outcome = await harness.dispatch(spam)
    report.check("spam is suppressed by block-spam", getattr(outcome, "rule", None), "block-spam")
    report.check("email was not called", harness.provider("email").call_count, 0)
    return spam


async def many_with_one_key(
    harness: SimulationHarness, report: Report, count: int, *, exactly_once: bool = True
) -> None:
    """Show what becomes of `count` actions with one key at one time."""
    harness.reset_recordings()
    outcomes = await asyncio.gather(
        *(harness.dispatch(action("notify", dedup_key="at once")) for _ in range(count)),
        return_exceptions=True,
    )
    tags = Counter(getattr(each, "tag", type(each).__name__) for each in outcomes)
    report.say(f"outcomes: {dict(tags)}")
    if exactly_once:
        report.check("exactly one is executed", tags["executed"], 1)
        report.check("all others are deduplicated", tags["deduplicated"], count - 1)
    else:
        report.check("at least one is executed", tags["executed"] >= 1)
        report.check("all have an outcome or wait for one", tags["failed"], 0)


async def throughput(harness: SimulationHarness, report: Report, name: str, count: int) -> None:
    """Measure `count` dispatches, one after the other, that no rule holds back."""
    harness.reset_recordings()
    sent = [action("bulk_send", namespace="benchmark") for _ in range(count)]
    with Stopwatch() as watch:
        tags = Counter([(await harness.dispatch(each)).tag for each in sent])
    report.measure(name, count, watch.took)
    report.check(f"all {count} are executed", tags["executed"], count)


async def outcomes_by_count(harness: SimulationHarness, report: Report) -> None:
    """Tell what the audit trail has of each outcome."""
    records = await harness.audit.records(limit=1000)
    for outcome, count in sorted(Counter(record.outcome for record in records).items()):
        report.say(f"{outcome}: {count}")
    report.say(f"tenants: {sorted({record.tenant for record in records})}")
    report.say(f"providers: {sorted({record.provider for record in records})}")
