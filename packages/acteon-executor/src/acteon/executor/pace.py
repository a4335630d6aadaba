"""How many calls may begin in a second."""

import heapq

from attrs import define, field


@define(eq=False)
class Pace:
    """Spreads calls evenly, after a burst; told all instants, in seconds of a monotonic clock.

    This is the generic cell rate algorithm (ITU-T I.371, its virtual scheduling form): it keeps
    the instant at which the next call would be due if all came evenly.

    Attributes:
        per_second: Calls in a second.
        burst: How many may come at once after a pause.
    """

    per_second: float
    burst: int
    _due: float = field(default=0.0, init=False)
    _returned: list[float] = field(factory=list[float], init=False)

    def reserve(self, now: float, patience: float) -> float:
        """Return how many seconds a call has to wait, and count it, unless that is too long.

        Args:
            now: The instant.
            patience: What is too long. Nothing is counted if the answer is longer.
        """
        interval = 1 / self.per_second
        while self._returned and self._returned[0] < now:
            heapq.heappop(self._returned)  # Its turn went by.
        if self._returned:
            wait = self._returned[0] - now
            if wait <= patience:
                heapq.heappop(self._returned)
            return wait
        due = max(self._due, now)
        wait = max(0.0, due - (self.burst - 1) * interval - now)
        if wait <= patience:
            self._due = due + interval
        return wait

    def give_back(self, turn: float) -> None:
        """Let another call have a turn that was not taken: that at the instant `turn`."""
        heapq.heappush(self._returned, turn)
