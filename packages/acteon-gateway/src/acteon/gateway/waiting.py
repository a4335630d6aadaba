"""Waiting for others in the same process: in the order of arrival, without asking a store."""

import asyncio
from collections import deque
from datetime import timedelta
from typing import Generic, TypeVar

from attrs import define, field

from acteon.core import Clock

K = TypeVar("K")
Woken = asyncio.Future[None]


async def wait_at_most(woken: Woken, pause: timedelta, clock: Clock) -> bool:
    """Wait until `woken` is done or `pause` is over; return whether it is done."""
    # The one task lives within this call only: it is cancelled before the call ends.
    sleeper = asyncio.ensure_future(clock.sleep(pause))
    try:
        await asyncio.wait((woken, sleeper), return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
    return woken.done()


@define(eq=False)
class Queues:
    """One queue per name: who is first has the name, the others wait for it in order."""

    _waiting: dict[str, deque[Woken] | None] = field(factory=dict[str, deque[Woken] | None])

    def __len__(self) -> int:
        """Return how many names are taken."""
        return len(self._waiting)

    def try_enter(self, name: str) -> bool:
        """Take `name` if nobody has it."""
        if name in self._waiting:
            return False
        self._waiting[name] = None
        return True

    async def enter(self, name: str, patience: timedelta, clock: Clock) -> bool:
        """Wait for `name` in turn; return False if `patience` ended first."""
        if self.try_enter(name):
            return True
        queue = self._waiting[name]
        if queue is None:
            queue = self._waiting[name] = deque()
        turn: Woken = asyncio.get_running_loop().create_future()
        queue.append(turn)
        entered = False
        try:
            entered = await wait_at_most(turn, patience, clock)
            return entered
        finally:
            if not entered:
                self._give_up(name, queue, turn)

    def _give_up(self, name: str, queue: deque[Woken], turn: Woken) -> None:
        if turn.done():
            # The turn came while this one was being cancelled: it goes to the next.
            self.leave(name)
        else:
            turn.cancel()
            queue.remove(turn)

    def leave(self, name: str) -> None:
        """Give `name` to the next in its queue, or free it."""
        queue = self._waiting[name]
        while queue:
            turn = queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        del self._waiting[name]


@define(eq=False)
class Running(Generic[K]):
    """What is running in this process, by key and for whom, and who waits for its end."""

    _owners: dict[K, object] = field(factory=dict[K, object])
    _ends: dict[K, Woken] = field(factory=dict[K, Woken])

    def __len__(self) -> int:
        """Return how many keys are running."""
        return len(self._owners)

    def start(self, key: K, owner: object = None) -> None:
        """Note that `key` runs here, for `owner`; who waits for it already goes on waiting."""
        self._owners.setdefault(key, owner)

    def end(self, key: K) -> None:
        """Note that `key` does not run any more, and wake all who wait for that."""
        self._owners.pop(key, None)
        if self._ends:
            ended = self._ends.pop(key, None)
            if ended is not None:
                ended.set_result(None)

    def wait(self, key: K) -> Woken | None:
        """Return what is done when `key` ends, or None if it does not run here.

        All who wait share it, so none of them may cancel it.
        """
        if key not in self._owners:
            return None
        ended = self._ends.get(key)
        if ended is None:
            ended = self._ends[key] = asyncio.get_running_loop().create_future()
        return ended

    def is_run_by(self, key: K, owner: object) -> bool:
        """Return whether `key` runs here for `owner`."""
        return key in self._owners and self._owners[key] is owner
