"""What an example tells while it runs: what it does, and whether that came out as it should."""

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from time import perf_counter
from typing import Any, TextIO

from attrs import asdict, define, field, frozen


@frozen
class Check:
    """Something that an example insists on.

    Attributes:
        step: The step that it belongs to.
        text: What should be.
        passed: Whether it is.
        got: What is instead.
    """

    step: str
    text: str
    passed: bool
    got: str | None = None


def _printed(text: str) -> None:
    sys.stdout.write(f"{text}\n")


@define(eq=False)
class Report:
    """Narrates an example, and keeps what it found.

    Attributes:
        title: What the example is called.
        tell: Is given each line for people.
        checks: What it insisted on so far.
        figures: What it measured, by name.
    """

    title: str
    tell: Callable[[str], None] = _printed
    checks: list[Check] = field(factory=list[Check], init=False)
    figures: dict[str, float] = field(factory=dict[str, float], init=False)
    _step: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self.tell(f"{self.title}\n{'=' * len(self.title)}")

    def step(self, title: str) -> None:
        """Begin a step."""
        self._step = title
        self.tell(f"\n{title}")

    def say(self, text: str) -> None:
        """Tell something that nothing is insisted on."""
        self.tell(f"    {text}")

    def check(self, text: str, got: Any, expected: Any = True) -> None:
        """Insist on `got` being `expected`."""
        passed = bool(got == expected)
        found = Check(self._step, text, passed, None if passed else repr(got))
        self.checks.append(found)
        self.tell(f"  {'✓' if passed else '✗'} {text}{'' if passed else f' - got {got!r}'}")

    def measure(self, name: str, count: int, took: timedelta) -> None:
        """Tell how fast `count` dispatches were; nothing is insisted on."""
        seconds = max(took.total_seconds(), 1e-9)
        self.figures[name] = count / seconds
        self.say(f"{name}: {count} in {seconds * 1000:.0f} ms, {count / seconds:,.0f} a second")

    @property
    def failed(self) -> list[Check]:
        """What did not come out as it should."""
        return [check for check in self.checks if not check.passed]

    def end(self) -> bool:
        """Tell how it went, and return whether all came out as it should."""
        failed = self.failed
        self.tell(f"\n{len(self.checks) - len(failed)} of {len(self.checks)} checks hold")
        for check in failed:
            self.tell(f"  ✗ {check.step}: {check.text} - got {check.got}")
        return not failed

    def write_json(self, file: TextIO) -> None:
        """Write all of it to `file` as JSON."""
        told = {
            "title": self.title,
            "passed": not self.failed,
            "checks": [asdict(check) for check in self.checks],
            "figures": self.figures,
        }
        json.dump(told, file, indent=2, ensure_ascii=False)
        file.write("\n")


@define(eq=False)
class Stopwatch:
    """Measures what happens while it is entered."""

    took: timedelta = field(default=timedelta(0), init=False)
    _begun: float = field(default=0.0, init=False)

    def __enter__(self) -> "Stopwatch":
        self._begun = perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.took = timedelta(seconds=perf_counter() - self._begun)
