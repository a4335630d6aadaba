"""A mail server that misbehaves as it is told."""

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from attrs import define, field

LIMIT: Final = 10.0
"""Seconds that waiting may take."""

NOTHING: Final = b""
"""Say nothing."""
HANG: Final = b"<hang>"
"""Say nothing, and read nothing, while the connection lasts."""
CLOSE: Final = b"<close>"
"""Close the connection in good order."""
RESET: Final = b"<reset>"
"""Reset the connection (RST)."""
FLOOD: Final = b"<flood>"
"""Send the beginning of a reply for as long as somebody reads it."""


@define(eq=False)
class ScriptedServer:
    """A mail server on 127.0.0.1 that takes everything, but for what its script says.

    Attributes:
        script: What to do at each stage: `greeting`, the commands in capitals, `content` (when
            a part of the message has come), `end` (when all of it has). Lines of a reply, or
            one of `NOTHING`, `HANG`, `CLOSE`, `RESET` and `FLOOD`; a list is used up one by one.
        extensions: What EHLO tells.
        context: The server's side of TLS, if connections are encrypted from the start.
        commands: What came, in order.
        ends: How many messages came whole.
        connections: How many connections were made.
    """

    script: dict[str, bytes | list[bytes]] = field(factory=dict[str, "bytes | list[bytes]"])
    extensions: tuple[str, ...] = ("SMTPUTF8", "SIZE 20000000")
    context: ssl.SSLContext | None = None
    commands: list[str] = field(factory=list[str], init=False)
    ends: int = field(default=0, init=False)
    connections: int = field(default=0, init=False)
    _listener: asyncio.Server = field(init=False)
    _over: asyncio.Event = field(factory=asyncio.Event, init=False)
    _news: asyncio.Event = field(factory=asyncio.Event, init=False)
    _open: int = field(default=0, init=False)

    async def __aenter__(self) -> Self:
        listening = socket.socket()
        # With little room here, a client notices early that nobody reads.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        listening.bind(("127.0.0.1", 0))
        self._listener = await asyncio.start_server(self._serve, sock=listening, ssl=self.context)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        self._over.set()
        await self._until(lambda: not self._open)
        await self._listener.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    async def came(self, command: str) -> None:
        """Return once such a command has come."""
        await self._until(lambda: any(each.startswith(command) for each in self.commands))

    async def wait_until_all_left(self) -> None:
        """Return once no connection is open."""
        await self._until(lambda: not self._open)

    def count(self, command: str) -> int:
        """Return how many such commands have come."""
        return sum(each.startswith(command) for each in self.commands)

    async def _until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(LIMIT):
            while not holds():
                self._news.clear()
                await self._news.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open += 1
        conversation = asyncio.create_task(self._conversation(reader, writer))
        over = asyncio.create_task(self._over.wait())
        try:
            await asyncio.wait({conversation, over}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (conversation, over):
                task.cancel()
            await asyncio.wait({conversation, over})
            writer.transport.abort()
            self._open -= 1
            self._news.set()

    async def _conversation(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._act("greeting", b"220 scripted ESMTP", writer)
            while line := await reader.readline():
                command = line.decode().rstrip("\r\n")
                verb = command.partition(" ")[0].upper()
                self.commands.append(command)
                self._news.set()
                if verb == "DATA":
                    await self._act("DATA", b"354 go ahead", writer)
                    await self._content(reader, writer)
                    await self._act("end", b"250 2.0.0 taken", writer)
                else:
                    await self._act(verb, self._usual(verb), writer)
                if verb == "QUIT":
                    return
        except (ConnectionError, _GoneError):
            pass

    async def _content(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if "content" in self.script:
            await reader.read(1000)
            self.commands.append("<content>")
            self._news.set()
            await self._act("content", b"", writer)
        while line := await reader.readline():
            if line == b".\r\n":
                self.ends += 1
                self.commands.append("<end>")
                self._news.set()
                return
        raise _GoneError

    async def _act(self, stage: str, usual: bytes, writer: asyncio.StreamWriter) -> None:
        told = self.script.get(stage, usual)
        reply = (told.pop(0) if told else usual) if isinstance(told, list) else told
        if reply == HANG:
            await self._over.wait()
        elif reply == CLOSE:
            writer.close()
            raise _GoneError
        elif reply == RESET:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            raise _GoneError
        elif reply == FLOOD:
            while True:
                writer.write(b"250-and another line\r\n" * 100)
                await writer.drain()
        elif reply:
            writer.write(reply + b"\r\n")
            if reply.startswith(b"421"):
                writer.close()
                raise _GoneError
            await writer.drain()

    def _usual(self, verb: str) -> bytes:
        if verb == "EHLO":
            lines = ("scripted", *self.extensions)
            last = len(lines) - 1
            return b"\r\n".join(
                f"250{' ' if number == last else '-'}{line}".encode()
                for number, line in enumerate(lines)
            )
        return {"QUIT": b"221 bye", "AUTH": b"235 2.7.0 welcome"}.get(verb, b"250 2.1.0 fine")


class _GoneError(Exception):
    """The conversation is over."""
