"""Statements: in threads, bounded in time, made again where the connection was lost."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from attrs import define, field, frozen

from acteon.core import Outage
from acteon.state import StateConnectionError, StateSerializationError
from acteon.state_clickhouse.config import Address, ClickHouseConfig
from acteon.state_clickhouse.errors import CALL_ERRORS, is_lost, is_outage, said, translated
from acteon.state_clickhouse.line import Line

log = logging.getLogger(__name__)

T = TypeVar("T")
Row = tuple[Any, ...]


@frozen
class Answer:
    """The rows of an answer, and when, on the monotonic clock, it was asked for and came."""

    rows: list[Row]
    sent: float
    received: float


class Engine(Protocol):
    """What carries out statements."""

    async def ask(self, statement: str) -> Answer:
        """Carry out `statement` and return its rows."""
        ...

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        """Insert `rows` into `table`, all at once; those that are there already do no harm."""
        ...


@define(eq=False)
class Calls(Engine):
    """The connections to one server, and the threads that wait for its answers.

    Enter it before use; leaving it closes the connections.

    Attributes:
        config: How to reach the server.
        what: What the server is to those who use it, for messages.
    """

    config: ClickHouseConfig
    what: str = "state store"
    address: Address = field(init=False)
    _lines: deque[Line] = field(factory=deque[Line], init=False, repr=False)
    """Those that are idle."""
    _busy: set[Line] = field(factory=set[Line], init=False, repr=False)
    _threads: ThreadPoolExecutor | None = field(default=None, init=False, repr=False)
    _outage: Outage = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self.address = self.config.address
        self._outage = Outage(log, self.what, self.address.where)

    async def __aenter__(self) -> Self:
        if self.address.was_http:
            log.info(
                "the URL of ClickHouse names HTTP; its native protocol is used",
                extra={"acteon.host": self.address.host, "acteon.port": self.address.port},
            )
        self._threads = ThreadPoolExecutor(self.config.pool_size, "acteon-clickhouse")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
            # Nobody waits for statements under way any more; but the end of the process would.
            for line in tuple(self._busy):
                line.cut()
        self._close_idle()

    async def ask(self, statement: str) -> Answer:
        def work(line: Line) -> Answer:
            sent = time.monotonic()
            rows = line.ask(statement)
            return Answer(rows, sent, time.monotonic())

        return await self._run(work)

    async def insert(self, table: str, columns: str, rows: Sequence[Row]) -> None:
        await self._run(lambda line: line.insert(table, columns, rows))

    async def version(self) -> tuple[int, int]:
        """Return the version of the server."""
        return await self._run(Line.version)

    async def _run(self, work: Callable[[Line], T]) -> T:
        if self._threads is None:
            raise StateConnectionError("the connection to ClickHouse has been closed")
        begun = time.monotonic()
        loop = asyncio.get_running_loop()
        try:
            # The driver's own limits end what is under way; this one is for those that wait for
            # a thread as well.
            async with asyncio.timeout(self.config.patience.total_seconds()):
                result = await loop.run_in_executor(self._threads, self._work, work)
        except UnicodeEncodeError as error:
            raise StateSerializationError(
                "expected a text that UTF-8 can hold, found something else"
            ) from error
        except CALL_ERRORS as error:
            if is_outage(error):
                self._outage.failed(said(error), begun)
            else:
                self._outage.answered(begun)
            raise translated(error, self.address.where) from error
        self._outage.answered(begun)
        return result

    def _work(self, work: Callable[[Line], T]) -> T:
        """Do `work` on a connection of its own; in a thread."""
        line = self._idle()
        if line is not None:
            try:
                return self._on(line, work)
            except CALL_ERRORS as error:
                if not is_lost(error) or self._threads is None:
                    raise
                # What ended this one has most likely ended the others. All that is ever written
                # may be written twice.
                self._close_idle()
        return self._on(Line(self.config, self.address), work)

    def _on(self, line: Line, work: Callable[[Line], T]) -> T:
        self._busy.add(line)
        try:
            result = work(line)
        except BaseException:
            line.close()
            raise
        finally:
            self._busy.discard(line)
        self._lines.append(line)
        if self._threads is None:
            self._close_idle()
        return result

    def _idle(self) -> Line | None:
        while self._lines:
            try:
                line = self._lines.pop()
            except IndexError:  # another thread was faster
                break
            if line.is_alive():
                return line
            line.close()
        return None

    def _close_idle(self) -> None:
        while self._lines:
            try:
                self._lines.pop().close()
            except IndexError:
                break
