"""Counting what is the same as something a moment ago, instead of telling it again."""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

from attrs import define, field

from acteon.core import Action

Draft = Callable[[int, datetime], Action]
"""Makes the action for what happened last, at an instant, and as often before unsaid."""


@define(eq=False)
class _Entry:
    draft: Draft
    told_at: float
    unsaid: int = 0
    last: datetime | None = None


@define(eq=False)
class Repeats:
    """Knows what was told within `interval` seconds, and counts what is the same.

    It has no clock: `now` is any number of seconds that grows.

    Attributes:
        interval: Seconds in which the same thing is told once; 0: it is always told.
        limit: How many different things are known at a time.
    """

    interval: float
    limit: int = 1000
    # In the order in which they were told, so that those that are due stand in front.
    _entries: OrderedDict[str, _Entry] = field(factory=OrderedDict[str, _Entry], init=False)

    def count(self, key: str, instant: datetime, now: float) -> bool:
        """Return whether `key` was told within the interval; if so, count it once more."""
        entry = self._entries.get(key)
        if entry is None or now >= entry.told_at + self.interval:
            return False
        self._add(entry, instant)
        return True

    def count_anyway(self, key: str, instant: datetime) -> bool:
        """Count `key` once more if it is known at all; return whether it is."""
        entry = self._entries.get(key)
        if entry is not None:
            self._add(entry, instant)
        return entry is not None

    def _add(self, entry: _Entry, instant: datetime) -> None:
        entry.unsaid += 1
        entry.last = instant

    def tell(self, key: str, draft: Draft, instant: datetime, now: float) -> Action:
        """Return the action that tells `key`, and how often it was counted before."""
        entry = self._entries.pop(key, None)
        if self.interval > 0:
            self._entries[key] = _Entry(draft, now)
        return draft(0 if entry is None else entry.unsaid, instant)

    def take_due(self, now: float) -> Action | None:
        """Return an action for what was counted, once its interval is over; None: there is none.

        It stands for the last one that was counted. What is known beyond `limit` is due, too.
        """
        while self._entries:
            key, entry = next(iter(self._entries.items()))
            too_many = len(self._entries) > self.limit
            if now < entry.told_at + self.interval and not too_many:
                return None
            del self._entries[key]
            if entry.last is not None:
                if not too_many:
                    self._entries[key] = _Entry(entry.draft, now)
                return entry.draft(entry.unsaid - 1, entry.last)
        return None

    def next_due(self) -> float | None:
        """Return when to ask for what is due; None: there is nothing."""
        first = next(iter(self._entries.values()), None)
        return None if first is None else first.told_at + self.interval
