"""When a request that failed is made again, and after how long."""

import random
from collections.abc import Callable

from attrs import field, frozen
from attrs.validators import ge, optional

from acteon.client.calls import Repeat
from acteon.client.errors import ActeonConnectionError, ClientError

_NOT_PROCESSED = (429, 503)
"""Statuses of requests that the server has not carried out."""


@frozen(kw_only=True)
class RetryPolicy:
    """How a client tries again.

    A dispatch that may have been carried out is not repeated: only what reached no server, or was
    refused with 429 or 503, is. The action keeps its `id`; with a rule that deduplicates by it,
    `retry_unsafe` is safe.

    Waits grow as in "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015), "full jitter".

    Attributes:
        max_attempts: Requests at most, the first one included.
        base: The longest wait before the second attempt, in seconds.
        multiplier: How much longer each wait may be than the one before.
        max: The longest wait, in seconds; a server that asks for more is not asked again.
        jitter: Whether a wait is a random part of the longest one; otherwise it is that.
        respect_retry_after: Whether to wait as long as the server says.
        retry_unsafe: Whether to repeat dispatches that may have been carried out.
        deadline: Seconds after which no attempt is begun; None: any time.
        random: Returns numbers from 0 up to 1.
    """

    max_attempts: int = field(default=3, validator=ge(1))
    base: float = field(default=0.1, validator=ge(0))
    multiplier: float = field(default=2.0, validator=ge(1))
    max: float = field(default=30.0, validator=ge(0))
    jitter: bool = True
    respect_retry_after: bool = True
    retry_unsafe: bool = False
    deadline: float | None = field(default=None, validator=optional(ge(0)))
    random: Callable[[], float] = field(default=random.random, repr=False, eq=False)

    def pause(
        self, error: ClientError, repeat: Repeat, *, attempts: int, elapsed: float
    ) -> float | None:
        """Return how many seconds to wait before the next attempt; None: there is none.

        Args:
            error: How the last attempt failed.
            repeat: When the call may be repeated.
            attempts: How many there were.
            elapsed: Seconds since the first one began.
        """
        if attempts >= self.max_attempts or not self._may_repeat(error, repeat):
            return None
        pause = min(self.max, self.base * self.multiplier ** (attempts - 1))
        if self.jitter:
            pause *= self.random()
        if self.respect_retry_after and error.retry_after is not None:
            if error.retry_after > self.max:
                return None
            pause = max(pause, error.retry_after)
        if self.deadline is not None and elapsed + pause > self.deadline:
            return None
        return pause

    def _may_repeat(self, error: ClientError, repeat: Repeat) -> bool:
        if not error.retryable or repeat is Repeat.NEVER:
            return False
        if repeat is Repeat.ALWAYS or self.retry_unsafe:
            return True
        if isinstance(error, ActeonConnectionError):
            return not error.sent
        return error.status in _NOT_PROCESSED
