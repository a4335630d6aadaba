"""ClickHouse does what all backends do."""

import asyncio
from datetime import timedelta

import pytest

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

pytestmark = pytest.mark.server


class OnClickHouse(BackendFixtures):
    @pytest.fixture
    def backend(self, shared: StateBackend) -> StateBackend:
        return shared

    @pytest.fixture
    def moment(self) -> timedelta:
        return timedelta(seconds=1)

    @pytest.fixture
    def pass_time(self) -> PassTime:
        async def wait(step: timedelta) -> None:
            # Its clock tells whole seconds; between them we know it to some hundredths.
            await asyncio.sleep(step.total_seconds() + 0.05)

        return wait


class TestStore(OnClickHouse, StateStoreConformance):
    pass


class TestWindows(OnClickHouse, WindowConformance):
    pass


class TestLocks(OnClickHouse, LocksConformance):
    pass


class TestDispatch(OnClickHouse, DispatchStateConformance):
    pass


class TestModel(OnClickHouse, DispatchStateModel):
    runs = 6
