"""The same statements on a current ClickHouse, which runs in this process."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from acteon.state import StateBackend
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    LocksConformance,
    StateStoreConformance,
    WindowConformance,
)
from acteon.state_clickhouse import Answer, Engine, Layout, Session, clickhouse_backend

pytestmark = pytest.mark.server


class ChdbEngine(Engine):
    """The engine `chdb`, which has no protocol of its own: rows come and go as text."""

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
        text = str(self._chdb.query(statement, "JSONCompact"))
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


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChdbEngine]:
    engine = ChdbEngine(tmp_path_factory.mktemp("chdb"))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
async def current(engine: ChdbEngine) -> AsyncIterator[StateBackend]:
    async with Session(engine, Layout("acteon", engine.version())) as session:
        yield clickhouse_backend(session)


class OnCurrentEngine(BackendFixtures):
    @pytest.fixture
    def backend(self, current: StateBackend) -> StateBackend:
        return current

    @pytest.fixture
    def moment(self) -> timedelta:
        return timedelta(milliseconds=600)


def test_it_is_a_current_one(engine: ChdbEngine) -> None:
    assert engine.version() >= (26, 0)
    assert Layout("acteon", engine.version()).step == 1


class TestStore(OnCurrentEngine, StateStoreConformance):
    pass


class TestWindows(OnCurrentEngine, WindowConformance):
    pass


class TestLocks(OnCurrentEngine, LocksConformance):
    pass


class TestDispatch(OnCurrentEngine, DispatchStateConformance):
    pass
