"""Answers, as Starlette's endpoints return them and as plain ASGI messages."""

from typing import Any, Final

import msgspec
from starlette.responses import Response
from starlette.types import Send

Headers = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")

encode: Final = msgspec.json.Encoder().encode
"""Encodes our own answers."""


def json_answer(value: Any, status: int = 200) -> Response:
    """Return `value` as JSON."""
    return json_text(encode(value), status)


def json_text(text: bytes, status: int = 200) -> Response:
    """Return the JSON text `text`."""
    return Response(text, status, media_type="application/json")


async def send_json(send: Send, status: int, text: bytes, more: Headers | None = None) -> None:
    """Send the JSON text `text`."""
    headers = [_JSON, (b"content-length", b"%d" % len(text))]
    if more:
        headers += more
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def send_empty(send: Send, status: int, more: Headers | None = None) -> None:
    """Send an answer without a body and without a content type."""
    headers = [(b"content-length", b"0"), *(more or ())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
