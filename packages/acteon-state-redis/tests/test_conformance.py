"""Redis does what all backends do: alone, behind Sentinels, as a Cluster."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from acteon.state import StateBackend, StateKey, lock_name
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    SharedStateConformance,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state_redis import RedisStateConfig, RedisStatePlugin
from servers import redis
from servers.process import Server

pytestmark = pytest.mark.server


class OnOneServer(BackendFixtures):
    @pytest.fixture
    def url(self, server: Server) -> str:
        return server.url

    @pytest.fixture
    async def backend(self, url: str) -> AsyncIterator[StateBackend]:
        async with RedisStatePlugin.open(RedisStateConfig(url=url)) as backend:
            yield backend

    @pytest.fixture
    async def backends(self, url: str) -> AsyncIterator[list[StateBackend]]:
        async with AsyncExitStack() as stack:
            config = RedisStateConfig(url=url)
            yield [await stack.enter_async_context(RedisStatePlugin.open(config)) for _ in "1234"]


class OnCluster(OnOneServer):
    @pytest.fixture
    def url(self, cluster: redis.Cluster) -> str:
        return cluster.url


class OnSentinels(OnOneServer):
    @pytest.fixture
    def url(self, sentinel: redis.Sentinel) -> str:
        return sentinel.url


class TestStore(OnOneServer, StateStoreConformance):
    pass


class TestWindows(OnOneServer, WindowConformance):
    pass


class TestLocks(OnOneServer, LocksConformance):
    pass


class TestDispatch(OnOneServer, DispatchStateConformance):
    pass


class TestDispatchModel(OnOneServer, DispatchStateModel):
    runs = 10


class TestSharing(OnOneServer, SharedStateConformance):
    pass


class TestSharingOnCluster(OnCluster, SharedStateConformance):
    pass


class TestStoreOnCluster(OnCluster, StateStoreConformance):
    pass


class TestWindowsOnCluster(OnCluster, WindowConformance):
    pass


class TestLocksOnCluster(OnCluster, LocksConformance):
    pass


class TestStoreOnSentinels(OnSentinels, StateStoreConformance):
    pass


class TestWindowsOnSentinels(OnSentinels, WindowConformance):
    pass


class TestLocksOnSentinels(OnSentinels, LocksConformance):
    pass


class TestDispatchOnSentinels(OnSentinels, DispatchStateConformance):
    pass


class TestDispatchModelOnSentinels(OnSentinels, DispatchStateModel):
    runs = 10


class TestDispatchOnCluster(OnCluster, DispatchStateConformance):
    """What the gateway does: lock and claim are of one tenant."""

    @pytest.fixture
    def name(self, key: StateKey) -> str:
        return lock_name(key.namespace, key.tenant, "1")


class TestSpreadDispatchOnCluster(OnCluster, DispatchStateConformance):
    """Lock and claim are of two tenants, and so in two slots."""


class TestSpreadDispatchModelOnCluster(OnCluster, DispatchStateModel):
    runs = 10
