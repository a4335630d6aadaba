"""State and audit trail on a real store: everything that happens is found there again."""

from typing import Final

from acteon.simulation.config import SimulationConfig
from acteon.simulation.examples.parts import (
    TENANT,
    action,
    many_with_one_key,
    outcomes_by_count,
    throughput,
)
from acteon.simulation.examples.report import Report
from acteon.simulation.examples.rulesets import BLOCK_SPAM, DEDUPLICATE
from acteon.simulation.harness import SimulationHarness

AT_ONCE: Final = 10
DISPATCHES: Final = 100


async def run(report: Report, state: str, audit: str, *, exactly_once: bool = True) -> None:
    """Run the example with state and audit trail at these URLs.

    Args:
        report: Told what happens.
        state: Where state is kept.
        audit: Where dispatches are recorded.
        exactly_once: Whether the store's locks let exactly one of several through.
    """
    config = SimulationConfig(
        state=state, audit=audit, rules=[DEDUPLICATE, BLOCK_SPAM], providers=["email"]
    )
    async with SimulationHarness(config) as harness:
        await _what_is_executed(harness, report)
        await _what_is_held_back(harness, report)
        await _queries(harness, report)
        report.step(f"5. {AT_ONCE} at one time with one key")
        await many_with_one_key(harness, report, AT_ONCE, exactly_once=exactly_once)
        report.step(f"6. {DISPATCHES} one after the other, all recorded")
        await throughput(harness, report, "dispatches", DISPATCHES)
        recorded = await harness.audit.count(action_type="bulk_send")
        report.check(f"{DISPATCHES} are recorded", recorded, DISPATCHES)
        report.step("7. What the audit trail has")
        await outcomes_by_count(harness, report)


async def _what_is_executed(harness: SimulationHarness, report: Report) -> None:
    report.step("1. What is executed is recorded")
    sent = action("notify", payload={"to": "ann@example.com"}, dedup_key="key-1")
    report.check("it is executed", (await harness.dispatch(sent)).tag, "executed")
    (record,) = await harness.audit.of(sent)
    report.check(
        "namespace, tenant, provider and type",
        (record.namespace, record.tenant, record.provider, record.action_type),
        (sent.namespace, sent.tenant, sent.provider, sent.action_type),
    )
    report.check("its outcome", record.outcome, "executed")
    report.check("its payload", record.action_payload, sent.payload)
    report.say(f"verdict {record.verdict}, {record.duration_ms} ms")


async def _what_is_held_back(harness: SimulationHarness, report: Report) -> None:
    report.step("2. What is suppressed is recorded")
    spam = action("spam")
    report.check("it is suppressed", (await harness.dispatch(spam)).tag, "suppressed")
    (record,) = await harness.audit.of(spam)
    report.check(
        "outcome and rule", (record.outcome, record.matched_rule), ("suppressed", "block-spam")
    )
    report.step("3. What is deduplicated is recorded")
    again = action("notify", dedup_key="key-1")
    report.check("it is deduplicated", (await harness.dispatch(again)).tag, "deduplicated")
    (record,) = await harness.audit.of(again)
    report.check("its outcome", record.outcome, "deduplicated")


async def _queries(harness: SimulationHarness, report: Report) -> None:
    report.step("4. Asking the audit trail")
    for text, filters, expected in (
        (f"records of {TENANT}", {"tenant": TENANT, "limit": 10}, 3),
        ("suppressed", {"outcome": "suppressed"}, 1),
        ("executed", {"outcome": "executed"}, 1),
    ):
        report.check(text, len(await harness.audit.records(None, **filters)), expected)
