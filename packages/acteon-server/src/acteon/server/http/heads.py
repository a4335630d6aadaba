"""What a request may look like on the wire: how large its head may be, how many pieces it has."""

from collections.abc import Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from acteon.server.http.answers import send_empty
from acteon.server.http.bodies import header
from acteon.server.http.errors import ClientGoneError, RequestError

MAX_HEAD_BYTES: Final = 65_536
"""Heads that are longer are refused: request line and headers together."""

MAX_HEADERS: Final = 100
"""Heads with more headers are refused."""

MAX_PIECES: Final = 20_000
"""Bodies in more chunks are refused, unless these have 64 bytes on the average."""


def too_large(headers: Iterable[tuple[bytes, bytes]], line: int) -> bool:
    """Return whether `headers`, with a request line of `line` bytes, have more than may be."""
    return line + sum(len(name) + len(value) + 4 for name, value in headers) > MAX_HEAD_BYTES


def one_meaning(headers: list[tuple[bytes, bytes]], version: str) -> bool:
    """Return whether everybody who reads the head of a chunked request sees the same body.

    What stands between a client and us may go by another header than we do, and take the rest of
    a body for the next request (RFC 9112, section 6.3): only plain chunking passes.
    """
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    lengths = any(name == b"content-length" for name, _ in headers)
    plain = len(codings) == 1 and codings[0].strip().lower() == b"chunked"
    return plain and not lengths and version != "1.0"


def guarded(app: ASGIApp) -> ASGIApp:
    """Return `app` behind what hypercorn leaves undone: odd heads, tiny chunks, resets."""

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if len(headers) > MAX_HEADERS:
            await send_empty(send, 431)
        elif header(scope, b"transfer-encoding") is not None and not one_meaning(
            headers, scope["http_version"]
        ):
            await send_empty(send, 400, [(b"connection", b"close")])
        else:
            await app(scope, counting(receive), bearing(send))

    def counting(receive: Receive) -> Receive:
        pieces = size = 0

        async def receive_on() -> Message:
            nonlocal pieces, size
            message = await receive()
            pieces += 1
            size += len(message.get("body", b""))
            # Each costs as much as a kilobyte in one piece.
            if pieces > MAX_PIECES + size // 64:
                raise RequestError(413, "the request body comes in too many small chunks")
            return message

        return receive_on

    def bearing(send: Send) -> Send:
        async def send_on(message: Message) -> None:
            try:
                await send(message)
            except OSError:  # The kernel gave the client up, as it took nothing any more.
                raise ClientGoneError from None

        return send_on

    return guard
