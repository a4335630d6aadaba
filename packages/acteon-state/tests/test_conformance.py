"""What any plain store gets for nothing: locks, and dispatches begun and settled."""

from datetime import timedelta

import pytest

from acteon.core import ManualClock
from acteon.state import StateBackend
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    PassTime,
    StateStoreConformance,
    WindowConformance,
)


class OnDict(BackendFixtures):
    @pytest.fixture
    async def backend(self, plain: StateBackend) -> StateBackend:
        return plain

    @pytest.fixture
    def pass_time(self, clock: ManualClock) -> PassTime:
        async def move(step: timedelta) -> None:
            clock.move(step)

        return move


class TestDictStore(OnDict, StateStoreConformance):
    pass


class TestDictStoreWindows(OnDict, WindowConformance):
    pass


class TestStoreLocks(OnDict, LocksConformance):
    pass


class TestPrimitiveDispatchState(OnDict, DispatchStateConformance):
    pass


class TestPrimitiveDispatchStateModel(OnDict, DispatchStateModel):
    pass
