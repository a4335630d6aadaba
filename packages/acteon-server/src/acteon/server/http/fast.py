"""How uvicorn speaks HTTP with httptools here; imported only where both are installed."""

import asyncio
from datetime import timedelta
from typing import Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from acteon.server.http.joined import JoinedTransport

MAX_HEAD_BYTES: Final = 65_536
"""Heads that are longer, and have not come all at once, are refused."""

_TOO_LONG: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


def fast_protocol(read_timeout: timedelta) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, writing answers at once, and hanging up on those who dawdle.

    Args:
        read_timeout: The time for the head of a request to arrive: of a connection's first one
            since it was opened, of others since they began. uvicorn itself would wait for ever.
    """
    limit = read_timeout.total_seconds()

    class FastProtocol(HttpToolsProtocol):
        _in_head = False
        _head_bytes = 0
        _dawdling: asyncio.TimerHandle | None = None

        def connection_made(  # type: ignore[override]  # as in its base
            self, transport: asyncio.Transport
        ) -> None:
            super().connection_made(JoinedTransport(transport, self.loop))
            self._dawdling = self.loop.call_later(limit, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                self._head_bytes += len(data)
                if self._head_bytes > MAX_HEAD_BYTES:
                    self.transport.write(_TOO_LONG)
                    self.transport.close()
                    return
            # Most heads come in one piece and need no timer.
            if self._in_head and self._dawdling is None:
                self._dawdling = self.loop.call_later(limit, self.transport.close)

        def on_message_begin(self) -> None:
            self._in_head = True
            self._head_bytes = 0
            super().on_message_begin()

        def on_headers_complete(self) -> None:
            self._in_head = False
            self._in_time()
            super().on_headers_complete()

        def _in_time(self) -> None:
            if self._dawdling is not None:
                self._dawdling.cancel()
                self._dawdling = None

    return FastProtocol
