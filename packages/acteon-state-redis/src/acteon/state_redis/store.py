"""Entries and locks in Redis: each operation is one command or one script."""

from datetime import timedelta
from typing import Any

from attrs import define

from acteon.state import Locks, StateKey, StateStore, Taken
from acteon.state_redis.calls import Calls
from acteon.state_redis.names import EXACT, Names, decoded, encoded, milliseconds
from acteon.state_redis.scripts import script

_MILLISECOND = timedelta(milliseconds=1)


@define(eq=False)
class RedisStateStore(StateStore):
    """Entries as plain strings of Redis, which expires them."""

    calls: Calls
    names: Names

    async def get(self, key: StateKey) -> str | None:
        found = await self.calls.command("GET", self.names.entry(key), harmless=True)
        return None if found is None else decoded(found)

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        name, ms = self.names.entry(key), milliseconds(ttl)
        if ms == b"0":
            await self.calls.command("DEL", name)
        else:
            await self.calls.command("SET", name, encoded(value), *_expiry(ms))

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        name, ms = self.names.entry(key), milliseconds(ttl)
        if ms == b"0":
            return not await self.calls.command("EXISTS", name)
        made = await self.calls.command("SET", name, encoded(value), b"NX", *_expiry(ms))
        return made is not None

    async def delete(self, key: StateKey) -> bool:
        return bool(await self.calls.command("DEL", self.names.entry(key)))

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        name, added = self.names.entry(key), b"%d" % delta
        if ttl is None:
            return int(await self.calls.command("INCRBY", name, added))
        arguments = (added, milliseconds(ttl))
        return int(await self.calls.run(script("increment"), (name,), arguments))

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        arguments = (_optional(expected), _optional(new), milliseconds(ttl))
        return bool(await self.calls.run(script("swap"), (self.names.entry(key),), arguments))

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        arguments = (limit_text(limit), milliseconds(window), b"%d" % amount)
        answer = await self.calls.run(script("take"), (self.names.entry(key),), arguments)
        admitted, left, count = answer
        return Taken(bool(admitted), remaining(left, window), int(count))


@define(eq=False)
class RedisLocks(Locks):
    """Locks as strings of Redis, the holder's token, that expire with the lease."""

    calls: Calls
    names: Names

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        left = await self._run("acquire", name, encoded(token), milliseconds(ttl))
        return None if left is None else busy(left, ttl)

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        return bool(await self._run("extend", name, encoded(token), milliseconds(ttl)))

    async def release(self, name: str, token: str) -> bool:
        # As the end of a dispatch that has nothing but a lock.
        arguments = (encoded(token), b"l", b"", b"")
        (released,) = await self.calls.run(script("settle"), (self.names.lock(name),), arguments)
        return bool(released)

    async def holder(self, name: str) -> str | None:
        """Return the token that holds the lock `name`, if any does."""
        found = await self.calls.command("GET", self.names.lock(name), harmless=True)
        return None if found is None else decoded(found)

    async def _run(self, name: str, lock: str, *arguments: bytes) -> Any:
        # The same token, twice: the second one changes nothing.
        return await self.calls.run(
            script(name), (self.names.lock(lock),), arguments, harmless=True
        )


def limit_text(limit: int) -> bytes:
    """Return `limit` as the scripts take it: exact for Lua."""
    return b"%d" % min(limit, EXACT)


def remaining(left: int, window: timedelta) -> timedelta:
    """Return how long a window is open that Redis says has `left` ms."""
    # Negative: none is open, or one without an end that was set by hand.
    return window if left < 0 else max(left, 1) * _MILLISECOND


def busy(left: int, lease: timedelta) -> timedelta:
    """Return how long another one has a lock at the most that Redis says has `left` ms."""
    # Redis counts an entry's last millisecond in; one without an end has been set by hand.
    return lease if left < 0 else (left + 1) * _MILLISECOND


def _expiry(ms: bytes) -> tuple[bytes, ...]:
    return (b"PX", ms) if ms else ()


def _optional(value: str | None) -> bytes:
    return b"-" if value is None else b"+" + encoded(value)
