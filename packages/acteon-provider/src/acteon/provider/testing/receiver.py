"""A real HTTP receiver on this machine that records what it gets and misbehaves on demand."""

import asyncio
import gzip
import json
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from aiohttp import web
from attrs import define, field, frozen

Reply = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
"""How one request is answered; it has been read whole by then."""

LIMIT = 10.0
"""Seconds that waiting for requests may take."""


@frozen(kw_only=True)
class Received:
    """A request as it came.

    Attributes:
        method: `POST`, …
        path: What was asked for, with its query.
        headers: Finds names in any case.
        raw_headers: Every header in order, repeated ones included, names in lower case.
        body: The body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    raw_headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """What the body says."""
        return json.loads(self.body)

    def all(self, name: str) -> list[str]:
        """Return the values of the header `name`, each as often as it came."""
        return [value for found, value in self.raw_headers if found == name.lower()]


def answer(
    status: int = 200,
    body: bytes = b"{}",
    headers: Mapping[str, str] | None = None,
    *,
    after: asyncio.Event | None = None,
) -> Reply:
    """Answer like that, once `after` is set."""

    async def reply(_: web.BaseRequest) -> web.StreamResponse:
        if after is not None:
            await after.wait()
        return web.Response(status=status, body=body, headers=headers)

    return reply


def reset() -> Reply:
    """Reset the connection (RST) instead of answering."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        transport = _transport(request)
        # Lingering for no time at all is how a close becomes a reset.
        transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        transport.abort()
        return web.Response()

    return reply


def close() -> Reply:
    """Close the connection in good order instead of answering."""
    return garbage(b"")


def garbage(text: bytes = b"\x00\xff what is this\r\n\r\n") -> Reply:
    """Send `text` as it is, and close the connection."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        transport = _transport(request)
        if text:
            transport.write(text)
        transport.close()
        return web.Response()

    return reply


def endless(chunk: bytes = b"x" * 4096, *, status: int = 200) -> Reply:
    """Answer with a body that goes on for as long as somebody reads it."""

    async def reply(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        try:
            while True:
                await response.write(chunk)
        except ConnectionError:
            return response

    return reply


def gzip_bomb(unpacked_bytes: int = 200_000_000) -> Reply:
    """Answer with a small body that unpacks to `unpacked_bytes` of blanks."""
    packed = gzip.compress(b" " * unpacked_bytes)
    return answer(body=packed, headers={"Content-Encoding": "gzip"})


@define(eq=False)
class Receiver:
    """Listens on 127.0.0.1, at a free port, while it is entered.

    Attributes:
        default: How requests are answered that no reply was queued for.
        replies: How the next ones are answered, in order, each once.
        requests: What came, in order.
        connections: How many connections were made, with or without a request.
    """

    default: Reply = field(factory=lambda: answer())
    replies: deque[Reply] = field(factory=deque[Reply])
    requests: list[Received] = field(factory=list[Received])
    connections: int = field(default=0, init=False)
    _news: asyncio.Condition = field(factory=asyncio.Condition, init=False)
    _server: web.Server = field(init=False)
    _listener: asyncio.Server = field(init=False)

    async def __aenter__(self) -> Self:
        # An answer may be awaited for ever: whoever hangs up ends it.
        self._server = web.Server(self._handle, handler_cancellation=True)
        self._listener = await asyncio.get_running_loop().create_server(
            self._accept, "127.0.0.1", 0
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listener.close()
        # As when the process is killed: nobody is left who would answer or close in good order.
        for connection in self._server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        await self._server.shutdown(0)
        await self._listener.wait_closed()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """`http://127.0.0.1:<port>/hook`."""
        return f"http://127.0.0.1:{self.port}/hook"

    def script(self, *replies: Reply) -> None:
        """Answer the next requests like that, in this order."""
        self.replies.extend(replies)

    async def wait_for(self, count: int) -> list[Received]:
        """Return the requests once there are `count` of them.

        Raises:
            TimeoutError: That took more than ten seconds.
        """
        async with asyncio.timeout(LIMIT), self._news:
            await self._news.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    def _accept(self) -> asyncio.Protocol:
        self.connections += 1
        return self._server()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = Received(
            method=request.method,
            path=request.path_qs,
            headers=request.headers,
            raw_headers=tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1"))
                for name, value in request.raw_headers
            ),
            body=await request.read(),
        )
        async with self._news:
            self.requests.append(received)
            self._news.notify_all()
        reply = self.replies.popleft() if self.replies else self.default
        return await reply(request)


def _transport(request: web.BaseRequest) -> asyncio.Transport:
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    return transport
