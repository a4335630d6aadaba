import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from time import monotonic
from typing import TypeVar

import psycopg
import pytest

from acteon.audit import AuditError, AuditStore
from acteon.audit_postgres import PostgresAuditConfig, PostgresAuditPlugin
from servers import postgres
from servers.process import Server

T = TypeVar("T")

Eventually = Callable[[Callable[[], Awaitable[T]], float], Awaitable[T]]
Execute = Callable[[str], list[tuple[object, ...]]]

_numbers = count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgres.running(settings={"synchronous_commit": "off"}) as server:
        yield server


@pytest.fixture(scope="session")
def pooler(server: Server) -> Iterator[Server]:
    """Give a pgbouncer, in its transaction mode, in front of the server."""
    with postgres.pgbouncer(server) as pooler:
        yield pooler


@pytest.fixture
def prefix() -> str:
    """Give a prefix that no other test has."""
    return f"test{next(_numbers)}"


@pytest.fixture
def config(server: Server, prefix: str) -> PostgresAuditConfig:
    return PostgresAuditConfig(url=server.url, prefix=prefix)


@pytest.fixture
async def store(config: PostgresAuditConfig) -> AsyncIterator[AuditStore]:
    async with PostgresAuditPlugin.open(config) as store:
        yield store


@pytest.fixture
def execute(server: Server) -> Execute:
    """Give what runs SQL as the owner of the database."""

    def run(statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(server.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    return run


@pytest.fixture
def eventually() -> Eventually[object]:
    """Give what calls until a call raises no `AuditError`, and fails after so many seconds."""

    async def calls(call: Callable[[], Awaitable[object]], seconds: float) -> object:
        deadline = monotonic() + seconds
        while True:
            try:
                return await call()
            except AuditError:
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    return calls
