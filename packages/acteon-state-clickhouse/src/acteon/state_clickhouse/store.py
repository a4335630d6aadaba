"""The store: each change in a turn of its own."""

from datetime import timedelta
from typing import Final

from attrs import define

from acteon.state import StateKey, StateSerializationError, StateStore, Taken
from acteon.state_clickhouse.layout import FOR_EVER, KEY, name_of
from acteon.state_clickhouse.ledger import Ledger, Standing, Value
from acteon.state_clickhouse.session import Session

MOST: Final = 2**63 - 1
LEAST: Final = -(2**63)
_MILLISECOND = timedelta(milliseconds=1)


@define(eq=False)
class ClickHouseStateStore(StateStore):
    """The entries of one pair of tables.

    Attributes:
        session: Where they are.
    """

    session: Session

    async def get(self, key: StateKey) -> str | None:
        name = key_name(key)
        current = (await self.session.ledger.read([name]))[name].current()
        return None if current is None else current.text

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await self.session.run(self._set(key, value, ttl))

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self.compare_and_swap(key, None, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        return await self.session.run(self._delete(key))

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        return await self.session.run(self._increment(key, delta, ttl))

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        return await self.session.run(self._swap(key, expected, new, ttl))

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        return await self.session.run(self._take(key, limit, window, amount))

    async def _set(self, key: StateKey, value: str, ttl: timedelta | None) -> None:
        name = key_name(key)
        async with self.session.queues.alone([name]), self.session.turns.on(name) as turn:
            await turn.write(value, self.session.ledger.after(ttl))

    async def _delete(self, key: StateKey) -> bool:
        name = key_name(key)
        async with self.session.queues.alone([name]), self.session.turns.on(name) as turn:
            if turn.standing.current() is None:
                return False
            await turn.write(None, 0)
            return True

    async def _increment(self, key: StateKey, delta: int, ttl: timedelta | None) -> int:
        name = key_name(key)
        async with self.session.queues.alone([name]), self.session.turns.on(name) as turn:
            current = turn.standing.current()
            total = read_count(current) + delta
            if not LEAST <= total <= MOST:
                raise StateSerializationError(f"expected a sum of at most 64 bits, found {total}")
            if ttl is not None:
                expires_at = self.session.ledger.after(ttl)
            else:
                expires_at = FOR_EVER if current is None else current.expires_at
            await turn.write(str(total), expires_at)
            return total

    async def _swap(
        self, key: StateKey, expected: str | None, new: str | None, ttl: timedelta | None
    ) -> bool:
        name = key_name(key)
        async with self.session.queues.alone([name]), self.session.turns.on(name) as turn:
            current = turn.standing.current()
            if (None if current is None else current.text) != expected:
                return False
            if new is not None or current is not None:
                await turn.write(new, self.session.ledger.after(ttl))
            return True

    async def _take(self, key: StateKey, limit: int, window: timedelta, amount: int) -> Taken:
        name = key_name(key)
        async with self.session.queues.alone([name]), self.session.turns.on(name) as turn:
            taken = asked(turn.standing, limit, window, amount)
            if taken.admitted:
                await turn.write(*counted(self.session.ledger, turn.standing, window, amount))
            return taken


def key_name(key: StateKey) -> str:
    """Return the name of the claims on `key`."""
    return KEY + name_of(key.text)


def read_count(current: Value | None) -> int:
    """Return the number that the entry holds; 0 without one."""
    if current is None:
        return 0
    try:
        return int(current.text)
    except ValueError:
        raise StateSerializationError("expected a count, found something else") from None


def asked(standing: Standing, limit: int, window: timedelta, amount: int = 1) -> Taken:
    """Return how taking `amount` more goes in the window of the entry."""
    current = standing.current()
    count = read_count(current)
    admitted = count + amount <= limit
    if admitted:
        count += amount
    if current is None or current.expires_at == FOR_EVER:
        return Taken(admitted, window, count)
    left = max(1, current.expires_at - standing.seen.middle) * _MILLISECOND
    return Taken(admitted, left, count)


def counted(
    ledger: Ledger, standing: Standing, window: timedelta, amount: int = 1
) -> tuple[str, int]:
    """Return the next value of the entry, with `amount` more counted.

    The first one opens the window.
    """
    current = standing.current()
    if current is None:
        return str(amount), ledger.after(window)
    return str(read_count(current) + amount), current.expires_at
