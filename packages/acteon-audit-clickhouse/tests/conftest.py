"""A ClickHouse for all tests; each has a table of its own."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from acteon.audit import AuditError, AuditStore
from acteon.audit_clickhouse import (
    ClickHouseAuditConfig,
    ClickHouseAuditPlugin,
    ClickHouseAuditStore,
    Layout,
    prepare,
)
from acteon.state import StateBackendError
from acteon.state_clickhouse import Answer, Calls, Engine
from servers import clickhouse
from servers.process import Server

Eventually = Callable[[Callable[[], Awaitable[Any]], float], Awaitable[Any]]
Execute = Callable[[str], Awaitable[list[tuple[Any, ...]]]]

FEW_FILES = "<merge_tree><old_parts_lifetime>5</old_parts_lifetime></merge_tree>"
"""Otherwise removing its folder takes longer than the tests."""

_numbers = count(1)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with clickhouse.running(config=FEW_FILES) as server:
        yield server


@pytest.fixture
def prefix() -> str:
    """Give a prefix that no other test has."""
    return f"test{next(_numbers)}"


@pytest.fixture
def config(server: Server, prefix: str) -> ClickHouseAuditConfig:
    return ClickHouseAuditConfig(url=server.url, prefix=prefix)


@pytest.fixture
async def store(config: ClickHouseAuditConfig) -> AsyncIterator[AuditStore]:
    async with ClickHouseAuditPlugin.open(config) as store:
        yield store


@pytest.fixture
def execute(server: Server) -> Execute:
    """Give what runs SQL as an administrator."""

    async def run(statement: str) -> list[tuple[Any, ...]]:
        async with Calls(ClickHouseAuditConfig(url=server.url)) as calls:
            return (await calls.ask(statement)).rows

    return run


@pytest.fixture
def eventually() -> Eventually:
    """Give what calls until a call raises no `AuditError` and is no lie, for so many seconds."""

    async def calls(call: Callable[[], Awaitable[Any]], seconds: float) -> Any:
        deadline = monotonic() + seconds
        while True:
            try:
                return await call()
            except (AuditError, AssertionError):
                if monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)

    return calls


class ChdbEngine(Engine):
    """A current ClickHouse in this process; rows come and go as text."""

    def __init__(self, folder: Path) -> None:
        # It is to be used from one thread.
        self._thread = ThreadPoolExecutor(1, "chdb")
        # Half a gigabyte, which only these tests have installed.
        session: Any = import_module("chdb.session").Session
        self._chdb = self._thread.submit(session, str(folder)).result()

    async def ask(self, statement: str) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._ask, statement)

    async def insert(self, table: str, columns: str, rows: Sequence[tuple[Any, ...]]) -> None:
        names = columns.split(", ")
        text = "\n".join(json.dumps(dict(zip(names, row, strict=True))) for row in rows)
        await self.ask(f"INSERT INTO {table} ({columns}) FORMAT JSONEachRow {text}")

    def _ask(self, statement: str) -> Answer:
        sent = time.monotonic()
        try:
            text = str(self._chdb.query(statement, "JSONCompact"))
        except RuntimeError as error:
            raise StateBackendError(str(error)) from error
        received = time.monotonic()
        if not text.strip():
            return Answer([], sent, received)
        answer = json.loads(text)
        kinds = [column["type"] for column in answer["meta"]]
        rows = [
            tuple(
                int(cell) if "Int" in kind else cell for cell, kind in zip(row, kinds, strict=True)
            )
            for row in answer["data"]
        ]
        return Answer(rows, sent, received)

    def version(self) -> tuple[int, int]:
        ((text,),) = self._thread.submit(self._ask, "SELECT version()").result().rows
        major, minor, *_ = text.split(".")
        return int(major), int(minor)

    def close(self) -> None:
        self._thread.submit(self._chdb.close).result()
        self._thread.shutdown()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbEngine]:
    """Give an engine of today, without a server."""
    engine = ChdbEngine(tmp_path_factory.mktemp("chdb"))
    yield engine
    engine.close()


@pytest.fixture
async def current(engine: ChdbEngine, prefix: str) -> ClickHouseAuditStore:
    """Give an empty store on that engine."""
    layout = Layout(prefix, engine.version())
    await prepare(engine, layout)
    return ClickHouseAuditStore(engine, layout)
