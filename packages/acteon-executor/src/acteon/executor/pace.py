"""How many calls may begin in a second."""

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

    def reserve(self, now: float, patience: float) -> float:
        """Return how many seconds a call has to wait, and count it, unless that is too long.

        Args:
            now: The instant.
            patience: What is too long. Nothing is counted if the answer is longer.
        """
        interval = 1 / self.per_second
        due = max(self._due, now)
        wait = max(0.0, due - (self.burst - 1) * interval - now)
        if wait <= patience:
            self._due = due + interval
        return wait
