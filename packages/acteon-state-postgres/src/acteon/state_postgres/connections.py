"""Connections to one database, shared by everything that runs statements on it.

The pool of psycopg's own package is not used: it tries to reconnect at ever longer intervals
while callers wait, tells them nothing but that they waited, and looks at a connection with a
trip. This one connects when somebody needs a connection, and says at once why it cannot.
"""

import asyncio
import logging
import selectors
import socket
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from random import random
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

import psycopg
from attrs import define, field
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from acteon.core import SYSTEM_CLOCK, Clock, Outage, Tasks
from acteon.state import StateBackendError, StateConnectionError
from acteon.state_postgres.config import PostgresConfig
from acteon.state_postgres.errors import AgainError, LateError, is_crowded, is_outage, translated

log = logging.getLogger(__name__)

Row = tuple[Any, ...]
Parameters = Sequence[object] | Mapping[str, object]
Connection = AsyncConnection[Row]

ATTEMPTS: Final = 12
"""How often a statement is made that others come before again and again."""
FIRST_PAUSE: Final = timedelta(milliseconds=1)
LONGEST_PAUSE: Final = timedelta(milliseconds=64)
CANCEL: Final = 0.3
"""Seconds that the server has for cancelling a statement that took too long."""
CROWDED: Final = 5.0
"""Seconds for which no more connections are asked for after the server had none left."""
# Where it is to be had, one that needs no descriptor of its own: we may have none left.
_SELECTOR: Final[type[selectors.BaseSelector]] = getattr(
    selectors, "PollSelector", selectors.DefaultSelector
)


@define(eq=False)
class Connections:
    """Runs statements, each alone in its transaction and in one trip.

    No session ever holds anything beyond a statement, nothing is prepared: a pooler that gives
    every transaction another session may be in between. Enter it before use; leaving it closes
    the connections.

    Attributes:
        config: Where the database is, and the limits.
        clock: Measures the pauses.
        what: What the database is to those who use it, for messages.
        where: Host, port and database, for messages.
    """

    config: PostgresConfig
    clock: Clock = SYSTEM_CLOCK
    what: str = "state store"
    where: str = field(init=False)
    _arguments: dict[str, Any] = field(init=False, repr=False)
    _connect_seconds: float = field(init=False)
    _idle: list[Connection] = field(factory=list[Connection], init=False, repr=False)
    _busy: set[Connection] = field(factory=set[Connection], init=False, repr=False)
    _open: int = field(default=0, init=False)
    _crowded_until: float = field(default=0.0, init=False)
    _returned: asyncio.Condition = field(factory=asyncio.Condition, init=False, repr=False)
    _outage: Outage = field(init=False, repr=False)
    _tasks: Tasks = field(factory=Tasks, init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        said = conninfo_to_dict(self.config.url)
        hosts = str(said.get("host") or "localhost").split(",")
        ports = str(said.get("port") or "5432").split(",")
        ports += ports[-1:] * (len(hosts) - len(ports))
        pairs = zip(hosts, ports, strict=False)
        addresses = ",".join(f"{host or 'localhost'}:{port or 5432}" for host, port in pairs)
        self.where = f"{addresses}/{said.get('dbname') or said.get('user') or ''}"
        self._outage = Outage(log, self.what, self.where)
        seconds = self.config.connect_timeout_seconds
        self._connect_seconds = seconds * len(hosts)
        self._arguments = {
            "application_name": "acteon",
            "connect_timeout": max(1, round(seconds)),
            # A peer that is gone without a word is found out within the time of a statement.
            "tcp_user_timeout": round(self.config.command_timeout_seconds * 1000),
            **said,
            "client_encoding": "UTF8",
        }

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._tasks.__aexit__(kind, error, traceback)
        except asyncio.CancelledError:
            # Whoever closes has no more time. Statements that are cancelled would still wait for
            # their server, unless their connections are gone.
            for connection in self._busy:
                connection.pgconn.finish()
            raise
        await self._close_idle()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run endless `work` beside the statements until these are left."""
        self._tasks.start(work, endless=True)

    async def run(self, statement: bytes, parameters: Parameters = ()) -> list[Row]:
        """Run `statement` and return its rows; none if it gives none.

        It runs to its end, or to its limit, even if the caller is cancelled: what a cancelled
        statement has done would be unknown, and its connection of no use any more.

        Raises:
            StateError: It failed; what it has done is unknown if the connection was lost.
        """
        return await self._tasks.complete(self._attempts(statement, parameters))

    async def run_until_found(self, statement: bytes, parameters: Parameters) -> list[Row]:
        """Run `statement`, which finds nothing if another transaction came first, until it does.

        Raises:
            StateError: It failed, as of `run`; or others came first again and again.
        """
        for attempt in range(ATTEMPTS):
            if rows := await self.run(statement, parameters):
                return rows
            await self.clock.sleep(FIRST_PAUSE * (attempt * random()))
        raise self._overrun()

    def _overrun(self) -> StateBackendError:
        return StateBackendError(
            f"postgres at {self.where}: others came first {ATTEMPTS} times in a row"
        )

    async def _attempts(self, statement: bytes, parameters: Parameters) -> list[Row]:
        pause = FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            if attempt > 1:
                await self.clock.sleep(pause * random())  # so that two do not meet again
                pause = min(pause * 2, LONGEST_PAUSE)
            try:
                return await self._attempt(statement, parameters)
            except AgainError:
                continue
        raise self._overrun()

    async def _attempt(self, statement: bytes, parameters: Parameters) -> list[Row]:
        begun = monotonic()
        try:
            connection = await self._take()
            rows = await self._answer(connection, statement, parameters)
        except (psycopg.Error, UnicodeError) as error:
            failure = translated(error, self.where)
            if isinstance(failure, StateConnectionError):
                self._outage.failed(failure, begun)
            raise failure from error
        except OSError as error:
            # Ours: no descriptor or memory left, say. It passes as other outages do.
            failure = StateConnectionError(f"postgres at {self.where}: {error.strerror or error}")
            self._outage.failed(failure, begun)
            raise failure from error
        except LateError as error:
            self._outage.failed(error, begun)
            raise
        self._outage.answered(begun)
        return rows

    async def _answer(
        self, connection: Connection, statement: bytes, parameters: Parameters
    ) -> list[Row]:
        usable = False
        self._busy.add(connection)
        limit = asyncio.get_running_loop().call_later(
            self.config.command_timeout_seconds,
            lambda: self._tasks.start(_end(connection)),
        )
        try:
            cursor = await connection.execute(statement, parameters or None, prepare=False)
            rows = await cursor.fetchall() if cursor.description is not None else []
            usable = True
        except psycopg.Error as error:
            if limit.when() <= asyncio.get_running_loop().time():
                raise self._lost_after(self.config.command_timeout_seconds, "answer") from error
            usable = not connection.closed and not is_outage(error)
            raise
        except UnicodeError:
            usable = True  # It was not sent.
            raise
        finally:
            limit.cancel()
            self._busy.discard(connection)
            await self._give_back(connection, usable=usable)
        return rows

    async def _take(self) -> Connection:
        """Return a connection that nobody else has: an idle one, or a new one."""
        try:
            async with asyncio.timeout(self.config.connect_timeout_seconds), self._returned:
                await self._returned.wait_for(lambda: self._idle or self._may_connect())
                while self._idle:
                    connection = self._idle.pop()
                    if _is_alive(connection):
                        return connection
                    self._open -= 1
                    await connection.close()
                self._open += 1
        except TimeoutError:
            raise StateConnectionError(
                f"postgres at {self.where}: all {self._open} connections were busy for "
                f"{self.config.connect_timeout_seconds:g} s; see 'pool_size'"
            ) from None
        try:
            return await self._connect()
        except psycopg.Error as error:
            if self._open > 1 and is_crowded(error):
                self._crowded_until = self.clock.monotonic() + CROWDED
            await self._lost()
            raise
        except BaseException:
            await self._lost()
            raise

    def _may_connect(self) -> bool:
        crowded = self.clock.monotonic() < self._crowded_until
        return self._open < (1 if crowded else self.config.pool_size)

    async def _connect(self) -> Connection:
        try:
            async with asyncio.timeout(self._connect_seconds):
                return await AsyncConnection.connect(
                    autocommit=True, prepare_threshold=None, **self._arguments
                )
        except TimeoutError:
            raise self._lost_after(self._connect_seconds, "connection") from None

    def _lost_after(self, seconds: float, awaited: str) -> LateError:
        return LateError(f"postgres at {self.where}: no {awaited} within {seconds:g} s")

    async def _give_back(self, connection: Connection, *, usable: bool) -> None:
        if usable:
            async with self._returned:
                self._idle.append(connection)
                self._returned.notify()
            return
        await connection.close()
        await self._lost()
        # What ended this one has most likely ended the others.
        await self._close_idle()

    async def _lost(self) -> None:
        async with self._returned:
            self._open -= 1
            self._returned.notify()

    async def _close_idle(self) -> None:
        while self._idle:
            await self._idle.pop().close()
            await self._lost()


def _is_alive(connection: Connection) -> bool:
    """Return whether the idle `connection` can be used, as far as is known on this side.

    A server that ends one says so, and nothing else comes unasked; or the end itself is there.
    """
    if connection.closed:
        return False
    # One that cannot be looked at is given up like one that has ended.
    with suppress(psycopg.Error, OSError), _SELECTOR() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return not selector.select(0)
    return False


async def _end(connection: Connection) -> None:
    """End whatever `connection` waits for.

    The server is asked to cancel it: a statement that waits for a row would wait on there, and be
    carried out when nobody expects that any more. A server that does not answer is left alone.
    """
    with suppress(psycopg.Error, OSError):
        await connection.cancel_safe(timeout=CANCEL)
    # Closing it would leave the waiting one waiting.
    with suppress(psycopg.Error, OSError):
        line = socket.socket(fileno=connection.fileno())
        try:
            line.shutdown(socket.SHUT_RDWR)
        finally:
            line.detach()  # The descriptor stays the connection's.
