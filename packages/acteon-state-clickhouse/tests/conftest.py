"""A ClickHouse for all tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from acteon.state import StateBackend
from acteon.state_clickhouse import ClickHouseStateConfig, ClickHouseStatePlugin
from servers import clickhouse
from servers.process import Server


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


FEW_FILES = "<merge_tree><old_parts_lifetime>5</old_parts_lifetime></merge_tree>"
"""Otherwise removing its folder takes longer than the tests."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with clickhouse.running(config=FEW_FILES) as server:
        yield server


@pytest.fixture(scope="session")
def config(server: Server) -> ClickHouseStateConfig:
    return ClickHouseStateConfig(url=server.url, allow_weak_locks=True)


@pytest.fixture(scope="session")
async def shared(config: ClickHouseStateConfig) -> AsyncIterator[StateBackend]:
    """Give a backend that is opened once: it takes a second to learn the server's time."""
    async with ClickHouseStatePlugin.open(config) as backend:
        yield backend
