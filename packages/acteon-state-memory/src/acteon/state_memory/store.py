"""The store and the locks, each a view of one table."""

from datetime import timedelta
from math import inf

from attrs import frozen

from acteon.state import Locks, StateKey, StateSerializationError, StateStore, Taken
from acteon.state_memory.table import Entry, Table

MOST = 2**63 - 1
LEAST = -(2**63)


@frozen
class MemoryStateStore(StateStore):
    """The entries of `table`. No call ever waits, which makes each of them atomic."""

    table: Table

    async def get(self, key: StateKey) -> str | None:
        found = self.table.live(key)
        return None if found is None else found[0]

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        self.table.put(key, value, ttl)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        if self.table.live(key) is not None:
            return False
        self.table.put(key, value, ttl)
        return True

    async def delete(self, key: StateKey) -> bool:
        if self.table.live(key) is None:
            return False
        self.table.drop(key)
        return True

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        found = self.table.live(key)
        total = read_count(found) + delta
        if not LEAST <= total <= MOST:
            raise StateSerializationError(f"expected a sum of at most 64 bits, found {total}")
        if ttl is None:
            self.table.put_until(key, str(total), inf if found is None else found[1])
        else:
            self.table.put(key, str(total), ttl)
        return total

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        found = self.table.live(key)
        if (None if found is None else found[0]) != expected:
            return False
        if new is not None:
            self.table.put(key, new, ttl)
        elif found is not None:
            self.table.drop(key)
        return True

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        found = self.table.live(key)
        taken = asked(self.table, found, limit, window, amount)
        if taken.admitted:
            count(self.table, key, found, window, taken.count)
        return taken


@frozen
class MemoryLocks(Locks):
    """The locks of `table`. No call ever waits, which makes each of them atomic."""

    table: Table

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        table = self.table
        found = table.live(name)
        now = table.clock.monotonic()
        if found is not None and found[0] != token:
            return timedelta(seconds=found[1] - now)
        table.lease(name, token, now + ttl.total_seconds())
        return None

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        if not self._holds(name, token):
            return False
        self.table.lease(name, token, self.table.clock.monotonic() + ttl.total_seconds())
        return True

    async def release(self, name: str, token: str) -> bool:
        if not self._holds(name, token):
            return False
        self.table.drop(name)
        return True

    def _holds(self, name: str, token: str) -> bool:
        found = self.table.live(name)
        return found is not None and found[0] == token


def read_count(found: Entry | None) -> int:
    """Return the number that the entry holds; 0 without one."""
    if found is None:
        return 0
    try:
        return int(found[0])
    except ValueError:
        raise StateSerializationError("expected a count, found something else") from None


def asked(
    table: Table, found: Entry | None, limit: int, window: timedelta, amount: int = 1
) -> Taken:
    """Return how taking `amount` more goes in the window of the live entry `found`."""
    counted = read_count(found)
    admitted = counted + amount <= limit
    if admitted:
        counted += amount
    if found is None or found[1] == inf:
        return Taken(admitted, window, counted)
    return Taken(admitted, timedelta(seconds=found[1] - table.clock.monotonic()), counted)


def count(table: Table, key: StateKey, found: Entry | None, window: timedelta, total: int) -> None:
    """Have `total` counted in the window of `key`, whose live entry is `found`; or open it."""
    if found is None:
        table.put(key, str(total), window)
    else:
        table.replace(key, found, str(total))
