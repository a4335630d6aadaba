"""A plain store, and the backend that it makes."""

import asyncio
from datetime import timedelta
from math import inf

import pytest
from attrs import define, field

from acteon.core import Clock, ManualClock
from acteon.state import (
    StateBackend,
    StateKey,
    StateSerializationError,
    StateStore,
    StoreLocks,
    Taken,
)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def plain(clock: ManualClock) -> StateBackend:
    """The backend of a store that has nothing but the primitives."""
    store = DictStore(clock)
    return StateBackend(store, StoreLocks(store))


@define(eq=False)
class DictStore(StateStore):
    """About the least that a store can be; every call suspends first, as one to a server does."""

    clock: Clock
    entries: dict[str, tuple[str, float]] = field(
        factory=dict[str, tuple[str, float]], init=False, repr=False
    )

    async def get(self, key: StateKey) -> str | None:
        await asyncio.sleep(0)
        return self._live(key)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await asyncio.sleep(0)
        self._put(key, value, ttl)

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self.compare_and_swap(key, None, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        await asyncio.sleep(0)
        live = self._live(key) is not None
        self.entries.pop(key.text, None)
        return live

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        await asyncio.sleep(0)
        total = self._count(key) + delta
        if abs(total) >= 2**63:
            raise StateSerializationError("expected a sum of 64 bits")
        if ttl is None and self._live(key) is not None:
            self.entries[key.text] = (str(total), self.entries[key.text][1])
        else:
            self._put(key, str(total), ttl)
        return total

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        await asyncio.sleep(0)
        if self._live(key) != expected:
            return False
        if new is None:
            self.entries.pop(key.text, None)
        else:
            self._put(key, new, ttl)
        return True

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        await asyncio.sleep(0)
        number = self._count(key)
        admitted = number + amount <= limit
        if number == 0:
            if admitted:
                self._put(key, str(amount), window)
            return Taken(admitted, window, amount if admitted else 0)
        closes = self.entries[key.text][1]
        if admitted:
            number += amount
            self.entries[key.text] = (str(number), closes)
        return Taken(admitted, timedelta(seconds=closes - self.clock.monotonic()), number)

    def _live(self, key: StateKey) -> str | None:
        value, expires = self.entries.get(key.text, ("", -inf))
        return value if expires > self.clock.monotonic() else None

    def _put(self, key: StateKey, value: str, ttl: timedelta | None) -> None:
        expires = inf if ttl is None else self.clock.monotonic() + ttl.total_seconds()
        self.entries[key.text] = (value, expires)

    def _count(self, key: StateKey) -> int:
        try:
            return int(self._live(key) or "0")
        except ValueError:
            raise StateSerializationError("expected a count") from None
