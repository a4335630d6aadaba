"""The backend does what all backends do: fused, and write by write."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from attrs import evolve

from acteon.core import ManualClock
from acteon.state import StateBackend, StoreLocks
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    PassTime,
    SharedStateConformance,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state_dynamodb import (
    Calls,
    DynamoDBStateConfig,
    DynamoDBStatePlugin,
    dynamodb_backend,
)

pytestmark = pytest.mark.server


class OnDynamoDB(BackendFixtures):
    @pytest.fixture
    async def backend(self, calls: Calls, clock: ManualClock) -> StateBackend:
        return dynamodb_backend(calls, clock)

    @pytest.fixture
    def pass_time(self, clock: ManualClock) -> PassTime:
        async def move(step: timedelta) -> None:
            clock.move(step)

        return move


class OnSingleWrites(OnDynamoDB):
    """The same with the dispatches that any store and its locks get."""

    @pytest.fixture
    async def backend(self, calls: Calls, clock: ManualClock) -> StateBackend:
        return evolve(dynamodb_backend(calls, clock), dispatch=None)


class OnPrimitives(OnDynamoDB):
    """The same store with the locks that any store gets."""

    @pytest.fixture
    async def backend(self, calls: Calls, clock: ManualClock) -> StateBackend:
        store = dynamodb_backend(calls, clock).store
        return StateBackend(store, StoreLocks(store))


class TestDynamoDBStateStore(OnDynamoDB, StateStoreConformance):
    pass


class TestDynamoDBWindows(OnDynamoDB, WindowConformance):
    pass


class TestDynamoDBLocks(OnDynamoDB, LocksConformance):
    pass


class TestDynamoDBDispatch(OnDynamoDB, DispatchStateConformance):
    pass


class TestDynamoDBDispatchModel(OnDynamoDB, DispatchStateModel):
    pass


class TestSingleWrites(OnSingleWrites, DispatchStateConformance):
    pass


class TestSingleWritesModel(OnSingleWrites, DispatchStateModel):
    pass


class TestSharing(SharedStateConformance):
    rounds = 3

    @pytest.fixture
    async def backends(self, config: DynamoDBStateConfig) -> AsyncIterator[list[StateBackend]]:
        async with AsyncExitStack() as stack:
            config = evolve(config, command_timeout_seconds=15)
            yield [
                await stack.enter_async_context(DynamoDBStatePlugin.open(config)) for _ in "1234"
            ]


class TestStoreLocks(OnPrimitives, LocksConformance):
    pass
