"""A TCP proxy that counts what passes through it, and can make a network fail."""

import asyncio
import socket
import struct
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self

from attrs import define, field

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@define(eq=False)
class Proxy:
    """Listens on a free port of 127.0.0.1 and passes all on to a server, while it is entered.

    Attributes:
        host: Where the server is.
        port: Where the server is.
        trips: How often an answer has begun after a client had asked, over all connections. What is
            asked together before the first octet of the answers is one trip.
        connections: How many connections clients have made.
    """

    host: str
    port: int
    trips: int = field(default=0, init=False)
    connections: int = field(default=0, init=False)
    _delay: timedelta = field(default=timedelta(0), init=False)
    _refusing: bool = field(default=False, init=False)
    _server: asyncio.Server | None = field(default=None, init=False)
    _open: set[asyncio.StreamWriter] = field(factory=set[asyncio.StreamWriter], init=False)
    _tasks: set[asyncio.Task[None]] = field(factory=set[asyncio.Task[None]], init=False)

    @property
    def url_port(self) -> int:
        """Where clients connect."""
        assert self._server is not None, "the proxy is not entered"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def cut(self) -> None:
        """Reset all connections that are open, on both sides."""
        for writer in self._open:
            _reset(writer)

    def refuse(self, refusing: bool) -> None:
        """Reset new connections as they come, until called with `False`; the open ones stay."""
        self._refusing = refusing

    def delay(self, pause: timedelta) -> None:
        """Pause before each answer from now on; zero for no pause."""
        self._delay = pause

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            _reset(writer)
            return
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with suppress(OSError):  # the server is away, and the client sees its connection end
                server = await asyncio.open_connection(self.host, self.port)
                await self._pass_on((reader, writer), server)
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _pass_on(self, client: Stream, server: Stream) -> None:
        asked = False

        async def ask() -> None:
            nonlocal asked
            while octets := await _read(client):
                asked = True
                await _write(server, octets)

        async def answer() -> None:
            nonlocal asked
            while octets := await _read(server):
                if asked:
                    asked = False
                    self.trips += 1
                    await asyncio.sleep(self._delay.total_seconds())
                await _write(client, octets)

        writers = {client[1], server[1]}
        self._open |= writers
        try:
            async with asyncio.TaskGroup() as group:
                asking, answering = group.create_task(ask()), group.create_task(answer())
                # When one side has closed, the other one is closed too.
                asking.add_done_callback(lambda _: answering.cancel())
                answering.add_done_callback(lambda _: asking.cancel())
        finally:
            self._open -= writers
            server[1].close()


async def _read(stream: Stream) -> bytes:
    try:
        return await stream[0].read(65536)
    except OSError:
        return b""


async def _write(stream: Stream, octets: bytes) -> None:
    with suppress(OSError):  # the end of the connection is seen by who reads
        stream[1].write(octets)
        await stream[1].drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    # With nothing to linger for, closing sends a reset, as a network that fails would.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
