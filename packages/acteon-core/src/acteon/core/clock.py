"""Where the time comes from: one object, so that tests can move it."""

import asyncio
import heapq
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from attrs import Factory, define, field


class Clock(Protocol):
    """Tells the time and waits; everything in Acteon that needs either is given one."""

    def now(self) -> datetime:
        """Return the current instant, aware and in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds since some fixed moment; never goes back."""
        ...

    async def sleep(self, pause: timedelta) -> None:
        """Return when `pause` is over."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    monotonic = staticmethod(time.monotonic)

    async def sleep(self, pause: timedelta) -> None:
        await asyncio.sleep(pause.total_seconds())


SYSTEM_CLOCK = SystemClock()


_Sleeper = tuple[float, int, asyncio.Future[None]]


@define(eq=False)
class ManualClock:
    """A clock that stands still until it is moved: for tests.

    Sleepers wake, in order, when the clock has been moved to their instant.

    Attributes:
        current: What `now` gives.
    """

    current: datetime = datetime(2025, 1, 1, tzinfo=UTC)
    _start: datetime = field(
        default=Factory(lambda clock: clock.current, takes_self=True), init=False
    )
    _elapsed: float = field(default=0.0, init=False)
    _numbers: "itertools.count[int]" = field(factory=itertools.count, init=False)
    _sleepers: list[_Sleeper] = field(factory=list[_Sleeper], init=False)

    def now(self) -> datetime:
        return self.current

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, pause: timedelta) -> None:
        if pause <= timedelta(0):
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        due = self._elapsed + pause.total_seconds()
        heapq.heappush(self._sleepers, (due, next(self._numbers), woken))
        await woken

    @property
    def sleepers(self) -> int:
        """How many calls of `sleep` have not returned yet."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    def move(self, step: timedelta) -> None:
        """Move the clock on by `step` and wake whoever is due by then."""
        self._move_to(self._elapsed + step.total_seconds())

    def _move_to(self, elapsed: float) -> None:
        # Not by a difference: rounded to microseconds it might never get to where it should.
        self.current = self._start + timedelta(seconds=elapsed)
        self._elapsed = elapsed
        while self._sleepers and self._sleepers[0][0] <= elapsed:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    async def advance(self, step: timedelta) -> None:
        """Move the clock on by `step`, giving each sleeper its turn on the way."""
        target = self._elapsed + step.total_seconds()
        await _turns()
        while self._sleepers and self._sleepers[0][0] <= target:
            self._move_to(self._sleepers[0][0])
            await _turns()
        self._move_to(target)
        await _turns()


async def _turns() -> None:
    for _ in range(_TURNS):
        await asyncio.sleep(0)


_TURNS = 20
"""Turns of the event loop that `ManualClock.advance` gives the woken to get on with it."""
