"""How often, how long and how many at once."""

import random
from datetime import timedelta

from attrs import Attribute, field, frozen
from attrs.validators import ge, gt, le

_NOTHING = timedelta(0)
_random = random.Random()  # seeded by the system


def _is_no_less_than_the_first(
    instance: "Backoff", attribute: "Attribute[timedelta]", value: timedelta
) -> None:
    if value < instance.first_delay:
        raise ValueError(
            f"'{attribute.name}' must be >= 'first_delay' ({instance.first_delay}): {value}"
        )


@frozen(kw_only=True)
class Backoff:
    """How far apart the attempts are.

    Attributes:
        first_delay: The longest pause after the first attempt.
        factor: How many times longer the next one may be.
        max_delay: The longest of all.
        jitter: How much of a pause is left to chance, so that many callers that failed together
            do not come back together: 0 for none of it, 1 for all.
    """

    first_delay: timedelta = field(default=timedelta(milliseconds=100), validator=gt(_NOTHING))
    factor: float = field(default=2.0, validator=ge(1.0))
    max_delay: timedelta = field(
        default=timedelta(seconds=30), validator=_is_no_less_than_the_first
    )
    jitter: float = field(default=0.5, validator=[ge(0.0), le(1.0)])

    def limit_after(self, attempt: int) -> timedelta:
        """Return the longest pause after the failed `attempt`, counted from 1."""
        first, longest = self.first_delay.total_seconds(), self.max_delay.total_seconds()
        try:
            grown = first * self.factor ** (attempt - 1)
        except OverflowError:
            return self.max_delay
        return self.max_delay if grown >= longest else timedelta(seconds=grown)

    def delay_after(self, attempt: int, random: random.Random = _random) -> timedelta:
        """Return a pause after the failed `attempt`, counted from 1."""
        return self.limit_after(attempt) * (1 - self.jitter * random.random())


@frozen(kw_only=True)
class ExecutorSettings:
    """How calls of providers are made.

    Attributes:
        max_retries: How often a call is repeated after the first attempt.
        timeout: The time for each attempt.
        max_concurrent: How many attempts are under way at once with each provider; further ones
            wait in line.
        backoff: The pauses between the attempts.
    """

    max_retries: int = field(default=3, validator=ge(0))
    timeout: timedelta = field(default=timedelta(seconds=30), validator=gt(_NOTHING))
    max_concurrent: int = field(default=100, validator=ge(1))
    backoff: Backoff = field(factory=Backoff)
