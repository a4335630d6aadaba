"""One write for each answer.

ASGI servers write the head of an answer and its body one after the other, each with a system call
and a packet of its own. For small answers, that costs more than making them.
"""

import asyncio
from typing import Any, Final

_MAX_HELD: Final = 64 * 1024


class JoinedTransport(asyncio.Transport):
    """Writes what is written in one turn of the event loop at once, at its end.

    It has what HTTP protocols use of a transport, and passes all but writes on.

    Args:
        transport: The connection's own.
        loop: The event loop.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(bytes(data))
        self._size += len(data)
        if self._size > _MAX_HELD:
            self._flush()

    def _flush(self) -> None:
        if not self._held:
            return
        joined = b"".join(self._held)
        self._held.clear()
        self._size = 0
        if not self._transport.is_closing():
            self._transport.write(joined)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)
