"""A network that fails as it is told: a TCP proxy in front of any server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import timedelta
from socket import socket
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import SplitResult, urlsplit

from anyio.from_thread import start_blocking_portal
from attrs import define, evolve, field

from acteon.simulation.errors import SimulationError
from acteon.simulation.line import NONE, Connection, Faults, Line, reset
from acteon.simulation.owning import Owner
from acteon.simulation.ports import HOST, bound, listening

_PORTS: Final = {
    "clickhouse": 9000,
    "clickhouses": 9440,
    "http": 80,
    "https": 443,
    "postgres": 5432,
    "postgresql": 5432,
    "redis": 6379,
    "rediss": 6379,
    "smtp": 25,
    "smtps": 465,
}


@define(eq=False)
class FaultProxy:
    """Passes all on to a server, on a port of its own, while it is entered; and fails as told.

    ```python
    async with FaultProxy.to("redis://localhost:6379") as proxy:
        config = SimulationConfig(state=proxy.url, …)
        …
        proxy.cut()
    ```

    With `with` instead it works in a thread of its own. Faults may be switched from any thread, at
    any time, and add up; they hold for connections that are open as well, until `heal`.

    Attributes:
        host: Where the server is.
        port: Where the server is.
        connections: How many connections clients have made.
    """

    host: str
    port: int
    connections: int = field(default=0, init=False)
    _given: SplitResult = field(default=SplitResult("tcp", "", "", "", ""), init=False, repr=False)
    _refusing: bool = field(default=False, init=False)
    _line: Line = field(factory=Line, init=False)
    _open: dict[Connection, "asyncio.Task[None]"] = field(
        factory=dict[Connection, "asyncio.Task[None]"], init=False
    )
    _tasks: asyncio.TaskGroup | None = field(default=None, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _reserved: socket | None = field(default=None, init=False)
    _starting: "tuple[asyncio.Task[None], socket] | None" = field(default=None, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _owner: Owner[None] | None = field(default=None, init=False)
    _stack: ExitStack = field(factory=ExitStack, init=False)

    @classmethod
    def to(cls, url: str) -> Self:
        """Return a proxy in front of the server of `url`, such as `redis://localhost:6379`.

        What is encrypted passes as it is; clients that check names then see a certificate that is
        not for 127.0.0.1.

        Raises:
            SimulationError: It names no host and port, or several.
        """
        parts = urlsplit(url)
        _, _, address = parts.netloc.rpartition("@")
        try:
            host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme.split("+")[-1])
        except ValueError:
            host = port = None
        # The URL is not shown: it may hold a password.
        if "," in address or parts.scheme.endswith(("+sentinel", "+cluster")):
            raise SimulationError("a proxy has one server, and its clients must not ask for others")
        if not host or not port:
            raise SimulationError("a proxy needs a URL with a host and a port")
        proxy = cls(host, port)
        proxy._given = parts
        return proxy

    @classmethod
    def sync(cls, url: str) -> Self:
        """Return a proxy as `to` does, for tests without an event loop: enter it with `with`."""
        return cls.to(url)

    @property
    def local_port(self) -> int:
        """The port of 127.0.0.1 where clients connect.

        Raises:
            SimulationError: The proxy is not entered.
        """
        if self._reserved is None:
            raise SimulationError("this proxy does not run: enter it with `async with` or `with`")
        port: int = self._reserved.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The URL of the server, with the proxy's host and port in it."""
        credentials, at, _ = self._given.netloc.rpartition("@")
        return self._given._replace(netloc=f"{credentials}{at}{HOST}:{self.local_port}").geturl()

    @property
    def open_connections(self) -> int:
        """How many connections are open."""
        return len(self._open)

    @property
    def bytes_asked(self) -> int:
        """How many bytes were passed on to the server."""
        return self._line.bytes_asked

    @property
    def bytes_answered(self) -> int:
        """How many bytes were passed on to clients."""
        return self._line.bytes_answered

    def delay(self, pause: timedelta, jitter: timedelta = NONE) -> None:
        """Have answers arrive later: by `pause`, and up to `jitter` more, at random.

        Raises:
            ValueError: One of them is negative.
        """
        if pause < NONE or jitter < NONE:
            raise ValueError(f"'pause' and 'jitter' must be >= 0: {pause}, {jitter}")
        self._switch(pause=pause, jitter=jitter)

    def limit(self, bytes_per_second: int | None) -> None:
        """Let no more bytes pass than that, in each direction of each connection; None: any number.

        Raises:
            ValueError: The number is not above 0.
        """
        if bytes_per_second is not None and bytes_per_second < 1:
            raise ValueError(f"'bytes_per_second' must be >= 1: {bytes_per_second}")
        self._switch(rate=bytes_per_second)

    def cut(self) -> None:
        """Reset all connections that are open, on both sides; new ones may be made."""
        self._in_loop(lambda: self._cut_if(lambda _: True))

    def cut_after(self, n_bytes: int) -> None:
        """Reset, once, a connection in the middle of an answer: after so many bytes of answers.

        With 0 it is reset when the next answer begins, of which nothing arrives.

        Raises:
            ValueError: The number is negative.
        """
        if n_bytes < 0:
            raise ValueError(f"'n_bytes' must be >= 0: {n_bytes}")
        self._in_loop(lambda: self._break_after(n_bytes))

    def refuse(self, refusing: bool = True) -> None:
        """Refuse new connections, as if no server listened; those that are open stay."""
        self._in_loop(lambda: self._refuse(refusing))

    def half_open(self, silent: bool = True) -> None:
        """Take connections and what is sent, pass nothing on, and never close.

        What was kept back goes on when it ends.
        """
        self._switch(silent=silent)

    def lose_answers(self, losing: bool = True) -> None:
        """Pass requests on, but no answers: what is asked takes place, and nobody learns of it.

        When it ends, the connections that have lost one are reset.
        """
        self._in_loop(lambda: self._lose(losing))

    def heal(self) -> None:
        """End all faults."""
        self._in_loop(self._heal)

    async def __aenter__(self) -> Self:
        if self._owner is not None:
            raise SimulationError("this proxy runs already")
        self._owner = Owner(self._running())
        try:
            await self._owner.start()
        except BaseException:
            self._owner = None
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.stop()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            portal = stack.enter_context(start_blocking_portal("asyncio", name="acteon-proxy"))
            stack.enter_context(portal.wrap_async_context_manager(self))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @asynccontextmanager
    async def _running(self) -> AsyncGenerator[None]:
        with bound() as reserved:
            async with asyncio.TaskGroup() as tasks:
                self._reserved, self._tasks = reserved, tasks
                self._loop = asyncio.get_running_loop()
                self._refuse(self._refusing)
                try:
                    yield
                finally:
                    self._stop_listening()
                    self._loop = self._tasks = self._reserved = None
                    self._cut_if(lambda _: True)

    def _in_loop(self, change: Callable[[], None]) -> None:
        """Make a change where connections are, and return when it is made."""
        loop = self._loop
        if loop is None or loop is _running_loop():
            change()
            return

        async def changed() -> None:
            change()

        asyncio.run_coroutine_threadsafe(changed(), loop).result()

    def _switch(self, **faults: Any) -> None:
        self._in_loop(lambda: self._line.switch(evolve(self._line.faults, **faults)))

    def _break_after(self, n_bytes: int) -> None:
        self._line.until_cut = n_bytes

    def _heal(self) -> None:
        self._line.until_cut = None
        self._line.switch(Faults())
        self._cut_if(lambda connection: connection.has_lost)
        self._refuse(False)

    def _lose(self, losing: bool) -> None:
        self._line.switch(evolve(self._line.faults, losing=losing))
        if not losing:
            self._cut_if(lambda connection: connection.has_lost)

    def _cut_if(self, wanted: Callable[[Connection], bool]) -> None:
        for connection in [each for each in self._open if wanted(each)]:
            connection.reset()
            self._open.pop(connection).cancel()

    def _refuse(self, refusing: bool) -> None:
        self._refusing = refusing
        if refusing:
            self._stop_listening()
        elif self._tasks is not None and self._starting is None and self._server is None:
            listener = listening(self.local_port)
            self._starting = self._tasks.create_task(self._listen(listener)), listener

    async def _listen(self, listener: socket) -> None:
        server = await asyncio.start_server(self._accept, sock=listener, start_serving=False)
        self._starting, self._server = None, server
        await server.start_serving()

    def _stop_listening(self) -> None:
        """Refuse connections from this moment on, not only when a task has got its turn."""
        if self._starting is not None:
            task, listener = self._starting
            task.cancel()
            listener.close()
        if self._server is not None:
            self._server.close()
        self._starting = self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._tasks is None:
            reset(writer)
            return
        self.connections += 1
        connection = Connection(self._line, (reader, writer))
        task = self._tasks.create_task(connection.pass_on(self.host, self.port))
        self._open[connection] = task
        task.add_done_callback(lambda _: self._open.pop(connection, None))


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
