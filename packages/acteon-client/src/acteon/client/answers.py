"""Answers of a server, and what is wrong with those that are no success.

Servers of this kind have told their errors in several ways, so all of them are understood:
`{"error": text}`, `{"code", "message", "retryable"}`, both in one, `{"error": {…}}`, a list with
one of these, plain text, and nothing at all.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final, cast

import msgspec
from attrs import field, frozen

from acteon.client.errors import (
    ApiError,
    AuditDisabledError,
    AuthenticationError,
    HttpError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitedError,
)

_KINDS: Final[Mapping[int, type[ApiError]]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    413: InvalidRequestError,
    415: InvalidRequestError,
    422: InvalidRequestError,
    429: RateLimitedError,
}
_CODES: Final[Mapping[int, str]] = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    408: "TIMEOUT",
    413: "INVALID_REQUEST",
    415: "INVALID_REQUEST",
    422: "INVALID_REQUEST",
    429: "RATE_LIMITED",
}
_AUDIT_DISABLED: Final = "audit is not enabled"
_LONGEST: Final = 1000
"""Characters of a text that is no error of ours, such as a proxy's page."""


@frozen
class Answer:
    """What came back.

    Attributes:
        status: The status.
        headers: Header fields by their names in lower case.
        body: The body.
    """

    status: int
    headers: Mapping[str, str] = field(factory=dict[str, str])
    body: bytes = b""

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def line(self) -> str:
        """The status with its name: `503 Service Unavailable`."""
        try:
            return f"{self.status} {HTTPStatus(self.status).phrase}"
        except ValueError:
            return str(self.status)


@frozen
class Said:
    """What the body of an answer says about an error.

    Attributes:
        message: What is wrong; empty if it does not say.
        code: What kind of failure, if it says.
        retryable: Whether to try again, if it says.
        told: All that it says.
    """

    message: str
    code: str | None = None
    retryable: bool | None = None
    told: Mapping[str, Any] = field(factory=dict[str, Any])


def error_of(answer: Answer, what: str, request_id: str | None) -> HttpError:
    """Return the error that `answer` tells of.

    Args:
        answer: What is no success.
        what: What was asked for, for an answer that does not say what is wrong.
        request_id: The `id` of the action that was dispatched, if it was one.
    """
    said = _said(answer.body)
    status = answer.status
    structured = bool(said.told)
    kind: type[HttpError] = _KINDS.get(status, ApiError if structured else HttpError)
    if status == 404 and said.message == _AUDIT_DISABLED:
        kind = AuditDisabledError
    error = kind(
        said.message or _unsaid(answer, what),
        status=status,
        code=said.code or code_of(status),
        retryable=_by_status(status) if said.retryable is None else said.retryable,
        retry_after=_retry_after(answer, said),
        request_id=request_id,
        body=answer.body,
    )
    error.structured = structured
    if isinstance(error, RateLimitedError):
        limit = said.told.get("limit", answer.headers.get("x-ratelimit-limit"))
        error.limit = int(limit) if str(limit).isdecimal() else None
    return error


def code_of(status: int) -> str:
    """Return what kind of failure `status` stands for."""
    known = _CODES.get(status)
    if known is not None:
        return known
    return "SERVER_ERROR" if status >= 500 else "CLIENT_ERROR"


def read_error(value: object) -> Said | None:
    """Return what `value`, a decoded body or an item of a batch, says; None if it is no error."""
    if isinstance(value, list):
        items = cast("list[object]", value)
        return read_error(items[0]) if len(items) == 1 else None
    if not isinstance(value, dict):
        return None
    told = cast("dict[str, Any]", value)
    error = told.get("error")
    if isinstance(error, dict):
        return read_error(cast("object", error))
    message = next((one for one in (error, told.get("message")) if isinstance(one, str)), None)
    code = told.get("code")
    if message is None and not isinstance(code, str):
        return None
    retryable = told.get("retryable")
    return Said(
        message or "",
        code if isinstance(code, str) else None,
        retryable if isinstance(retryable, bool) else None,
        told,
    )


def _said(body: bytes) -> Said:
    try:
        found = read_error(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        found = None
    if found is not None:
        return found
    text = " ".join(body[: 4 * _LONGEST].decode(errors="replace").split())
    return Said(text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…")


def _unsaid(answer: Answer, what: str) -> str:
    if 300 <= answer.status < 400:
        where = answer.headers.get("location", "elsewhere")
        return f"the server points to {where}: no redirect is followed, give that as base_url"
    hint = "; is base_url that of an Acteon server?" if answer.status in (404, 405) else ""
    return f"Failed to {what}: {answer.line}{hint}"


def _by_status(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _retry_after(answer: Answer, said: Said) -> float | None:
    told = answer.headers.get("retry-after")
    if told is None:
        seconds = said.told.get("retry_after")
        return float(seconds) if isinstance(seconds, int | float) and seconds >= 0 else None
    if told.strip().isdecimal():
        return float(told)
    try:
        instant = parsedate_to_datetime(told)
    except ValueError:
        return None
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return max(0.0, (instant - datetime.now(UTC)).total_seconds())
