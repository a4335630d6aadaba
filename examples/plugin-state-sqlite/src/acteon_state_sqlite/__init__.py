"""State of Acteon in a file that gateways on one machine share; each operation is a transaction."""

import sqlite3
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from datetime import timedelta
from typing import Final, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread
from attrs import field, frozen
from attrs.validators import min_len

from acteon.state import (
    StateBackend,
    StateBackendError,
    StateKey,
    StatePlugin,
    StateSerializationError,
    StateStore,
    StoreLocks,
    Taken,
)

T = TypeVar("T")

MILLISECOND: Final = timedelta(milliseconds=1)
SCHEMA: Final = """PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL, expires INTEGER);
CREATE INDEX IF NOT EXISTS state_expires ON state (expires) WHERE expires IS NOT NULL;
"""
Entry = tuple[str, int | None]  # a value, and the millisecond since 1970 at which it expires
Change = Callable[[Entry | None, int], tuple[T, Entry | None]]  # at a millisecond


@frozen
class SqliteStore(StateStore):
    """The entries of one file; one thread at a time asks it, and nobody else waits for that."""

    database: sqlite3.Connection
    limiter: CapacityLimiter

    async def get(self, key: StateKey) -> str | None:
        return await self._change(key, lambda found, _: (found[0] if found else None, found))

    async def set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> None:
        await self._change(key, lambda _, now: (None, (value, _end(now, ttl))))

    async def check_and_set(self, key: StateKey, value: str, *, ttl: timedelta | None) -> bool:
        return await self.compare_and_swap(key, None, value, ttl=ttl)

    async def delete(self, key: StateKey) -> bool:
        return await self._change(key, lambda found, _: (found is not None, None))

    async def increment(self, key: StateKey, delta: int = 1, *, ttl: timedelta | None) -> int:
        def change(found: Entry | None, now: int) -> tuple[int, Entry]:
            total = _count(found) + delta
            if not -(2**63) <= total < 2**63:
                raise StateSerializationError("expected a sum of at most 64 bits")
            return total, (str(total), found[1] if found and ttl is None else _end(now, ttl))

        return await self._change(key, change)

    async def compare_and_swap(
        self, key: StateKey, expected: str | None, new: str | None, *, ttl: timedelta | None
    ) -> bool:
        def change(found: Entry | None, now: int) -> tuple[bool, Entry | None]:
            if (found[0] if found else None) != expected:
                return False, found
            return True, None if new is None else (new, _end(now, ttl))

        return await self._change(key, change)

    async def take(self, key: StateKey, limit: int, window: timedelta, amount: int = 1) -> Taken:
        def change(found: Entry | None, now: int) -> tuple[Taken, Entry | None]:
            count, end = _count(found), found[1] if found else _end(now, window)
            remaining = window if end is None else (end - now) * MILLISECOND
            total = count + amount if (admitted := count + amount <= limit) else count
            return Taken(admitted, remaining, total), (str(total), end) if admitted else found

        return await self._change(key, change)

    async def _change(self, key: StateKey, change: Change[T]) -> T:
        try:
            with fail_after(3):  # Nobody waits for all who wait for a file that is locked.
                return await to_thread.run_sync(self._work, key.text, change, limiter=self.limiter)
        except TimeoutError:
            raise StateBackendError("sqlite: database is locked") from None

    def _work(self, key: str, change: Change[T]) -> T:
        try:
            with self.database as database:  # Commits, or rolls back if anything is raised.
                database.execute("BEGIN IMMEDIATE")
                now = time.time_ns() // 1_000_000
                database.execute("DELETE FROM state WHERE expires <= ?", (now,))
                rows = database.execute("SELECT value, expires FROM state WHERE key = ?", (key,))
                answer, entry = change(found := rows.fetchone(), now)
                if entry is None:
                    database.execute("DELETE FROM state WHERE key = ?", (key,))
                elif entry != found:
                    database.execute("REPLACE INTO state VALUES (?, ?, ?)", (key, *entry))
                return answer
        except UnicodeEncodeError as error:
            raise StateSerializationError(f"sqlite: {error.reason}") from None
        except sqlite3.Error as error:
            raise StateBackendError(f"sqlite: {error}") from None


def _end(now: int, ttl: timedelta | None) -> int | None:
    return None if ttl is None else now - (-ttl // MILLISECOND)  # Rounded up.


def _count(found: Entry | None) -> int:
    if found is not None and (len(found[0]) > 20 or not found[0].removeprefix("-").isdecimal()):
        raise StateSerializationError("expected a count, found something else")
    return int(found[0]) if found else 0


@frozen
class SqliteConfig:
    """The keys of `[state]` with `backend = "sqlite"`.

    Attributes:
        path: The file, which is made if there is none.
    """

    path: str = field(default="acteon-state.db", validator=min_len(1))


class SqliteStatePlugin(StatePlugin):
    """Opens the file of the configuration."""

    Config, kit = SqliteConfig, "1"

    @classmethod
    @asynccontextmanager
    async def open(cls, config: SqliteConfig) -> AsyncGenerator[StateBackend]:
        def connect() -> sqlite3.Connection:
            # Used by one thread at a time; waits two seconds for those of other processes.
            found = sqlite3.connect(config.path, 2.0, 0, None, check_same_thread=False)
            found.executescript(SCHEMA)
            return found

        try:
            database = await to_thread.run_sync(connect)
        except sqlite3.Error as error:
            raise StateBackendError(f"sqlite: {config.path}: {error}") from None
        with closing(database):
            store = SqliteStore(database, CapacityLimiter(1))
            yield StateBackend(store, StoreLocks(store))
