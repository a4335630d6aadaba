"""Locks for stores that come without."""

from datetime import timedelta
from typing import Final

from attrs import frozen

from acteon.state.errors import StateSerializationError
from acteon.state.keys import StateKey
from acteon.state.store import Locks, StateStore

_NAMESPACE: Final = "_system"
_TENANT: Final = "_locks"
_KIND: Final = "lock"
_MILLISECOND = timedelta(milliseconds=1)


@frozen
class StoreLocks(Locks):
    """Locks that are entries of a `StateStore`, under the reserved namespace `_system`.

    The value of such an entry is `<milliseconds>:<token>`: whoever finds the lock taken learns
    from it how long the lease lasts at the most, for a store does not tell.

    Attributes:
        store: Where the locks are kept; it stays its owner's.
    """

    store: StateStore

    async def try_acquire(self, name: str, token: str, ttl: timedelta) -> timedelta | None:
        key, wanted = _key(name), _value(token, ttl)
        if await self.store.check_and_set(key, wanted, ttl=ttl):
            return None
        found = await self.store.get(key)
        # Between the two calls the other one's lease may have ended: then there is nothing now.
        if found is None or _holder(found) == token:
            if await self.store.compare_and_swap(key, found, wanted, ttl=ttl):
                return None
            found = await self.store.get(key)
        return _length(found) if found is not None else timedelta(0)

    async def extend(self, name: str, token: str, ttl: timedelta) -> bool:
        return await self._change(name, token, _value(token, ttl), ttl)

    async def release(self, name: str, token: str) -> bool:
        return await self._change(name, token, None, None)

    async def _change(self, name: str, token: str, new: str | None, ttl: timedelta | None) -> bool:
        """Change the lock's value if `token` holds it, however often it is renewed meanwhile."""
        key = _key(name)
        while (found := await self.store.get(key)) is not None and _holder(found) == token:
            if await self.store.compare_and_swap(key, found, new, ttl=ttl):
                return True
        return False


def _key(name: str) -> StateKey:
    return StateKey(_NAMESPACE, _TENANT, _KIND, name)


def _value(token: str, ttl: timedelta) -> str:
    # Rounded up: the lease lasts this long at the most.
    return f"{-(-ttl // _MILLISECOND)}:{token}"


def _holder(value: str) -> str:
    return value.partition(":")[2]


def _length(value: str) -> timedelta:
    milliseconds = value.partition(":")[0]
    if not milliseconds.isdecimal():
        raise StateSerializationError("expected the value of a lock, found something else")
    return int(milliseconds) * _MILLISECOND
