"""What became of test cases."""

import json
from enum import Enum
from typing import Any, Final

from attrs import field, frozen

from acteon.rules import Explanation
from acteon.server.lines import one_line
from acteon.server.ruletools.explaining import HEADS, rule_rows
from acteon.server.ruletools.tables import plain_table

MAX_SHOWN: Final = 200


class Nothing(Enum):
    """Stands for what is not there at all."""

    NOTHING = "nothing"


NOTHING: Final = Nothing.NOTHING


@frozen
class Difference:
    """Something that was expected, and what there was in its place.

    Attributes:
        key: What it is about: `outcome`, `payload.text`, ….
        expected: As JSON has it, or `NOTHING`.
        got: Likewise.
    """

    key: str
    expected: Any
    got: Any

    def __str__(self) -> str:
        return f"{self.key}: expected {_shown(self.expected)}, got {_shown(self.got)}"

    def as_json(self) -> dict[str, Any]:
        """Return the difference as JSON has it; what is not there is left out."""
        sides = {"expected": self.expected, "got": self.got}
        return {"key": self.key, **{name: each for name, each in sides.items() if each != NOTHING}}


@frozen(kw_only=True)
class StepFailure:
    """A step that did not go as expected.

    Attributes:
        number: Which step of its case, counted from 1.
        line: Where it is written.
        told: What was done, in words.
        differences: What was not as expected.
        error: Why the action was not delivered, if it failed.
        explanation: What each rule had to do with it.
    """

    number: int
    line: int
    told: str
    differences: tuple[Difference, ...]
    error: str | None = None
    explanation: Explanation = field(repr=False)


@frozen(kw_only=True)
class CaseResult:
    """What became of a test case; its text is what people want to read about it.

    Attributes:
        file: The file that it is in.
        line: Where it is written.
        name: What it is to show.
        failure: The first step that did not go as expected; None if all did.
    """

    file: str
    line: int
    name: str
    failure: StepFailure | None = None

    @property
    def passed(self) -> bool:
        """Whether all went as expected."""
        return self.failure is None

    def __str__(self) -> str:
        failure = self.failure
        if failure is None:
            return f"passed {self.file}:{self.line}: {self.name}"
        table = plain_table(HEADS, rule_rows(failure.explanation))
        return "\n".join(
            [
                one_line(f"FAILED {self.file}:{failure.line}: {self.name}"),
                one_line(f"  step {failure.number}: {failure.told}"),
                *(one_line(f"    {each}") for each in failure.differences),
                *([one_line(f"    it failed: {failure.error}")] if failure.error else []),
                *(f"  {line}" for line in table.splitlines()),
            ]
        )

    def as_json(self) -> dict[str, Any]:
        """Return the result as JSON has it."""
        members: dict[str, Any] = {
            "file": self.file,
            "line": self.line,
            "name": self.name,
            "passed": self.passed,
        }
        if self.failure is not None:
            failure = self.failure
            members["failure"] = {
                "step": failure.number,
                "line": failure.line,
                "told": failure.told,
                "error": failure.error,
                "differences": [each.as_json() for each in failure.differences],
                "explanation": failure.explanation.as_json(),
            }
        return members


def _shown(value: Any) -> str:
    if value is NOTHING:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
