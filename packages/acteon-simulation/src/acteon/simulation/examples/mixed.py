"""State in one store and the audit trail in another, providers that fail, and five reroutes."""

from collections import Counter
from datetime import timedelta
from typing import Any, Final

from acteon.core import Action, Failed
from acteon.executor import Backoff, ExecutorSettings
from acteon.simulation.config import SimulationConfig
from acteon.simulation.examples.parts import (
    action,
    many_with_one_key,
    outcomes_by_count,
    throughput,
)
from acteon.simulation.examples.report import Report, Stopwatch
from acteon.simulation.examples.rulesets import (
    BLOCK_SPAM,
    DEDUPLICATE,
    REROUTING,
    THROTTLE_ALERTS,
)
from acteon.simulation.harness import SimulationHarness
from acteon.simulation.providers import FailingProvider, FailureMode, RecordingProvider

AT_ONCE: Final = 20
DISPATCHES: Final = 200
SOON: Final = ExecutorSettings(
    backoff=Backoff(first_delay=timedelta(milliseconds=10), max_delay=timedelta(milliseconds=40))
)


async def run(report: Report, state: str, audit: str, *, exactly_once: bool = True) -> None:
    """Run the example with state and audit trail at these URLs.

    Args:
        report: Told what happens.
        state: Where state is kept.
        audit: Where dispatches are recorded.
        exactly_once: Whether the store's locks let exactly one of several through.
    """
    stores: dict[str, Any] = {"state": state, "audit": audit, "executor": SOON}
    rules = [DEDUPLICATE, BLOCK_SPAM, THROTTLE_ALERTS]
    config = SimulationConfig(rules=rules, providers=["email", "sms", "push"], **stores)
    async with SimulationHarness(config) as harness:
        await _one_after_the_other(harness, report)
        await _campaign(harness, report)
        report.step(f"5. {AT_ONCE} at one time with one key")
        await many_with_one_key(harness, report, AT_ONCE, exactly_once=exactly_once)
        report.step(f"6. {DISPATCHES} one after the other, all recorded")
        await throughput(harness, report, "dispatches", DISPATCHES)
        recorded = await harness.audit.count(namespace="benchmark")
        report.check(f"{DISPATCHES} are recorded", recorded, DISPATCHES)
        report.step("What the audit trail has")
        await outcomes_by_count(harness, report)
    await _failures(report, stores)
    await _reroutes(report, stores)


async def _one_after_the_other(harness: SimulationHarness, report: Report) -> None:
    report.step("1. A welcome, recorded in the other store")
    welcome = action("welcome")
    report.check("it is executed", (await harness.dispatch(welcome)).tag, "executed")
    report.check("it is recorded", len(await harness.audit.of(welcome)), 1)

    report.step("2. An order is announced once")
    harness.reset_recordings()
    orders = [action("notify", dedup_key="order-7") for _ in range(2)]
    tags = [(await harness.dispatch(order)).tag for order in orders]
    report.check("twice the same order", tags, ["executed", "deduplicated"])
    report.check("email was called once", harness.provider("email").call_count, 1)
    recorded = [record.outcome for order in orders for record in await harness.audit.of(order)]
    report.check("both are recorded", recorded, ["executed", "deduplicated"])

    report.step("3. Three alerts in ten seconds, and no more")
    tags = [(await harness.dispatch(action("alert", "push"))).tag for _ in range(5)]
    report.check("five alerts", tags, ["executed"] * 3 + ["throttled"] * 2)
    report.check("push was called three times", harness.provider("push").call_count, 3)


async def _campaign(harness: SimulationHarness, report: Report) -> None:
    report.step("4. A campaign of another tenant, by three ways")
    for provider in ("email", "sms", "push"):
        sent = await harness.dispatch(action("campaign", provider, tenant="tenant-2"))
        report.check(f"by {provider}", sent.tag, "executed")
    report.check("three records", await harness.audit.count(tenant="tenant-2"), 3)


async def _failures(report: Report, stores: dict[str, Any]) -> None:
    report.step("7. Providers that fail")
    answers = RecordingProvider("answers", response_fn=_lane)
    providers = [
        FailingProvider.connection_error("unreachable", "no route to host"),
        FailingProvider.execution_failed("recovers", "starting").fail_until(2),
        RecordingProvider("every-third", failure=FailureMode.every_n(3)),
        RecordingProvider("slow", delay=timedelta(milliseconds=50)),
        answers,
    ]
    async with SimulationHarness(SimulationConfig(providers=providers, **stores)) as harness:
        lost = action("notify", "unreachable")
        failed = await harness.dispatch(lost)
        told = (failed.code, failed.attempts) if isinstance(failed, Failed) else failed
        report.check("no connection: four attempts", told, ("CONNECTION", 4))
        report.check(
            "it is recorded", [r.outcome for r in await harness.audit.of(lost)], ["failed"]
        )
        tags = [(await harness.dispatch(action("notify", "recovers"))).tag for _ in range(4)]
        report.check("it recovers after two", tags, ["failed"] * 2 + ["executed"] * 2)
        report.check("without retries", harness.provider("recovers").call_count, 4)
        tags = [(await harness.dispatch(action("notify", "every-third"))).tag for _ in range(6)]
        report.check("every third fails", tags, ["executed", "executed", "failed"] * 2)
        with Stopwatch() as watch:
            for _ in range(5):
                await harness.dispatch(action("notify", "slow"))
        report.measure("slow deliveries", 5, watch.took)
        report.check("50 ms each", watch.took >= timedelta(milliseconds=250))
        lanes = [
            (await harness.dispatch(action("notify", "answers", {"priority": priority})))
            .assert_executed()
            .response.body
            for priority in ("high", "low")
        ]
        report.check(
            "answers by priority",
            lanes,
            [{"queue": "fast-lane", "eta": 1}, {"queue": "standard", "eta": 30}],
        )


def _lane(sent: Action) -> dict[str, Any]:
    if sent.payload["priority"] == "high":
        return {"queue": "fast-lane", "eta": 1}
    return {"queue": "standard", "eta": 30}


async def _reroutes(report: Report, stores: dict[str, Any]) -> None:
    report.step("8. Five rules that send elsewhere")
    names = ("email", "sms", "slack", "premium", "dedicated", "email-backup")
    config = SimulationConfig(rules=REROUTING, providers=names, **stores)
    async with SimulationHarness(config) as harness:
        for text, sent, expected in (
            ("a normal mail", action("mail"), "email"),
            ("an urgent one", action("mail", payload={"priority": "urgent"}), "sms"),
            (
                "a premium transaction, by a provider that is not there",
                action("transaction", "standard", {"tier": "premium"}),
                "premium",
            ),
            (
                "a standard one",
                action("transaction", "standard", {"tier": "standard"}),
                "PROVIDER_NOT_FOUND",
            ),
            ("after hours", action("mail", payload={"after_hours": True}), "slack"),
            (
                "of an enterprise",
                action("mail", metadata={"tier": "enterprise"}),
                "dedicated",
            ),
            ("a repetition", action("mail", payload={"is_retry": True}), "email-backup"),
            (
                "urgent and after hours: the lower priority decides",
                action("mail", payload={"priority": "urgent", "after_hours": True}),
                "sms",
            ),
        ):
            harness.reset_recordings()
            outcome = await harness.dispatch(sent)
            called = [name for name in names if harness.provider(name).call_count]
            got = outcome.code if isinstance(outcome, Failed) else "+".join(called)
            report.check(f"{text}: {expected}", got, expected)
        reroutes = await harness.audit.records(verdict="reroute")
        report.check("six reroutes are recorded", len(reroutes), 6)
        came = Counter(record.provider for record in reroutes)
        report.check("with the provider they came for", came, {"email": 5, "standard": 1})
