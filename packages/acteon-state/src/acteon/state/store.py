"""The interfaces of the authors of backends: a store, its locks, and the plugin that opens both."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, ClassVar

from attrs import frozen

from acteon.state.dispatch import DispatchState
from acteon.state.keys import StateKey


@frozen
class Taken:
    """Whether a quota admitted what was asked for.

    Attributes:
        admitted: Whether it was counted.
        remaining: Time until the current window closes; the whole window if none is open.
        count: How many are counted in the window, what was admitted just now included.
    """

    admitted: bool
    remaining: timedelta
    count: int


class StateStore(ABC):
    """Named texts with expiry times, shared by all gateways of a fleet.

    Every method is safe for concurrent use and may raise `StateError`. Expiry goes by the
    store's own clock, to the millisecond; an expired entry is a missing one everywhere. A `ttl`
    of `None` means that the entry does not expire. Values are UTF-8 texts of at most 1 MiB.
    """

    @abstractmethod
    async def get(self, key: StateKey) -> str | None:
        """Return the value of `key`, or None; counters are decimal texts."""

    @abstractmethod
    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        """Set `key` whether or not it has a value; the old expiry time goes."""

    @abstractmethod
    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        """Set `key` unless it has a value; atomic. Return whether this call set it."""

    @abstractmethod
    async def delete(self, key: StateKey) -> bool:
        """Remove `key`; return whether it had a value."""

    @abstractmethod
    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        """Add `delta` to the counter `key` and return the sum; atomic; a missing one counts as 0.

        Args:
            key: The counter.
            delta: What to add; may be negative.
            ttl: Time until the counter expires, counted anew; `None` leaves the expiry as it is.

        Raises:
            StateSerializationError: The value is no integer, or the sum exceeds 64 bits.
        """

    @abstractmethod
    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        """Change `key` from `expected` to `new` if it is that; atomic.

        Args:
            key: What to change.
            expected: The value it must have; `None`: it must have none.
            new: The value it gets; `None` removes it.
            ttl: Time until it expires, counted anew.

        Returns:
            Whether it was changed.
        """

    @abstractmethod
    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        """Count `amount` more in the window of `key` unless that makes more than `limit`; atomic.

        The first one counted opens the window, which closes after `window`; refused ones are not
        counted, not even in part, and extend nothing. While it is open, `get(key)` gives the
        count as decimal text. A `limit` of 0 never counts: it asks how things stand.

        Args:
            key: The counter.
            limit: The most that are counted in one window.
            window: How long it is open.
            amount: How many to count; at least 1.
        """

    async def ping(self) -> None:
        """Return if the store can be read and written; raise `StateError` if it cannot."""
        key = StateKey("_system", "_health", "state", "ping")
        await self.set(key, "", ttl=timedelta(minutes=1))


class Locks(ABC):
    """Named leases, each held by whoever has its token. Every method may raise `StateError`."""

    @abstractmethod
    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        """Take the lock `name` for `ttl`, once, without waiting; atomic.

        A lock that `token` holds already counts as free: it is taken anew, its time starts again.

        Returns:
            None if it is held now; otherwise how long the other holder's lease lasts at the most.
        """

    @abstractmethod
    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        """Let the lease end `ttl` from now; return False, changing nothing, if `token` lost it."""

    @abstractmethod
    async def release(self, name: str, token: str) -> bool:
        """Give the lock back; return False, changing nothing, if `token` does not hold it."""


@frozen
class StateBackend:
    """A store and its locks, open.

    Attributes:
        store: The store.
        locks: Its locks; `StoreLocks(store)` makes them from any store.
        dispatch: Begins and settles dispatches in one trip each, if the backend can; without
            it the gateway does so with the operations of store and locks.
    """

    store: StateStore
    locks: Locks
    dispatch: DispatchState | None = None


class StatePlugin(ABC):
    """What a package registers in the entry-point group `acteon.state`; its name is the backend's.

    Attributes:
        Config: An attrs class of the keys of `[state]`, without `backend`. Texts, integers,
            floats, booleans and their optional, tuple and mapping forms can be configured.
        shared: Whether several processes that open it with one configuration share its entries.
        kit: The version of the conformance kit (`STATE_KIT` of `acteon.state.testing`) that the
            backend passed; None: it does not say.
    """

    Config: ClassVar[type[Any]]
    kit: ClassVar[str | None] = None
    shared: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def open(cls, config: Any) -> AbstractAsyncContextManager[StateBackend]:
        """Return what opens the backend for `config`, an instance of `Config`, and closes it.

        A backend whose server may be away says so in its log, in one line, and in another one
        when it is back, as `acteon.core.Outage` does: the gateway says nothing of a
        `StateConnectionError`.

        Raises:
            ConfigError: On entering: the configuration cannot be used.
            StateError: On entering: the store cannot be reached.
        """
