"""Cursors: places in the order of audit records, as clients hold them."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

import msgspec

from acteon.audit import AuditPage, Position
from acteon.core import encode_json, format_instant, parse_instant
from acteon.server.http.errors import RequestError

_VERSION: Final = 1
_MAX_LENGTH: Final = 4096
_decode: Final = msgspec.json.Decoder(tuple[int, str, str]).decode


def next_cursor(page: AuditPage) -> str | None:
    """Return the cursor for what follows `page`; None if nothing does.

    A full page may be the last one: then an empty one follows.
    """
    if len(page.records) < page.limit:
        return None
    last = page.records[-1]
    return write_cursor(Position(last.dispatched_at, last.id))


def write_cursor(position: Position) -> str:
    """Return `position` as a text that may stand in a URL as it is."""
    text = encode_json([_VERSION, format_instant(position.dispatched_at), position.id])
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def read_cursor(text: str) -> Position:
    """Return the position that `write_cursor` wrote.

    Raises:
        RequestError: It did not write this.
    """
    try:
        if len(text) > _MAX_LENGTH:
            raise ValueError("too long")
        _, instant, id = _decode(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        position = Position(parse_instant(instant), id)
        if write_cursor(position) != text:
            raise ValueError("another text, such as one of another version")
    except (ValueError, msgspec.DecodeError):  # Which is what all of them raise.
        raise RequestError(400, "cursor: give `next_cursor` of an answer, as it came") from None
    return position
