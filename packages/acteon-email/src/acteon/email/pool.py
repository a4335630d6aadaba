"""Connections that are kept for the next mail."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

from attrs import define, field

from acteon.email.connection import Connection


@define(eq=False)
class ConnectionPool:
    """At most `size` connections at a time; further borrowers wait in the order they came.

    A connection that was used before shows that it still works before it is lent again. One that
    does not is replaced without a word: no mail has gone over it.

    Attributes:
        opening: Makes a connection.
        size: How many there may be.
        idle_time: How long one is kept that nobody wants.
    """

    opening: Callable[[], Awaitable[Connection]]
    size: int
    idle_time: timedelta
    _slots: asyncio.Semaphore = field(init=False)
    _idle: dict[Connection, asyncio.TimerHandle] = field(
        factory=dict[Connection, asyncio.TimerHandle], init=False
    )
    _is_closed: bool = field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = asyncio.Semaphore(self.size)

    @asynccontextmanager
    async def connection(self) -> AsyncGenerator[Connection]:
        """Lend a connection that works to the block; if that breaks it, it is closed.

        Raises:
            ProviderError: A new one was needed and did not come about.
        """
        async with self._slots:
            connection = await self._kept() or await self.opening()
            try:
                yield connection
            finally:
                self._give_back(connection)

    async def close(self) -> None:
        """Close what is idle, and from now on what is given back."""
        self._is_closed = True
        idle = self._take_all()
        async with asyncio.TaskGroup() as group:
            for connection in idle:
                group.create_task(connection.quit())

    async def _kept(self) -> Connection | None:
        """Return the connection that was used last if it works, else none is worth a try."""
        while self._idle:
            connection, timer = self._idle.popitem()
            timer.cancel()
            if not connection.is_reusable:
                connection.abort()
                continue
            works = False
            try:
                works = await connection.is_alive()
            finally:
                if not works:
                    connection.abort()
            if works:
                return connection
            for older in self._take_all():
                older.leave()
        return None

    def _give_back(self, connection: Connection) -> None:
        if self._is_closed or not connection.is_reusable:
            connection.abort()
            return
        connection.rest()
        loop = asyncio.get_running_loop()
        timer = loop.call_later(self.idle_time.total_seconds(), self._expire, connection)
        self._idle[connection] = timer

    def _expire(self, connection: Connection) -> None:
        self._idle.pop(connection, None)
        connection.leave()

    def _take_all(self) -> list[Connection]:
        connections = list(self._idle)
        for timer in self._idle.values():
            timer.cancel()
        self._idle.clear()
        return connections
