"""PostgreSQL does what all backends do: directly, and behind a transaction pooler."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from acteon.state import StateBackend
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    SharedStateConformance,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from servers.process import Server

pytestmark = pytest.mark.server


class OnPostgres(BackendFixtures):
    @pytest.fixture
    def url(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    async def backend(self, url: str) -> AsyncIterator[StateBackend]:
        async with PostgresStatePlugin.open(PostgresStateConfig(url=url)) as backend:
            yield backend

    @pytest.fixture
    async def backends(self, url: str) -> AsyncIterator[list[StateBackend]]:
        async with AsyncExitStack() as stack:
            # All wait for one row, and each for the disk: on a busy machine that adds up.
            config = PostgresStateConfig(
                url=url, pool_size=4, connect_timeout_seconds=30, command_timeout_seconds=30
            )
            yield [
                await stack.enter_async_context(PostgresStatePlugin.open(config)) for _ in "1234"
            ]


class OnPooler(OnPostgres):
    @pytest.fixture
    def url(self, pooler: Server) -> str:
        return pooler.url


class TestStore(OnPostgres, StateStoreConformance):
    pass


class TestWindows(OnPostgres, WindowConformance):
    pass


class TestLocks(OnPostgres, LocksConformance):
    pass


class TestDispatch(OnPostgres, DispatchStateConformance):
    pass


class TestDispatchModel(OnPostgres, DispatchStateModel):
    runs = 12


class TestSharing(OnPostgres, SharedStateConformance):
    pass


class TestSharingBehindPooler(OnPooler, SharedStateConformance):
    pass


class TestStoreBehindPooler(OnPooler, StateStoreConformance):
    pass


class TestWindowsBehindPooler(OnPooler, WindowConformance):
    pass


class TestLocksBehindPooler(OnPooler, LocksConformance):
    pass


class TestDispatchBehindPooler(OnPooler, DispatchStateConformance):
    pass


class TestDispatchModelBehindPooler(OnPooler, DispatchStateModel):
    runs = 12
