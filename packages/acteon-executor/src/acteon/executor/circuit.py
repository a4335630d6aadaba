"""The circuit of one provider: whether calls are made at all."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from attrs import define, field

from acteon.provider import CircuitBreaker, ProviderError, ProviderSerializationError

REFUSING_EVERYBODY: Final = "CONFIGURATION"


class CircuitState(StrEnum):
    """What a circuit does with calls."""

    CLOSED = "closed"
    """They are made."""

    OPEN = "open"
    """None is made."""

    HALF_OPEN = "half_open"
    """One is made, to see how it ends."""


CLOSED: Final = (
    CircuitState.CLOSED
)  # To look it up takes as long as all else that a call asks here.


def is_failure(error: ProviderError) -> bool:
    """Return whether `error` tells that the provider fails, rather than this action.

    Its receiver could not be reached or served nobody, or nobody knows what happened.
    """
    return error.retryable or error.delivery == "unknown" or error.code == REFUSING_EVERYBODY


def went_well(error: ProviderError) -> bool | None:
    """Return whether a call that ended in `error` shows that the provider is well.

    None: it shows nothing, as the provider could not even ask its receiver.
    """
    if is_failure(error):
        return False
    return None if isinstance(error, ProviderSerializationError) else True


@define(eq=False)
class Circuit:
    """Opens when calls fail in a row, and closes when one ends well; told all instants.

    Attributes:
        settings: When it opens, and for how long; None: only by hand.
        state: What it does with calls.
        failures: Calls that failed in a row.
        forced: Whether it was opened by hand: then only a hand closes it.
        opened: How often it has opened.
        round: How often it has turned; what names the calls that begin meanwhile.
    """

    settings: CircuitBreaker | None = None
    state: CircuitState = field(default=CircuitState.CLOSED, init=False)
    failures: int = field(default=0, init=False)
    forced: bool = field(default=False, init=False)
    opened: int = field(default=0, init=False)
    round: int = field(default=0, init=False)
    _ends: float = field(default=0.0, init=False)
    _probing: bool = field(default=False, init=False)

    def closed_for(self, now: float) -> timedelta | None:
        """Return how long no call will be made; None if one can be made now.

        Args:
            now: The instant, on a monotonic clock, in seconds.
        """
        if self.state is CircuitState.CLOSED:
            return None
        if self.forced:
            return timedelta.max
        if self.state is CircuitState.OPEN:
            return None if now >= self._ends else timedelta(seconds=self._ends - now)
        # Nobody knows how long the one call that is made will take.
        return timedelta(0) if self._probing else None

    def enter(self, now: float) -> int | None:
        """Return what names a call that begins now, for `leave`; None if it may not be made."""
        if self.state is not CircuitState.CLOSED:
            if self.closed_for(now) is not None:
                return None
            if self.state is CircuitState.OPEN:
                self._turn(CircuitState.HALF_OPEN)
            self._probing = True
        return self.round

    def leave(self, entered: int, well: bool | None, now: float) -> None:
        """Take note of the end of a call.

        Args:
            entered: What `enter` gave.
            well: Whether it ended well; None if it does not tell.
            now: The instant.
        """
        if entered != self.round:
            return  # It began before the circuit turned: that is known already.
        self._probing = False
        if well is None:
            return
        if well:
            self.failures = 0
            if self.state is CircuitState.HALF_OPEN:
                self._turn(CircuitState.CLOSED)
            return
        self.failures += 1
        if self.settings is not None and (
            self.state is CircuitState.HALF_OPEN or self.failures >= self.settings.failure_threshold
        ):
            self._open()
            self._ends = now + self.settings.recovery_timeout.total_seconds()

    def open_by_hand(self) -> None:
        """Open it, until it is closed by hand."""
        if self.state is not CircuitState.OPEN:
            self._open()
        self.forced = True

    def close_by_hand(self) -> None:
        """Close it."""
        self.forced = False
        self.failures = 0
        self._turn(CircuitState.CLOSED)

    def _open(self) -> None:
        self.opened += 1
        self._turn(CircuitState.OPEN)

    def _turn(self, state: CircuitState) -> None:
        self.state = state
        self._probing = False
        self.round += 1
