"""Entries in the order of time, where nearly all come at the end and go at the start."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any, Final

Entry = tuple[Any, ...]
"""The members of one record. The garbage collector stops looking at a plain tuple that holds
only texts, numbers and instants, which no class of our own would get it to do."""

Key = Callable[[Entry], tuple[datetime, str]]

_COMPACT_AT: Final = 1024


class Timeline:
    """Entries in ascending order of their keys, which all differ.

    Adding at the end and removing at the start take no longer with more entries; elsewhere, the
    references behind are moved.

    Args:
        key: Gives an entry's key: an instant, and an id for those that share it.
    """

    def __init__(self, key: Key) -> None:
        self._key = key
        # Before `_start` are only empty tuples: cutting them off each time would move the rest.
        self._entries: list[Entry] = []
        self._start = 0

    def __len__(self) -> int:
        return len(self._entries) - self._start

    @property
    def first(self) -> Entry:
        """The entry with the smallest key; there must be one."""
        return self._entries[self._start]

    def add(self, entry: Entry) -> None:
        """Put `entry` in its place."""
        if not len(self) or self._key(self._entries[-1]) < self._key(entry):
            self._entries.append(entry)
        else:
            insort(self._entries, entry, lo=self._start, key=self._key)

    def remove(self, entry: Entry) -> None:
        """Take `entry`, which is there, out."""
        if entry is not self.first:
            key = self._key(entry)
            del self._entries[bisect_left(self._entries, key, lo=self._start, key=self._key)]
            return
        self._entries[self._start] = ()
        self._start += 1
        # Moving what is left costs no more than the removals since the last time did.
        if self._start >= _COMPACT_AT and self._start * 2 >= len(self._entries):
            del self._entries[: self._start]
            self._start = 0

    def backwards(self) -> Iterator[Entry]:
        """Return the entries, the greatest key first."""
        return islice(reversed(self._entries), len(self))

    def between(self, since: datetime | None, until: datetime | None) -> list[Entry]:
        """Return the entries of these instants, both included; None: no bound."""
        low, high = self._start, len(self._entries)
        if since is not None:
            low = bisect_left(self._entries, since, low, high, key=self._instant)
        if until is not None:
            high = bisect_right(self._entries, until, low, high, key=self._instant)
        return self._entries[low:high]

    def _instant(self, entry: Entry) -> datetime:
        return self._key(entry)[0]
