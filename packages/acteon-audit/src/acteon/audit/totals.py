"""How many records fit a query, remembered for as long as that is of use to its next pages."""

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from attrs import define, evolve, field, frozen

from acteon.audit.query import AuditQuery
from acteon.core import SYSTEM_CLOCK, Clock

FIRST_PAGE: Final = timedelta(seconds=2)
"""For so long a first page shows the total of another one."""
NEXT_PAGES: Final = timedelta(seconds=30)
"""The same for further pages."""
LONG: Final = timedelta(milliseconds=250)
"""Who turns pages does not wait for a count that takes longer whenever a record has come in."""
MOST: Final = 128


@frozen
class Counted:
    """A total, and how it came to be.

    Attributes:
        total: How many records fit.
        begun: When they were begun to be counted, in seconds of the monotonic clock.
        took: Seconds that counting took.
        changes: How many changes had begun or ended by then.
    """

    total: int
    begun: float
    took: float
    changes: int


@define(eq=False)
class Totals:
    """What an audit store remembers of the totals that it has counted.

    What this process has changed is always in the total of a first page, and in those of further
    pages unless counting takes long; what others have changed, as soon as a total is too old.

        total = totals.of(query)
        if total.known is None:
            total.count(await count(query))

    Attributes:
        clock: Tells how old they are.
    """

    clock: Clock = SYSTEM_CLOCK
    _changes: int = field(default=0, init=False)
    _counted: OrderedDict[AuditQuery, Counted] = field(
        factory=OrderedDict[AuditQuery, Counted], init=False
    )

    @contextmanager
    def changing(self) -> Generator[None]:
        """Have it known that records may come or go while the block runs, even if it fails."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes += 1

    def of(self, query: AuditQuery) -> "Total":
        """Return what is known of the total of `query`, which is about to be answered."""
        filters = evolve(query, after=None, limit=1, offset=0)
        now = self.clock.monotonic()
        known = self._counted.get(filters)
        if known is not None and self._serves(known, query, now):
            self._counted.move_to_end(filters)
            return Total(self, filters, known.total, now, self._changes)
        return Total(self, filters, None, now, self._changes)

    def _serves(self, known: Counted, query: AuditQuery, now: float) -> bool:
        age = timedelta(seconds=now - known.begun)
        unchanged = known.changes == self._changes
        if query.after is None and query.offset == 0:
            return unchanged and age < FIRST_PAGE
        return age < NEXT_PAGES and (unchanged or known.took >= LONG.total_seconds())

    def remember(self, filters: AuditQuery, counted: Counted) -> None:
        """Remember what was counted for `filters`, unless something newer is known."""
        known = self._counted.get(filters)
        if known is None or known.begun <= counted.begun:
            self._counted[filters] = counted
        self._counted.move_to_end(filters)
        if len(self._counted) > MOST:
            self._counted.popitem(last=False)


@frozen
class Total:
    """How many records fit one query, as far as that is known.

    Attributes:
        known: How many; None: they must be counted.
    """

    _totals: Totals
    _filters: AuditQuery
    known: int | None
    _begun: float
    _changes: int

    def count(self, total: int) -> int:
        """Remember that there are `total`, as counted from when this was asked for; return it."""
        took = self._totals.clock.monotonic() - self._begun
        self._totals.remember(self._filters, Counted(total, self._begun, took, self._changes))
        return total
