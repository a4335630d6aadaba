"""ClickHouse does what all backends do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from acteon.state import StateBackend
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    PassTime,
    SharedStateConformance,
    StateStoreConformance,
    WindowConformance,
    together,
)
from acteon.state_clickhouse import ClickHouseStateConfig, ClickHouseStatePlugin

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


class TestSharing(SharedStateConformance):
    at_once = 12
    rounds = 3
    always_one = False

    @pytest.fixture(scope="class")
    async def backends(self, config: ClickHouseStateConfig) -> AsyncIterator[list[StateBackend]]:
        async with AsyncExitStack() as stack:
            opening = [ClickHouseStatePlugin.open(config) for _ in range(4)]
            yield await together(stack.enter_async_context(one) for one in opening)
