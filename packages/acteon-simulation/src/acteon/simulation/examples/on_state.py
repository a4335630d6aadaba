"""State on a real store: deduplication, suppression, races for one key, throughput."""

from typing import Final

from acteon.simulation.config import SimulationConfig
from acteon.simulation.examples.parts import (
    many_with_one_key,
    no_spam,
    one_of_each_key,
    throughput,
)
from acteon.simulation.examples.report import Report
from acteon.simulation.examples.rulesets import BLOCK_SPAM, DEDUPLICATE
from acteon.simulation.harness import SimulationHarness

AT_ONCE: Final = 10


async def run(report: Report, state: str, dispatches: int) -> None:
    """Run the example with state at the URL `state`, and `dispatches` of the last step."""
    config = SimulationConfig(state=state, rules=[DEDUPLICATE, BLOCK_SPAM], providers=["email"])
    async with SimulationHarness(config) as harness:
        report.step("1. A key is delivered once")
        await one_of_each_key(harness, report)
        report.step("2. Spam is held back")
        await no_spam(harness, report)
        report.step(f"3. {AT_ONCE} at one time with one key")
        await many_with_one_key(harness, report, AT_ONCE)
        report.step(f"4. {dispatches} one after the other")
        await throughput(harness, report, "dispatches", dispatches)
