"""What waits for a trip: queues from which groups leave, and who has to wait for whom."""

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Generic, Protocol, TypeVar

from attrs import define, field

from acteon.state.keys import StateKey

Name = str | StateKey | None


class Named(Protocol):
    """What names a lock and a claim, or none."""

    @property
    def lock(self) -> str | None: ...
    @property
    def claim(self) -> StateKey | None: ...


class Waiting(Protocol):
    """What waits in a lane."""

    @property
    def wanted(self) -> Named: ...


W = TypeVar("W", bound=Waiting)


@define(eq=False)
class Lane(Generic[W]):
    """A queue from which groups leave.

    Of those that are under way each names a lock and a claim that no other one does; what names
    one again, and all that comes after it with its names, leaves later.

    Attributes:
        max_group: How many are under way at the most.
    """

    max_group: int
    _queue: list[W] = field(factory=list[W], init=False)
    _leaving: list[W] = field(factory=list[W], init=False)
    _woken: asyncio.Event = field(factory=asyncio.Event, init=False)

    def __len__(self) -> int:
        """Return how many are queued or under way."""
        return len(self._queue) + len(self._leaving)

    def __iter__(self) -> Iterator[W]:
        """Give those that are queued, in order."""
        return iter(self._queue)

    def put(self, item: W) -> None:
        """Add `item` at the end of the queue."""
        self._queue.append(item)
        self._woken.set()

    def discard(self, item: W) -> bool:
        """Take `item` out of the queue; return False if it has left already."""
        if item not in self._queue:
            return False
        self._queue.remove(item)
        self._woken.set()
        return True

    def wake(self) -> None:
        """Let the lane look again: what kept some of the queue may be gone."""
        if self._queue:
            self._woken.set()

    async def wait(self) -> None:
        """Return when there may be something to send."""
        await self._woken.wait()
        self._woken.clear()

    def next_group(self, ready: Callable[[W], bool]) -> list[W]:
        """Take those out of the queue that may leave now."""
        group: list[W] = []
        rest: list[W] = []
        room = self.max_group - len(self._leaving)
        names = {name for item in self._leaving for name in (item.wanted.lock, item.wanted.claim)}
        names.discard(None)
        for place, item in enumerate(self._queue):
            if len(group) == room:
                rest += self._queue[place:]
                break
            wanted = item.wanted
            lock, claim = wanted.lock, wanted.claim
            if (lock in names or claim in names) or not ready(item):
                rest.append(item)
            else:
                group.append(item)
            # Those that stay keep their names too: whoever comes later must not overtake them.
            if lock is not None:
                names.add(lock)
            if claim is not None:
                names.add(claim)
        self._queue = rest
        self._leaving += group
        return group

    def done(self, group: Collection[W], *, again: Collection[W] = ()) -> None:
        """Note that `group` is back; `again`, of it, goes to the head of the queue."""
        if len(group) == len(self._leaving):
            self._leaving = []
        else:
            self._leaving = [item for item in self._leaving if item not in group]
        self._queue[:0] = again

    def clear(self) -> list[W]:
        """Forget everything, and return it."""
        left = self._leaving + self._queue
        self._leaving, self._queue = [], []
        return left


@define(eq=False)
class Order:
    """The numbers of what has not been answered, by name; they grow with time."""

    _numbers: dict[str | StateKey, list[int]] = field(
        factory=dict[str | StateKey, list[int]], init=False
    )

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._numbers)

    def add(self, number: int, *names: Name) -> None:
        """Note that `number` is under `names`."""
        for name in names:
            if name is not None:
                self._numbers.setdefault(name, []).append(number)

    def remove(self, number: int, *names: Name) -> None:
        """Forget `number` under `names`."""
        for name in names:
            if name is None:
                continue
            numbers = self._numbers[name]
            numbers.remove(number)
            if not numbers:
                del self._numbers[name]

    def waits(self, number: int, *names: Name) -> bool:
        """Whether something earlier than `number` is under one of `names`."""
        return any(
            name is not None and name in self._numbers and self._numbers[name][0] < number
            for name in names
        )

    def clear(self) -> None:
        """Forget everything."""
        self._numbers.clear()
