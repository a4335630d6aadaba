"""Counting requests in the state store, for all nodes together."""

import logging
import re
from typing import Final, NamedTuple

from attrs import define, field

from acteon.core import SYSTEM_CLOCK, Clock
from acteon.server.config import OnLimitError
from acteon.server.ratelimit.counter import SharedCounter
from acteon.server.ratelimit.limits import Tier
from acteon.server.ratelimit.windows import carried, window_start
from acteon.state import StateError, StateKey, StateStore

log = logging.getLogger(__name__)

DENIED_FOR: Final = 60
"""Seconds after which a request may be tried again that was refused as nobody could count it."""
MOST_KNOWN: Final = 10_000
"""Of so many buckets it is known how they stand."""
LONGEST_KNOWN: Final = 256
"""Of buckets with longer names it is not: they would fill the memory."""

_COUNT: Final = re.compile(r"[0-9]{1,19}")
_WHOLE: Final = 10
"""Seconds from which on decimals are of no interest."""


class Standing(NamedTuple):  # which is made for every request
    """How somebody stands after a request of theirs.

    Attributes:
        admitted: Whether it was counted, or let through uncounted; otherwise it is refused.
        limit: The most requests in a window.
        remaining: How many more there is room for now.
        reset: Seconds until the window ends, or until a refused one may be tried again.
    """

    admitted: bool
    limit: int
    remaining: int
    reset: int


@define(eq=False)
class _Known:
    """What is known of a bucket in one of its windows.

    Attributes:
        start: When the window began.
        before: How many were counted in the window before, which is over.
        counter: Counts in this one.
    """

    start: int
    before: int
    counter: SharedCounter


@define(eq=False)
class RateLimiter:
    """Counts requests in windows that all nodes share.

    A request is one atomic operation of the store, which counts only what it admits: of any
    number at the same time no more than the limit are. Requests of one bucket that come at the
    same time share it, and who is known to have used up their limit is refused without. The first
    one in a window asks for the count of the window before as well.

    Windows begin by the clock of the node. Where clocks differ by less than a window, each window
    still admits no more than the limit.

    Attributes:
        store: Where it is counted; it stays its owner's.
        on_error: What becomes of a request when the store cannot count it.
        clock: Tells which window it is.
    """

    store: StateStore
    on_error: OnLimitError = OnLimitError.ALLOW
    clock: Clock = SYSTEM_CLOCK
    _known: dict[str, _Known] = field(factory=dict[str, _Known], init=False, repr=False)
    _outage: "_Outage" = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._outage = _Outage(self.clock, self.on_error)

    async def take(self, bucket: str, tier: Tier, amount: int = 1) -> Standing:
        """Count `amount` more in `bucket` if they have room, all of them or none.

        Args:
            bucket: Who is counted, such as `caller:alice`.
            tier: How many they may send.
            amount: How many to count; at least 1.
        """
        now, length = int(self.clock.now().timestamp()), tier.seconds
        start = window_start(now, length)
        left = start + length - now
        begun = self.clock.monotonic()
        try:
            known = self._known.get(bucket)
            if known is None or known.start != start:
                known = await self._learn(bucket, start, tier)
            limit = tier.requests_per_window
            room = limit - carried(known.before, left, length)
            if known.counter.count + amount > room:
                # Asking would make no difference.
                return Standing(False, limit, max(0, room - known.counter.count), left)
            counted = await known.counter.take(room, amount)
        except StateError as error:
            self._outage.failed(error)
            return self._uncounted(tier)
        self._outage.worked(begun)
        return Standing(counted.admitted, limit, max(0, room - counted.count), left)

    async def _learn(self, bucket: str, start: int, tier: Tier) -> _Known:
        """Return how `bucket` stands in the window from `start`, of which nothing is known yet."""
        before = _number(await self.store.get(_key(bucket, start - tier.seconds)))
        counter = SharedCounter(self.store, _key(bucket, start), 2 * tier.window)
        learnt = _Known(start, before, counter)
        if len(bucket) > LONGEST_KNOWN:
            return learnt
        known = self._known.pop(bucket, None)
        if known is None or known.start != start:  # Another request may have learnt it.
            known = learnt
        if len(self._known) >= MOST_KNOWN:
            del self._known[next(iter(self._known))]  # Of which it was learnt longest ago.
        self._known[bucket] = known
        return known

    def _uncounted(self, tier: Tier) -> Standing:
        limit = tier.requests_per_window
        if self.on_error is OnLimitError.ALLOW:
            return Standing(True, limit, limit, tier.seconds)
        return Standing(False, limit, 0, DENIED_FOR)


@define(eq=False)
class _Outage:
    """Tells once that requests cannot be counted, and once that they can be again."""

    clock: Clock
    on_error: OnLimitError
    _since: float | None = field(default=None, init=False)

    def failed(self, error: StateError) -> None:
        """Note that a request could not be counted."""
        if self._since is not None:
            return
        self._since = self.clock.monotonic()
        log.warning(
            "requests cannot be counted: until they can, [rate_limit] on_error decides about them",
            extra={"acteon.on_error": self.on_error.value, "acteon.error": str(error)},
        )

    def worked(self, begun: float) -> None:
        """Note that a request could be counted that came at `begun`."""
        if self._since is None or begun < self._since:
            return
        seconds = self.clock.monotonic() - self._since
        self._since = None
        log.info(
            "requests are counted again",
            extra={"acteon.seconds": round(seconds, 0 if seconds >= _WHOLE else 1)},
        )


def _key(bucket: str, start: int) -> StateKey:
    return StateKey("_system", "_ratelimit", "rate_limit", f"{bucket}:{start}")


def _number(text: str | None) -> int:
    """Return the count that `text` is; 0 if it is something else."""
    return int(text) if text is not None and _COUNT.fullmatch(text) else 0
