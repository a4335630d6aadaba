"""Writing a message in such a way that one knows how far it came."""

import asyncio
import re
from typing import Final

from aiosmtplib import SMTPServerDisconnected
from aiosmtplib.protocol import SMTPProtocol
from attrs import define, field

_PIECE: Final = 65_536
_EARLY: Final = re.compile(rb"([2-5][0-9]{2})[ -]([^\r\n]*)")
_MAX_EARLY: Final = 1024


async def write_content(
    content: bytes, protocol: SMTPProtocol, transport: asyncio.WriteTransport
) -> tuple[int, str] | None:
    """Write all of a message but its end, and return when the system has taken it.

    Over TLS, some of it may still wait below the encryption, where one cannot look.

    Args:
        content: Header and body, lines ending in CRLF.
        protocol: The library's; the server has answered DATA with 354.
        transport: That of the connection.

    Returns:
        None if the end can follow. Otherwise what the server said in between, code and text (0 if
        it made no sense): it does not want the rest, and without its end there is no message.

    Raises:
        SMTPServerDisconnected: The connection was lost, and the end cannot follow.
    """
    content = content.replace(b"\r\n.", b"\r\n..")  # It begins with a header.
    flow = _Flow(protocol)
    transport.set_protocol(flow)
    # With a limit of 0, writing over TLS would pause for good with nothing left to write.
    transport.set_write_buffer_limits(high=1, low=0)
    try:
        for start in range(0, len(content), _PIECE):
            if not flow.early:
                await flow.write(content[start : start + _PIECE])
        await asyncio.sleep(0)  # What has come meanwhile shows now.
    except SMTPServerDisconnected:
        if not flow.early:
            raise
    if flow.early:
        found = _EARLY.match(flow.early)
        return (int(found[1]), found[2].decode(errors="replace")) if found else (0, "")
    if not protocol.is_connected:
        raise SMTPServerDisconnected("")
    transport.set_protocol(protocol)
    return None


@define(eq=False)
class _Flow(asyncio.Protocol):
    """Stands before the library's protocol while a message goes out.

    The library hands a message of any size over at once and then waits, so that nobody can tell
    how far it came. With this, pieces of it go as they are taken, and what the server says in
    between is kept.

    Attributes:
        inner: The library's protocol.
        early: What the server has said, or the beginning of it.
    """

    inner: SMTPProtocol
    early: bytearray = field(factory=bytearray, init=False)
    _free: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def write(self, piece: bytes) -> None:
        self._free.set()
        self.inner.write(piece)  # This may clear it.
        await self._free.wait()

    def data_received(self, data: bytes) -> None:
        self.early += data[: _MAX_EARLY - len(self.early)]

    def eof_received(self) -> bool | None:
        return self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._free.set()
        self.inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._free.clear()

    def resume_writing(self) -> None:
        self._free.set()
