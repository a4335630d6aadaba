"""What a gateway does, in memory: rules, deduplication, rerouting, several nodes, a batch."""

from collections import Counter

from acteon.simulation.config import SimulationConfig
from acteon.simulation.examples.parts import action
from acteon.simulation.examples.report import Report, Stopwatch
from acteon.simulation.examples.rulesets import BLOCK_SPAM, DEDUPLICATE, URGENT_BY_SMS
from acteon.simulation.harness import SimulationHarness

EVERY_MAIL_ONCE = """
rules:
  - name: every-mail-once
    condition: {field: action.action_type, eq: send_email}
    action: {type: deduplicate, ttl_seconds: 300}
"""


async def run(report: Report) -> None:
    """Run the example."""
    await _suppression(report)
    await _deduplication(report)
    await _rerouting(report)
    await _nodes(report)
    await _batch(report)


async def _suppression(report: Report) -> None:
    report.step("1. A rule holds spam back")
    config = SimulationConfig(rules=BLOCK_SPAM, providers=["email"])
    async with SimulationHarness(config) as harness:
        email = harness.provider("email")
        report.check(
            "spam is suppressed", (await harness.dispatch(action("spam"))).tag, "suppressed"
        )
        report.check("email was not called", email.call_count, 0)
        sent = await harness.dispatch(action("send_email"))
        report.check("another mail is executed", sent.tag, "executed")
        report.check("email was called once", email.call_count, 1)


async def _deduplication(report: Report) -> None:
    report.step("2. A key is delivered once")
    config = SimulationConfig(rules=DEDUPLICATE, providers=["push"])
    async with SimulationHarness(config) as harness:
        tags = [
            (await harness.dispatch(action("notify", "push", dedup_key=key))).tag
            for key in ("a", "a", "b")
        ]
        report.check("a, a and b", tags, ["executed", "deduplicated", "executed"])
        report.check("push was called twice", harness.provider("push").call_count, 2)


async def _rerouting(report: Report) -> None:
    report.step("3. What is urgent goes by SMS")
    config = SimulationConfig(rules=URGENT_BY_SMS, providers=["email", "sms"])
    async with SimulationHarness(config) as harness:
        email, sms = harness.provider("email"), harness.provider("sms")
        await harness.dispatch(action("alert", payload={"priority": "normal"}))
        report.check("normal: email was called", (email.call_count, sms.call_count), (1, 0))
        urgent = await harness.dispatch(action("alert", payload={"priority": "urgent"}))
        report.check("urgent is rerouted", urgent.tag, "rerouted")
        report.check("urgent: sms was called", (email.call_count, sms.call_count), (1, 1))


async def _nodes(report: Report) -> None:
    report.step("4. Three gateways know of each other")
    config = SimulationConfig(nodes=3, rules=EVERY_MAIL_ONCE, providers=["email"])
    async with SimulationHarness(config) as harness:
        tags = [
            (await harness.dispatch_to(node, action("send_email", dedup_key="order-7"))).tag
            for node in range(3)
        ]
        report.check("one of three sends it", tags, ["executed", "deduplicated", "deduplicated"])
        report.check("email was called once", harness.provider("email").call_count, 1)


async def _batch(report: Report) -> None:
    report.step("5. A batch of 100")
    async with SimulationHarness(SimulationConfig(providers=["email"])) as harness:
        with Stopwatch() as watch:
            results = await harness.dispatch_batch([action("send_email") for _ in range(100)])
        report.measure("actions of a batch", 100, watch.took)
        tags = Counter(getattr(result, "tag", "error") for result in results)
        report.check("all 100 are executed", tags, {"executed": 100})
