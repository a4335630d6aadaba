"""How a request is refused that is one too many."""

from acteon.core import ActeonError


class RateLimitedError(ActeonError):
    """Somebody has sent as many requests as they may; they are told when to try again.

    Attributes:
        retry_after: In how many seconds there is room again, at the latest.
        limit: How many they may send in a window; None: it is not told.
    """

    code = "RATE_LIMITED"

    def __init__(
        self, retry_after: int, *, limit: int | None = None, retryable: bool = True
    ) -> None:
        super().__init__("rate limit exceeded")
        self.retry_after = retry_after
        self.limit = limit
        self.retryable = retryable
