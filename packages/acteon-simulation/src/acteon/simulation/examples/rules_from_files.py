"""Rules from files: one, a folder of them, and those of an environment."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from acteon.simulation.config import SimulationConfig
from acteon.simulation.examples.parts import action
from acteon.simulation.examples.report import Report
from acteon.simulation.harness import SimulationHarness
from acteon.simulation.rulesets import parsed

RULES: Final = Path(__file__).parent / "rules"
ENVIRONMENTS: Final[Mapping[str, tuple[str, ...]]] = {
    "development": ("suppression",),
    "staging": ("suppression", "rerouting", "throttling"),
    "production": ("suppression", "throttling"),
}


async def run(report: Report) -> None:
    """Run the example."""
    report.step("1. One file")
    report.check("suppression.yaml has 4 rules", len(parsed([RULES / "suppression.yaml"])), 4)
    report.step("2. A folder")
    report.check("the folder has 18 rules", len(parsed([RULES])), 18)
    report.step("3. Two files at work")
    files = [RULES / "suppression.yaml", RULES / "rerouting.yaml"]
    names = ["email", "sms", "slack", "email-backup", "premium-provider"]
    async with SimulationHarness(SimulationConfig(rules=files, providers=names)) as harness:
        report.check("spam", (await harness.dispatch(action("spam"))).tag, "suppressed")
        urgent = action("send_notification", payload={"priority": "urgent"})
        report.check("what is urgent", (await harness.dispatch(urgent)).tag, "rerouted")
        calls = [harness.provider(name).call_count for name in ("email", "sms")]
        report.check("sms was called, email was not", calls, [0, 1])
        third = action("send_email", metadata={"retry_count": "3"})
        outcome = await harness.dispatch(third)
        report.check("a third attempt", getattr(outcome, "new_provider", None), "email-backup")
        report.check("a mail", (await harness.dispatch(action("send_email"))).tag, "executed")
    report.step("4. The files of an environment")
    name = os.environ.get("ACTEON_ENV") or "development"
    chosen = ENVIRONMENTS.get(name)
    report.check(f"ACTEON_ENV={name} is one of {', '.join(ENVIRONMENTS)}", chosen is not None)
    for file in chosen or ():
        report.say(f"{file}.yaml: {len(parsed([RULES / f'{file}.yaml']))} rules")
