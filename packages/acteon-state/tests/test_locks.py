from datetime import timedelta

import pytest

from acteon.state import StateBackend, StateKey, StateSerializationError

HOUR = timedelta(hours=1)


async def test_locks_are_entries_of_a_reserved_namespace(plain: StateBackend) -> None:
    await plain.locks.try_acquire("dispatch:a:b:1", "mine", timedelta(seconds=1.5))
    assert await plain.store.get(StateKey("_system", "_locks", "lock", "dispatch:a:b:1")) == (
        "1500:mine"
    )


async def test_what_others_wrote_there_is_no_lock(plain: StateBackend) -> None:
    await plain.store.set(StateKey("_system", "_locks", "lock", "L"), "nonsense", ttl=None)
    with pytest.raises(StateSerializationError, match="expected the value of a lock"):
        await plain.locks.try_acquire("L", "mine", HOUR)
    assert not await plain.locks.release("L", "mine")
