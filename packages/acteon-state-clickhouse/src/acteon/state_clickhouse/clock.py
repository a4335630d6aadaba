"""The server's clock, as far as it is known here."""

from datetime import timedelta
from typing import Final

from attrs import define, field, frozen

DRIFT: Final = 0.0005
"""By how much two clocks may part, as a share of the time: the most that NTP corrects."""
SHARP: Final = 20.0
"""Milliseconds of uncertainty that are good enough."""


@frozen
class Span:
    """An instant of the server's clock, in milliseconds: from `earliest` to `latest`."""

    earliest: float
    latest: float

    @property
    def middle(self) -> int:
        """The best guess."""
        return round((self.earliest + self.latest) / 2)


@define(eq=False)
class ServerClock:
    """What the answers of the server have told about its clock.

    Old servers tell whole seconds only. Yet each answer bounds the difference of the clocks from
    both sides, and together they narrow it down to little more than a trip takes. Between
    answers the bounds grow apart, for no two clocks go alike.

    Attributes:
        step: How many milliseconds the server's clock goes on at a time.
    """

    step: int
    _low: float = field(default=float("-inf"), init=False)
    _high: float = field(default=float("inf"), init=False)
    _at: float = field(default=0.0, init=False)

    def observe(self, told: int, sent: float, received: float) -> None:
        """Note that the server, asked at `sent`, told `told` by `received`, both monotonic."""
        low = told - received * 1000
        high = told + self.step - sent * 1000
        old_low, old_high = self._bounds(received)
        self._low, self._high, self._at = max(low, old_low), min(high, old_high), received
        if self._low > self._high:
            # Somebody has set one of the clocks.
            self._low, self._high = low, high

    def read(self, monotonic: float) -> Span:
        """Return the server's time at `monotonic`."""
        low, high = self._bounds(monotonic)
        return Span(monotonic * 1000 + low, monotonic * 1000 + high)

    def pause(self, monotonic: float) -> timedelta | None:
        """Return how long to wait until asking tells something; None if all is known well."""
        span = self.read(monotonic)
        if span.latest - span.earliest <= SHARP:
            return None
        # The next tick comes when the latest possible time reaches a whole step.
        left = -span.latest % self.step
        if span.earliest // self.step != span.latest // self.step:
            left = 0.0  # it may have come just now
        return timedelta(milliseconds=left)

    def _bounds(self, monotonic: float) -> tuple[float, float]:
        slack = max(0.0, monotonic - self._at) * 1000 * DRIFT
        return self._low - slack, self._high + slack
