"""How uvicorn speaks HTTP with httptools here; imported only where both are installed."""

import asyncio
from datetime import timedelta
from typing import Any, Final, cast

from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from acteon.server.http.answers import send_empty
from acteon.server.http.heads import MAX_HEAD_BYTES, MAX_HEADERS, one_meaning, too_large
from acteon.server.http.joined import JoinedTransport

_TOO_LARGE: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class _RefusedError(Exception):
    """Ends the parsing of a request that is refused."""


class _Dropped(list[tuple[bytes, bytes]]):
    """Takes the place of the headers when they are complete: trailers are none of them."""

    def append(self, _header: tuple[bytes, bytes], /) -> None:
        pass


def fast_protocol(read_timeout: timedelta) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, writing answers at once, and bearing with no abuse.

    It hangs up on those who dawdle, bounds heads and trailers, and never lets a bad request take
    the place of the answer to a good one before it. uvicorn itself does none of that.

    Args:
        read_timeout: The time for the head of a request to arrive: of a connection's first one
            since it was opened, of others since they began. What is left of a body after its
            answer has as much.
    """
    limit = read_timeout.total_seconds()

    class FastProtocol(HttpToolsProtocol):
        _in_head = False  # Or in trailers, or before a chunk: nothing comes of what comes.
        _has_begun = False  # In what came last.
        _more_bytes = 0  # That came of it since then.
        _came_at_once = False
        _deaf = False
        _is_too_large = False
        _is_chunked = False
        _is_encrypted = False
        _dawdling: asyncio.TimerHandle | None = None

        def connection_made(  # type: ignore[override]  # as in its base
            self, transport: asyncio.Transport
        ) -> None:
            self._is_encrypted = transport.get_extra_info("sslcontext") is not None
            super().connection_made(JoinedTransport(transport, self.loop))
            self._dawdling = self.loop.call_later(limit, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._deaf:
                return
            self._came_at_once = len(data) > MAX_HEAD_BYTES
            self._has_begun = False
            super().data_received(data)
            if self._in_head:
                if not self._has_begun:
                    self._more_bytes += len(data)
                if self._more_bytes > MAX_HEAD_BYTES:
                    self._is_too_large = True
                    self.send_400_response("")
                    return
            elif not self._is_answered():
                return  # Most heads come in one piece and need no timer.
            if self._dawdling is None:
                self._dawdling = self.loop.call_later(limit, self.transport.close)

        def eof_received(self) -> bool:  # type: ignore[override]  # which closes always
            # Who has sent everything may say so, and still waits for the answer: even one that is
            # only being written.
            if not self._ends_later():
                self.transport.close()
            # An encrypted connection has no half that could stay open.
            return not self._is_encrypted

        def send_400_response(self, msg: str) -> None:
            if self._ends_later():
                return
            if self._is_too_large:
                self.transport.write(_TOO_LARGE)
                self.transport.close()
            else:
                super().send_400_response(msg)

        def on_message_begin(self) -> None:
            self._begin()
            self._is_chunked = False
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._in_time()
            if len(self.headers) > MAX_HEADERS or (
                (self._came_at_once or self._more_bytes) and too_large(self.headers, len(self.url))
            ):
                self._is_too_large = True
                raise _RefusedError
            super().on_headers_complete()
            self.headers = _Dropped()

        def on_chunk_header(self) -> None:
            self._begin()
            if not self._is_chunked:
                self._is_chunked = True
                scope = self.cycle.scope
                if not one_meaning(list(scope["headers"]), scope["http_version"]):
                    raise _RefusedError

        def on_chunk_complete(self) -> None:
            self._in_head = False

        def on_body(self, body: bytes) -> None:
            self._in_head = False
            super().on_body(body)

        def _begin(self) -> None:
            self._in_head = self._has_begun = True
            self._more_bytes = 0

        def _ends_later(self) -> bool:
            """Hear no more; return whether there are answers to give before the end.

            The connection is closed behind the last one.
            """
            self._deaf = True
            if self._is_answered() is not False:
                return False
            cycle = self.cycle
            if self.pipeline and cycle.more_body:
                # Its types of ASGI messages are narrower than Starlette's, and the same.
                self.pipeline[0] = (cycle, cast("Any", _malformed))
            elif cycle.more_body:
                return False
            cycle.keep_alive = False
            return True

        def _is_answered(self) -> bool | None:
            """Return whether the last request was answered, or None if there was none."""
            cycle: RequestResponseCycle | None = self.cycle  # Its base says it always is one.
            if cycle is None:  # pyright: ignore[reportUnnecessaryComparison]
                return None
            return cycle.response_complete

        def _in_time(self) -> None:
            if self._dawdling is not None:
                self._dawdling.cancel()
                self._dawdling = None

    return FastProtocol


async def _malformed(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send_empty(send, 400, [(b"connection", b"close")])
