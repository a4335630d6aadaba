import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from time import monotonic
from typing import TypeVar

import pytest

from acteon.state import StateBackend, StateError
from acteon.state_postgres import PostgresStateConfig, PostgresStatePlugin
from servers import postgres
from servers.process import Server

T = TypeVar("T")

Open = Callable[..., AbstractAsyncContextManager[StateBackend]]
Eventually = Callable[[Callable[[], Awaitable[T]], float], Awaitable[T]]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with postgres.running() as server:
        yield server


@pytest.fixture(scope="session")
def pooler(server: Server) -> Iterator[Server]:
    """Give a pgbouncer, in its transaction mode, in front of the server."""
    with postgres.pgbouncer(server) as pooler:
        yield pooler


@pytest.fixture
async def backend(server: Server) -> AsyncIterator[StateBackend]:
    async with PostgresStatePlugin.open(PostgresStateConfig(url=server.url)) as backend:
        yield backend


@pytest.fixture
def eventually() -> Eventually[object]:
    """Give what calls until a call raises no `StateError`, and fails after so many seconds."""

    async def calls(call: Callable[[], Awaitable[object]], seconds: float) -> object:
        deadline = monotonic() + seconds
        while True:
            try:
                return await call()
            except StateError:
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    return calls
