"""When calls fail, and as what: decisions without any I/O."""

from collections.abc import Callable
from random import Random

from attrs import evolve, field, frozen

from acteon.provider import ExecutionFailedError, ProviderConnectionError, ProviderError

Error = Callable[[int], ProviderError]
"""Returns the error for the call of that number."""


def simulated_failure(number: int) -> ProviderError:
    """Return the error of calls that fail for no other reason."""
    return ExecutionFailedError(f"simulated failure on call #{number}")


def lost_answer(number: int) -> ProviderError:
    """Return the error of a delivery whose answer did not arrive."""
    return ProviderConnectionError(f"the answer to call #{number} was lost", delivery="unknown")


def _error(given: ProviderError | Error | None) -> Error:
    if given is None:
        return simulated_failure
    if isinstance(given, ProviderError):
        return lambda _: given
    return given


@frozen
class Failure:
    """How one call fails.

    Attributes:
        error: What is raised.
        delivered: Whether the delivery takes place all the same.
    """

    error: ProviderError
    delivered: bool = False


@frozen
class FailureMode:
    """Which calls fail, and as what; `|` joins two, of which the first that fails a call counts.

    Modes are made by the class methods. All take `error`: what is raised, or what returns it for
    the number of the call; without it `execution failed: simulated failure on call #n`, which is
    not retryable.
    """

    _fails: Callable[[int], bool]
    _error: Error = simulated_failure
    _delivered: bool = False
    _text: str = field(default="", kw_only=True, alias="text")
    _others: "tuple[FailureMode, ...]" = field(default=(), kw_only=True, alias="others")

    @classmethod
    def never(cls) -> "FailureMode":
        """No call fails."""
        return cls(lambda _: False, text="never")

    @classmethod
    def always(cls, *, error: ProviderError | Error | None = None) -> "FailureMode":
        """Every call fails."""
        return cls(lambda _: True, _error(error), text="always")

    @classmethod
    def first_n(cls, count: int, *, error: ProviderError | Error | None = None) -> "FailureMode":
        """The first `count` calls fail."""
        if count < 0:
            raise ValueError(f"first_n: {count}: give 0 or more")
        return cls(lambda number: number <= count, _error(error), text=f"first_n({count})")

    @classmethod
    def every_n(cls, count: int, *, error: ProviderError | Error | None = None) -> "FailureMode":
        """Every `count`th call fails: of 2, the second, the fourth, …."""
        if count < 1:
            raise ValueError(f"every_n: {count}: give 1 or more")
        return cls(lambda number: number % count == 0, _error(error), text=f"every_n({count})")

    @classmethod
    def probabilistic(
        cls, share: float, *, seed: int = 0, error: ProviderError | Error | None = None
    ) -> "FailureMode":
        """Each call fails with the probability `share`; equal seeds fail equal calls."""
        if not 0 <= share <= 1:
            raise ValueError(f"probabilistic: {share}: give 0 to 1")

        def fails(number: int) -> bool:
            # By its number alone, so that calls under way together change nothing.
            return Random(f"{seed}/{number}").random() < share

        return cls(fails, _error(error), text=f"probabilistic({share}, seed={seed})")

    def delivered_then_lost(self) -> "FailureMode":
        """Return a mode whose failing calls deliver, and lose the answer.

        What they raise, unless `error` was given, is a connection error that leaves the delivery
        unknown.
        """
        error = lost_answer if self._error is simulated_failure else self._error
        others = tuple(each.delivered_then_lost() for each in self._others)
        text = f"{self._text}.delivered_then_lost()"
        return evolve(self, error=error, delivered=True, text=text, others=others)

    def failure(self, number: int) -> Failure | None:
        """Return how the call `number`, counted from 1, fails; None if it does not."""
        if self._fails(number):
            return Failure(self._error(number), self._delivered)
        return next(
            (found for each in self._others if (found := each.failure(number)) is not None), None
        )

    def __or__(self, other: "FailureMode") -> "FailureMode":
        # One level deep, whichever way they were joined.
        return evolve(self, others=(*self._others, evolve(other, others=()), *other._others))

    def __repr__(self) -> str:
        return " | ".join(f"FailureMode.{each._text}" for each in (self, *self._others))
