"""A connection through a `FaultProxy`, and what goes wrong with it."""

import asyncio
import random
import socket
import struct
from contextlib import suppress
from datetime import timedelta
from typing import Final

from attrs import define, field, frozen

PIECE: Final = 65_536
WAITING: Final = 64
"""Pieces that may be delayed at a time, for each connection."""
SMOOTHNESS: Final = 20
"""Pieces a second that a limited connection passes on."""
NONE: Final = timedelta(0)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@frozen(kw_only=True)
class Faults:
    """What goes wrong.

    Attributes:
        pause: How much later answers arrive, each part of them.
        jitter: By how much more at the most.
        rate: Bytes a second that pass, for each connection and direction; None: any number.
        silent: Whether nothing passes, and nobody is told.
        losing: Whether answers vanish.
    """

    pause: timedelta = NONE
    jitter: timedelta = NONE
    rate: int | None = None
    silent: bool = False
    losing: bool = False


@define(eq=False)
class Line:
    """What all connections go through.

    Attributes:
        faults: What goes wrong at present.
        until_cut: How many bytes of answers pass until their connection is cut; None: it is not.
        bytes_asked: Bytes that have been passed on to the server.
        bytes_answered: Bytes that have been passed on to clients.
    """

    faults: Faults = field(factory=Faults)
    until_cut: int | None = None
    bytes_asked: int = 0
    bytes_answered: int = 0
    _switched: asyncio.Event = field(factory=asyncio.Event, init=False)

    def switch(self, faults: Faults) -> None:
        """Have these faults from now on, and no others; whoever waits looks again."""
        self.faults = faults
        self._switched.set()
        self._switched = asyncio.Event()

    async def until_heard(self) -> None:
        """Return as soon as something passes."""
        while self.faults.silent:
            await self._switched.wait()

    async def until_due(self, sent: float, luck: float) -> None:
        """Return when an answer arrives that was sent at `sent`, and is delayed by that luck."""
        loop = asyncio.get_running_loop()
        while (rest := sent + self._delay(luck).total_seconds() - loop.time()) > 0:
            await self.sleep(rest)

    def _delay(self, luck: float) -> timedelta:
        return self.faults.pause + luck * self.faults.jitter

    async def sleep(self, seconds: float) -> None:
        """Return after that time, or when a fault has been switched."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._switched.wait()


@define(eq=False)
class Connection:
    """A client's connection, and the one to the server that belongs to it.

    Attributes:
        line: What they go through.
        client: The client's end.
        has_lost: Whether an answer has vanished: what follows could not be understood.
    """

    line: Line
    client: Stream
    has_lost: bool = field(default=False, init=False)
    _server: Stream | None = field(default=None, init=False)

    async def pass_on(self, host: str, port: int) -> None:
        """Connect to the server, and pass on all that both sides send until both have ended."""
        try:
            await self.line.until_heard()
            self._server = await asyncio.open_connection(host, port)
            for _, writer in (self.client, self._server):
                # What has been written has left, even if the connection is reset then.
                writer.transport.set_write_buffer_limits(0)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._ask(self.client[0], self._server[1]))
                group.create_task(self._answer(self._server[0], self.client[1]))
        except* OSError:
            self.reset()  # As it came from one side, so the other one sees it.
        finally:
            for writer in self._writers():
                writer.close()

    def reset(self) -> None:
        """End it at once, on both sides, without a word of parting."""
        for writer in self._writers():
            reset(writer)

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [writer for _, writer in filter(None, (self.client, self._server))]

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(PIECE):
            while octets:
                await self.line.until_heard()
                octets = await self._send(octets, writer, answering=False)
        await self.line.until_heard()
        writer.write_eof()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        arriving: asyncio.Queue[tuple[float, float, bytes]] = asyncio.Queue(WAITING)
        async with asyncio.TaskGroup() as group:
            group.create_task(_receive(reader, arriving))
            ended = False
            while not ended:
                sent, luck, octets = await arriving.get()
                ended = not octets
                await self.line.until_due(sent, luck)
                await self.line.until_heard()
                while octets and not self._loses():
                    octets = await self._send(octets, writer, answering=True)
                    await self.line.until_heard()
        if not self._loses():
            writer.write_eof()

    def _loses(self) -> bool:
        self.has_lost |= self.line.faults.losing
        return self.has_lost

    async def _send(self, octets: bytes, writer: asyncio.StreamWriter, *, answering: bool) -> bytes:
        """Pass on as many of `octets` as may go at a time, and return the rest."""
        line, rate = self.line, self.line.faults.rate
        piece = octets if rate is None else octets[: max(1, rate // SMOOTHNESS)]
        cut = False
        if not answering:
            line.bytes_asked += len(piece)
        else:
            if line.until_cut is not None:
                cut = len(piece) >= line.until_cut
                piece = piece[: line.until_cut]
                line.until_cut = None if cut else line.until_cut - len(piece)
            line.bytes_answered += len(piece)
        writer.write(piece)
        await writer.drain()
        if cut:
            raise ConnectionResetError("cut, as it was asked for")
        if rate is not None:
            await line.sleep(len(piece) / rate)
        return octets[len(piece) :]


async def _receive(
    reader: asyncio.StreamReader, arriving: "asyncio.Queue[tuple[float, float, bytes]]"
) -> None:
    """Note when each piece was sent, as the line holds many at a time; the end is one, too."""
    loop = asyncio.get_running_loop()
    octets = b"-"
    while octets:
        octets = await reader.read(PIECE)
        await arriving.put((loop.time(), random.random(), octets))


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection as a network that fails would."""
    connection: socket.socket | None = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        # With nothing to linger for, closing sends a reset.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
