"""What is known of the calls of one provider."""

from array import array
from collections.abc import Sequence
from datetime import datetime
from math import ceil
from typing import Final

from attrs import define, field, frozen

REMEMBERED: Final = 1_000
"""The calls whose durations are remembered."""


@frozen(kw_only=True)
class CallSummary:
    """How the calls of one provider went since this process started.

    Attributes:
        attempts: How many there were.
        successes: Those that delivered, in whole or in part.
        quantiles: Of the durations of the last 1,000 calls, in seconds, in the order asked for;
            empty without any call.
        last_failure: When a call failed last.
        last_code: As what, in capitals.
    """

    attempts: int
    successes: int
    quantiles: tuple[float, ...]
    last_failure: datetime | None
    last_code: str | None

    @property
    def success_rate(self) -> float | None:
        """The part of the attempts that delivered; None without any."""
        return self.successes / self.attempts if self.attempts else None


@define(eq=False)
class Calls:
    """Counts the calls of one provider."""

    _attempts: int = 0
    _successes: int = 0
    _last_failure: datetime | None = None
    _last_code: str | None = None
    _seconds: "array[float]" = field(factory=lambda: array("d"), init=False)

    def ended(self, seconds: float, code: str | None, now: datetime | None) -> None:
        """Count a call.

        Args:
            seconds: How long it took.
            code: As what it failed; None if it delivered.
            now: When, if it failed.
        """
        if len(self._seconds) < REMEMBERED:
            self._seconds.append(seconds)
        else:
            self._seconds[self._attempts % REMEMBERED] = seconds
        self._attempts += 1
        if code is None:
            self._successes += 1
        else:
            self._last_code = code
            self._last_failure = now

    def summary(self, at: Sequence[float] = (0.5, 0.95, 0.99)) -> CallSummary:
        """Return how they went.

        Args:
            at: The quantiles to tell, each from 0 to 1; by the nearest rank.
        """
        ordered = sorted(self._seconds)
        return CallSummary(
            attempts=self._attempts,
            successes=self._successes,
            quantiles=tuple(ordered[_rank(part, len(ordered)) - 1] for part in at if ordered),
            last_failure=self._last_failure,
            last_code=self._last_code,
        )


def _rank(part: float, count: int) -> int:
    """Return the least rank, from 1, up to which there is `part` of `count` values."""
    # Rounded, as 0.07 of a hundred is a little more than 7 to a computer.
    return max(1, ceil(round(part * count, 9)))
