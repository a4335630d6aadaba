"""What a receiver's answer means.

| status | result | what is known |
|---|---|---|
| 2xx | `SUCCESS` | delivered |
| 408, 425, 503 | `ProviderConnectionError`, retryable | not delivered |
| 429 | `RateLimitedError`, retryable | not delivered |
| 500 and above, but 503 | `ProviderConnectionError`, retryable | unknown |
| any other | `FAILURE` | not delivered |

The statuses of the second and third row say that the request was turned away. Any other error
may have come up after the receiver, or one behind it, acted on the request.

The status line decides; a body that breaks off, is too long or takes too long is cut and marked.
There is one exception: the parser fails as a whole, so a body that is no HTTP (a wrong length of
a chunk, say) and comes in the same segment as a status line of 200 takes that line with it. Then
there was no answer, and whether anything was delivered is told as unknown.
"""

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from aiohttp import StreamReader
from attrs import define, field

from acteon.core import MalformedError, ProviderResponse, ResponseStatus, decode_json
from acteon.provider.errors import Delivery, ProviderConnectionError, RateLimitedError

_KEPT = ("content-type", "retry-after", "x-request-id")
_MAX_TEXT = 1024
_LONGEST_PAUSE = timedelta(days=366)
_TURNED_AWAY = frozenset({408, 425, 503})


@define(eq=False)
class Answer:
    """An answer as far as it has come in.

    Attributes:
        status: The status code.
        headers: Their names in any case, as the mapping finds them in any case.
        limit: How many bytes of the body are kept, after decompression.
        received: What came, still compressed.
        complete: Whether `received` is all of the body.
    """

    status: int
    headers: Mapping[str, str]
    limit: int
    received: bytearray = field(factory=bytearray)
    complete: bool = False

    async def read(self, stream: StreamReader) -> None:
        """Read the body; return when it ended, or when more than the limit has come."""
        while len(self.received) <= self.limit:
            chunk = await stream.readany()
            if not chunk:
                self.complete = True
                return
            self.received += chunk

    def judge(self, now: datetime) -> ProviderResponse:
        """Return what the answer says, by the table above.

        Raises:
            ProviderConnectionError: The receiver cannot serve now.
            RateLimitedError: The receiver takes no more for now.
        """
        if self.status == 429:
            raise RateLimitedError(retry_after=self._retry_after(now))
        if self.status in _TURNED_AWAY or self.status >= 500:
            delivery: Delivery = "none" if self.status in _TURNED_AWAY else "unknown"
            raise ProviderConnectionError(
                f"the receiver answered {self.status}",
                delivery=delivery,
                retry_after=self._retry_after(now),
            )
        accepted = 200 <= self.status < 300
        return ProviderResponse(
            ResponseStatus.SUCCESS if accepted else ResponseStatus.FAILURE,
            self._body(),
            self._told(),
        )

    def _retry_after(self, now: datetime) -> timedelta | None:
        return parse_retry_after(self.headers.get("retry-after", ""), now)

    def _told(self) -> dict[str, str]:
        told = {":status": str(self.status)}
        for name in _KEPT:
            value = self.headers.get(name)
            if value is not None:
                # Bytes beyond ASCII arrive as lone surrogates, which JSON cannot say.
                told[name] = value.encode("ascii", "replace").decode()[:_MAX_TEXT]
        return told

    def _body(self) -> Any:
        content, whole = self._content()
        if whole and content:
            try:
                return decode_json(content)
            except MalformedError:
                pass  # Then it is a text.
        shown: dict[str, Any] = {"status_code": self.status}
        text = content.decode(errors="replace")
        if text:
            shown["text"] = text[:_MAX_TEXT]
        if not whole or len(text) > _MAX_TEXT:
            shown["truncated"] = True
        return shown

    def _content(self) -> tuple[bytes, bool]:
        """Return what is kept of the body, and whether that is all of it."""
        encoding = self.headers.get("content-encoding", "").strip().lower()
        content = bytes(self.received)
        whole = self.complete
        if encoding in {"gzip", "x-gzip", "deflate"} and content:
            unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)  # both formats, by their header
            try:
                # Never more than this is unpacked, however much it would be.
                content = unpacker.decompress(content, self.limit + 1)
            except zlib.error:
                return b"", False
            whole = whole and unpacker.eof and not unpacker.unused_data
        return content[: self.limit], whole and len(content) <= self.limit


def parse_retry_after(text: str, now: datetime) -> timedelta | None:
    """Return how long the header `Retry-After: text` asks to wait, at most a year.

    Args:
        text: Seconds, or the date of HTTP.
        now: What a date is counted from.

    Returns:
        The pause, zero if the date has passed; None if the text says nothing of the kind.
    """
    text = text.strip()
    if re.fullmatch(r"[0-9]{1,32}", text):
        return timedelta(seconds=min(int(text), int(_LONGEST_PAUSE.total_seconds())))
    try:
        instant = parsedate_to_datetime(text)
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=UTC)
        pause = instant - now
    except (ValueError, OverflowError):
        return None
    return min(max(pause, timedelta(0)), _LONGEST_PAUSE)
