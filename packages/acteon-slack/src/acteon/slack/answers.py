"""What Slack's answers mean.

| answer | result | what is known |
|---|---|---|
| 2xx, `ok: true`, or the text `ok` of a webhook | delivered | delivered |
| 2xx, `ok: false` with `ratelimited`, `rate_limited` | `RateLimitedError` | not delivered |
| … with `service_unavailable`, `team_added_to_org` | `ProviderConnectionError` | not delivered |
| … with `fatal_error`, `internal_error`, `request_timeout` | `ProviderConnectionError` | unknown |
| … with any other error | `ExecutionFailedError` | not delivered |
| 2xx that says neither | `ExecutionFailedError` | unknown |
| 429 | `RateLimitedError` | not delivered |
| 408, 503 | `ProviderConnectionError` | not delivered |
| other 5xx | `ProviderConnectionError` | unknown |
| any other status | `ExecutionFailedError` | not delivered |

Of an `internal_error` and a `fatal_error` Slack's documentation says that some of the operation may
have been done. `chat.postMessage` has no idempotency key, so what is of unknown end is not sent
again.
"""

from datetime import datetime
from typing import Any, Final, cast

from acteon.core import MalformedError, decode_json
from acteon.provider import (
    ExecutionFailedError,
    ProviderConnectionError,
    ProviderError,
    RateLimitedError,
)
from acteon.provider.http import Answer

_RATE: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_NOT_NOW: Final = frozenset({"service_unavailable", "team_added_to_org"})
_MAYBE: Final = frozenset({"fatal_error", "internal_error", "request_timeout"})
_TURNED_AWAY: Final = frozenset({408, 503})
_MAX_TEXT: Final = 100


def judge_api(answer: Answer, now: datetime) -> dict[str, Any]:
    """Return what the Web API says about a call that did what it was to do.

    Args:
        answer: Its answer.
        now: What dates are counted from.

    Raises:
        ProviderError: It did not, or nobody knows; by the table above.
    """
    _check_status(answer, now)
    found = _object(answer)
    if found.get("ok") is True:
        return found
    if found.get("ok") is False:
        error = found.get("error")
        raise _refused(error if isinstance(error, str) else "unknown_error", answer, now)
    raise ExecutionFailedError("the answer is none of Slack's", delivery="unknown")


def judge_webhook(answer: Answer, now: datetime) -> None:
    """Return if an incoming webhook took a message.

    Raises:
        ProviderError: It did not, or nobody knows; by the table above.
    """
    if answer.status in _TURNED_AWAY or answer.status == 429 or answer.status >= 500:
        _check_status(answer, now)
    text = _text(answer)
    if not 200 <= answer.status < 300:
        raise ExecutionFailedError(f"HTTP {answer.status}: {text}".rstrip(": "))
    if text != "ok":
        raise ExecutionFailedError("the answer is none of Slack's", delivery="unknown")


def _check_status(answer: Answer, now: datetime) -> None:
    status = answer.status
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimitedError(retry_after=answer.retry_after(now))
    if status in _TURNED_AWAY or status >= 500:
        raise ProviderConnectionError(
            f"Slack answered {status}",
            delivery="none" if status in _TURNED_AWAY else "unknown",
            retry_after=answer.retry_after(now),
        )
    raise ExecutionFailedError(f"HTTP {status}: {_text(answer)}".rstrip(": "))


def _refused(error: str, answer: Answer, now: datetime) -> ProviderError:
    told = "".join(c if c.isprintable() else " " for c in error)[:_MAX_TEXT]
    if error in _RATE:
        return RateLimitedError(retry_after=answer.retry_after(now))
    if error in _NOT_NOW:
        return ProviderConnectionError(told, delivery="none")
    if error in _MAYBE:
        return ProviderConnectionError(told, delivery="unknown")
    return ExecutionFailedError(told)


def _object(answer: Answer) -> dict[str, Any]:
    content, whole = answer.content()
    try:
        found = decode_json(content) if whole else None
    except MalformedError:
        found = None
    if not isinstance(found, dict):
        raise ExecutionFailedError("the answer is none of Slack's", delivery="unknown")
    return cast("dict[str, Any]", found)


def _text(answer: Answer) -> str:
    content, _ = answer.content()
    text = content.decode(errors="replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:_MAX_TEXT]
