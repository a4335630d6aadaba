"""The backend does what all backends do, and keeps it when its process is killed."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from datetime import timedelta
from pathlib import Path
from time import monotonic

import pytest
from acteon_state_sqlite import SqliteConfig, SqliteStatePlugin

from acteon.state import (
    StateBackend,
    StateBackendError,
    StateError,
    StateKey,
    StateSerializationError,
)
from acteon.state.testing import (
    BackendFixtures,
    DispatchStateConformance,
    DispatchStateModel,
    LocksConformance,
    SharedStateConformance,
    StateStoreConformance,
    WindowConformance,
)


class OnSqlite(BackendFixtures):
    @pytest.fixture
    async def backend(self, tmp_path: Path) -> AsyncIterator[StateBackend]:
        async with SqliteStatePlugin.open(SqliteConfig(path=str(tmp_path / "state.db"))) as backend:
            yield backend

    @pytest.fixture
    def moment(self) -> timedelta:
        """Give less than what there is for servers: it is a file of this machine."""
        return timedelta(milliseconds=150)


class TestStore(OnSqlite, StateStoreConformance): ...


class TestWindows(OnSqlite, WindowConformance): ...


class TestLocks(OnSqlite, LocksConformance): ...


class TestDispatch(OnSqlite, DispatchStateConformance): ...


class TestDispatchModel(OnSqlite, DispatchStateModel):
    runs = 20  # Time passes by waiting.


class TestSharing(SharedStateConformance):
    @pytest.fixture
    async def backends(self, tmp_path: Path) -> AsyncIterator[list[StateBackend]]:
        async with AsyncExitStack() as stack:
            config = SqliteConfig(path=str(tmp_path / "state.db"))
            yield [await stack.enter_async_context(SqliteStatePlugin.open(config)) for _ in "1234"]


KEY = StateKey("shop", "acme", "dedup", "order-17")
HOUR = timedelta(hours=1)

SETS_AND_HANGS = """
import asyncio, sys
from datetime import timedelta
from acteon.state import StateKey
from acteon_state_sqlite import SqliteConfig, SqliteStatePlugin

async def main():
    async with SqliteStatePlugin.open(SqliteConfig(path=sys.argv[1])) as backend:
        key = StateKey("shop", "acme", "dedup", "order-17")
        assert await backend.store.check_and_set(key, "done", ttl=timedelta(hours=1))
        print("set", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def left_behind(tmp_path: Path) -> Path:
    """Give the file of a process that was killed after it had set `KEY`."""
    path = tmp_path / "state.db"
    command = [sys.executable, "-c", SETS_AND_HANGS, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "set\n"
        finally:
            process.kill()
    return path


async def test_what_was_set_survives_a_process_that_is_killed(left_behind: Path) -> None:
    async with SqliteStatePlugin.open(SqliteConfig(path=str(left_behind))) as backend:
        assert await backend.store.get(KEY) == "done"
        assert not await backend.store.check_and_set(KEY, "again", ttl=HOUR)


async def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    config = SqliteConfig(path=str(tmp_path / "nowhere" / "state.db"))
    with pytest.raises(StateError, match=r"nowhere/state.db: unable to open database file"):
        async with SqliteStatePlugin.open(config):
            pass


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_text("no database at all, but a text of some length" * 20)
    with pytest.raises(StateError, match="file is not a database"):
        async with SqliteStatePlugin.open(SqliteConfig(path=str(path))):
            pass


async def test_no_count_is_too_long_to_be_refused(tmp_path: Path) -> None:
    async with SqliteStatePlugin.open(SqliteConfig(path=str(tmp_path / "state.db"))) as backend:
        await backend.store.set(KEY, "7" * 5_000, ttl=None)
        with pytest.raises(StateError, match="expected a count"):
            await backend.store.increment(KEY, ttl=None)


async def test_a_locked_file_keeps_nobody_waiting_for_long(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    async with SqliteStatePlugin.open(SqliteConfig(path=str(path))) as backend:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            began = monotonic()
            calls = (backend.store.get(KEY) for _ in range(8))
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(one) for one in found} == {StateBackendError}
            assert monotonic() - began < 6
        assert await backend.store.get(KEY) is None


async def test_half_a_character_is_refused(tmp_path: Path) -> None:
    async with SqliteStatePlugin.open(SqliteConfig(path=str(tmp_path / "state.db"))) as backend:
        with pytest.raises(StateSerializationError, match="surrogates not allowed"):
            await backend.store.set(KEY, "\ud800", ttl=None)


def test_it_is_as_short_as_it_is_said_to_be() -> None:
    package = Path(__file__).parents[1] / "src" / "acteon_state_sqlite"
    lines = [line for path in package.glob("*.py") for line in path.read_text().splitlines()]
    assert len(lines) <= 150
