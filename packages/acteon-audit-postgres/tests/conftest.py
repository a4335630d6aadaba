import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from time import monotonic
from typing import TypeVar

import psycopg
import pytest

from acteon.audit import AuditError, AuditStore
from acteon.audit_postgres import Layout, PostgresAuditConfig, PostgresAuditPlugin
from acteon.audit_postgres.layout import Month
from servers import postgres
from servers.process import Server

T = TypeVar("T")

Eventually = Callable[[Callable[[], Awaitable[T]], float], Awaitable[T]]
Execute = Callable[[str], list[tuple[object, ...]]]
Until = Callable[[str], Awaitable[None]]
Partitions = Callable[[], dict[str, int]]

_numbers = count(1)
_now = Month.of(datetime.now(UTC))
AT_THE_START = {f"{month.year:04}_{month.month:02}" for month in (_now, _now.next, _now.next.next)}
"""The months of which a store makes partitions when it is opened; the last one at its end."""


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


@pytest.fixture
def layout(config: PostgresAuditConfig) -> Layout:
    return Layout.of(config)


@pytest.fixture
def partitions(execute: Execute, layout: Layout) -> Partitions:
    """Give what tells the partitions, each with the number of its rows; without the present's."""

    def tell() -> dict[str, int]:
        names = execute(
            "SELECT relname::text FROM pg_class JOIN pg_inherits ON oid = inhrelid "
            f"WHERE inhparent = '{layout.name('audit')}'::regclass"
        )
        begin = len(layout.plain_name("audit_"))
        counts = {str(name): execute(f'SELECT count(*) FROM "{name}"')[0][0] for (name,) in names}
        months = {name[begin:]: int(str(count)) for name, count in sorted(counts.items())}
        return {name: count for name, count in months.items() if name not in AT_THE_START}

    return tell


@pytest.fixture
def until(execute: Execute) -> Until:
    """Give what waits until a condition of SQL is true."""

    async def wait(condition: str) -> None:
        deadline = monotonic() + 10
        while execute(f"SELECT {condition}") != [(True,)]:
            assert monotonic() < deadline, condition
            await asyncio.sleep(0.005)

    return wait
