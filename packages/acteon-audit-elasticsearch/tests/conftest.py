"""An Elasticsearch for all tests, with a prefix of its own for each."""

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest

from acteon.audit import AuditStore
from acteon.audit_elasticsearch import ElasticsearchAuditConfig, ElasticsearchAuditPlugin
from servers import elasticsearch
from servers.process import Server

_numbers = count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with elasticsearch.running() as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """Give a prefix that no other test has."""
    return f"test{next(_numbers)}"


@pytest.fixture
def config(server: Server, prefix: str) -> ElasticsearchAuditConfig:
    return ElasticsearchAuditConfig(url=server.url, prefix=prefix)


@pytest.fixture
async def store(config: ElasticsearchAuditConfig) -> AsyncIterator[AuditStore]:
    async with ElasticsearchAuditPlugin.open(config) as store:
        yield store
