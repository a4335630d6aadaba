"""What a receiver's answer means.

| status | result | what is known |
|---|---|---|
| 2xx, or what `success_codes` names | `SUCCESS` | delivered |
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

from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any

from acteon.core import MalformedError, ProviderResponse, ResponseStatus, decode_json
from acteon.provider.errors import Delivery, ProviderConnectionError, RateLimitedError
from acteon.provider.http import Answer

KEPT = ("content-type", "retry-after", "x-request-id")
"""Headers of answers that are always told."""

_MAX_TEXT = 1024
_TURNED_AWAY = frozenset({408, 425, 503})
_SUCCESS = range(200, 300)


def judge(
    answer: Answer,
    now: datetime,
    *,
    success: Container[int] = _SUCCESS,
    kept: Iterable[str] = KEPT,
) -> ProviderResponse:
    """Return what `answer` says, by the table above.

    Args:
        answer: It.
        now: What dates are counted from.
        success: The statuses that say that the action was delivered.
        kept: The headers that are told.

    Raises:
        ProviderConnectionError: The receiver cannot serve now.
        RateLimitedError: The receiver takes no more for now.
    """
    status = answer.status
    if status in success:
        return ProviderResponse(ResponseStatus.SUCCESS, _body(answer), _told(answer, kept))
    if status == 429:
        raise RateLimitedError(retry_after=answer.retry_after(now))
    if status in _TURNED_AWAY or status >= 500:
        delivery: Delivery = "none" if status in _TURNED_AWAY else "unknown"
        raise ProviderConnectionError(
            f"the receiver answered {status}",
            delivery=delivery,
            retry_after=answer.retry_after(now),
        )
    return ProviderResponse(ResponseStatus.FAILURE, _body(answer), _told(answer, kept))


def _told(answer: Answer, kept: Iterable[str]) -> dict[str, str]:
    told = {":status": str(answer.status)}
    for name in kept:
        value = answer.headers.get(name)
        if value is not None:
            # Bytes beyond ASCII arrive as lone surrogates, which JSON cannot say.
            told[name] = value.encode("ascii", "replace").decode()[:_MAX_TEXT]
    return told


def _body(answer: Answer) -> Any:
    content, whole = answer.content()
    if whole and content:
        try:
            return decode_json(content)
        except MalformedError:
            pass  # Then it is a text.
    shown: dict[str, Any] = {"status_code": answer.status}
    text = content.decode(errors="replace")
    if text:
        shown["text"] = text[:_MAX_TEXT]
    if not whole or len(text) > _MAX_TEXT:
        shown["truncated"] = True
    return shown
