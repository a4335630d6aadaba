"""The memory backend does what all backends do: fused, and through the adapter."""

from datetime import timedelta

import pytest

from acteon.core import ManualClock
from acteon.state import StateBackend, StoreLocks
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    PassTime,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state_memory import memory_backend


class OnMemory(BackendFixtures):
    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock()

    @pytest.fixture
    async def backend(self, clock: ManualClock) -> StateBackend:
        return memory_backend(clock)

    @pytest.fixture
    def pass_time(self, clock: ManualClock) -> PassTime:
        async def move(step: timedelta) -> None:
            clock.move(step)

        return move


class OnPrimitives(OnMemory):
    """The same store with the locks and the dispatches that any store gets."""

    @pytest.fixture
    async def backend(self, clock: ManualClock) -> StateBackend:
        store = memory_backend(clock).store
        return StateBackend(store, StoreLocks(store))


class TestMemoryStateStore(OnMemory, StateStoreConformance):
    pass


class TestMemoryWindows(OnMemory, WindowConformance):
    pass


class TestMemoryLocks(OnMemory, LocksConformance):
    pass


class TestMemoryDispatch(OnMemory, DispatchStateConformance):
    pass


class TestMemoryDispatchModel(OnMemory, DispatchStateModel):
    pass


class TestStoreLocks(OnPrimitives, LocksConformance):
    pass


class TestAdapter(OnPrimitives, DispatchStateConformance):
    pass


class TestAdapterModel(OnPrimitives, DispatchStateModel):
    pass
