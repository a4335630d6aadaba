"""The table that holds everything: entries, and locks among them."""

import heapq
from datetime import timedelta
from math import inf
from typing import Final

from attrs import define, field

from acteon.core import Clock
from acteon.state import StateKey

Name = StateKey | str
"""Keys are the names of entries, texts those of locks; they are never equal."""

_Kept = tuple[str, ...] | str
"""A name as it is kept: a plain tuple equals its key, and the garbage collector, which looks at
keys again and again, lets it go at first sight."""

Entry = tuple[str, float]
"""A value and when, on the monotonic clock, it expires. A tuple of these costs the garbage
collector nothing, however many there are."""

EVERY: Final = 32
"""How many writes pass between two rounds of sweeping."""
ROUND: Final = 2 * EVERY
"""How many names a round looks at: more than were written since, so that it keeps up."""


@define(eq=False)
class Table:
    """Names, their values and when they expire.

    An expired entry is gone for whoever looks. The space of those nobody looks at comes back by
    sweeping a few of them now and then, along with the writes. What expires on purpose is swept
    in the order of expiry, to the second. Leases are nearly always ended by their holders, long
    before they expire, so they are kept out of that order and looked through in turn.
    """

    clock: Clock
    entries: dict[_Kept, Entry] = field(factory=dict[_Kept, Entry], init=False, repr=False)
    leased: set[_Kept] = field(factory=set[_Kept], init=False, repr=False)
    """The names that hold leases, live or not."""
    _turn: list[_Kept] = field(factory=list[_Kept], init=False, repr=False)
    _due: list[int] = field(factory=list[int], init=False, repr=False)
    """The seconds, as a heap, at whose end there is something to sweep."""
    _names: dict[int, list[_Kept]] = field(factory=dict[int, list[_Kept]], init=False, repr=False)
    """What there is to sweep, by those seconds."""
    _scheduled: dict[_Kept, int] = field(factory=dict[_Kept, int], init=False, repr=False)
    """The second of each name; where else it may be listed, it is void."""
    _writes: int = field(default=0, init=False, repr=False)

    @property
    def size(self) -> int:
        """How many things are kept in all, those for the sweeping included."""
        kept = (self.entries, self.leased, self._turn, self._due, self._scheduled)
        return sum(map(len, kept)) + sum(map(len, self._names.values()))

    def live(self, name: Name) -> Entry | None:
        """Return the entry `name`, or None if there is none or it has expired."""
        found = self.entries.get(name)
        if found is not None and found[1] <= self.clock.monotonic():
            self.drop(name)
            return None
        return found

    def put(self, name: Name, value: str, ttl: timedelta | None) -> None:
        """Set `name`, for ever if `ttl` is None."""
        expires = inf if ttl is None else self.clock.monotonic() + ttl.total_seconds()
        self.put_until(name, value, expires)

    def put_until(self, name: Name, value: str, expires: float) -> None:
        """Set `name` until `expires`."""
        kept = _kept(name)
        self.entries[kept] = (value, expires)
        self.leased.discard(kept)
        if expires < inf:
            self._schedule(kept, expires)
        self.written()

    def replace(self, name: Name, found: Entry, value: str) -> None:
        """Set `name`, which has the live entry `found` and is no lease, for as long as that."""
        # It keeps its place in the order of expiry, and takes no more space than before.
        self.entries[name] = (value, found[1])

    def lease(self, name: Name, value: str, expires: float) -> None:
        """Set `name` until `expires`, expecting that it will be dropped or put before."""
        kept = _kept(name)
        self.entries[kept] = (value, expires)
        self.leased.add(kept)
        self.written()

    def drop(self, name: _Kept) -> None:
        """Remove the entry `name`, which must be there."""
        del self.entries[name]
        self.leased.discard(name)

    def written(self) -> None:
        """Count one write, and sweep if it is time."""
        self._writes += 1
        if self._writes >= EVERY:
            self._writes = 0
            now = self.clock.monotonic()
            self._sweep_due(now)
            self._sweep_leases(now)

    def _schedule(self, name: _Kept, expires: float) -> None:
        second = int(expires) + 1
        scheduled = self._scheduled.get(name)
        if scheduled is not None and scheduled <= second:
            return  # The look at it that comes by then schedules the next one.
        names = self._names.get(second)
        if names is None:
            names = self._names[second] = []
            heapq.heappush(self._due, second)
        self._scheduled[name] = second
        names.append(name)

    def _sweep_due(self, now: float) -> None:
        for _ in range(ROUND):
            if not self._due or self._due[0] > now:
                return
            second = self._due[0]
            names = self._names[second]
            if not names:
                del self._names[heapq.heappop(self._due)]
                continue
            name = names.pop()
            if self._scheduled.get(name) != second:
                continue
            del self._scheduled[name]
            found = self.entries.get(name)
            if found is None or name in self.leased:
                continue
            if found[1] <= now:
                del self.entries[name]
            elif found[1] < inf:
                self._schedule(name, found[1])

    def _sweep_leases(self, now: float) -> None:
        if not self._turn:
            self._turn = list(self.leased)
        turn = self._turn
        for _ in range(min(ROUND, len(turn))):
            name = turn.pop()
            found = self.entries.get(name)
            if found is not None and found[1] <= now and name in self.leased:
                self.drop(name)


def _kept(name: Name) -> _Kept:
    return name if isinstance(name, str) else tuple(name)
