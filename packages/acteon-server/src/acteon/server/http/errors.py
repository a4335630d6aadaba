"""How requests fail, and what their senders are told."""

from collections.abc import Mapping
from typing import Final

from attrs import frozen
from msgspec import UNSET

from acteon.audit import AuditQueryError
from acteon.core import ActeonError
from acteon.gateway import (
    DrainingError,
    InProgressError,
    NotReplayableError,
    ProviderUnknownError,
    RuleNotFoundError,
)
from acteon.server.auth import ForbiddenError, UnauthorizedError, UnavailableError
from acteon.server.http.shapes import ErrorResponse, RateLimitedResponse
from acteon.server.ratelimit import RateLimitedError

_CODES: Final[Mapping[int, str]] = {
    400: "INVALID_REQUEST",
    401: "UNAUTHORIZED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    408: "REQUEST_TIMEOUT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "INVALID_BODY",
}


class RequestError(ActeonError):
    """The request cannot be answered as asked; its sender is told the text.

    Attributes:
        status: The status of the answer.
        body: The body of the answer, where it is not to be the usual object.
    """

    def __init__(self, status: int, text: str, *, body: object | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.retryable = status == 408
        self.body = body


class ClientGoneError(Exception):
    """The client went away before it had sent its request."""


@frozen
class Failure:
    """What is answered to a request that failed.

    Attributes:
        status: The status.
        body: What the body says.
        retry_after: When to ask again, in seconds, if that is known.
    """

    status: int
    body: object
    retry_after: int | None = None


def failure_of(error: ActeonError) -> Failure:
    """Return what the sender of a request is told that ended in `error`."""
    said = error_response(error)
    match error:
        case RequestError():
            return Failure(error.status, said if error.body is None else error.body)
        case AuditQueryError():
            return Failure(400, said)
        case UnauthorizedError():
            return Failure(401, said)
        case ForbiddenError():
            return Failure(403, said)
        case RateLimitedError():
            return Failure(429, _rate_limited(error), error.retry_after)
        case InProgressError():
            return Failure(503, said, int(error.retry_after.total_seconds()))
        case DrainingError() | UnavailableError():
            return Failure(503, said)
        case RuleNotFoundError() | ProviderUnknownError():
            return Failure(404, said)
        case NotReplayableError():
            return Failure(409, said)
        case _:
            return Failure(500, said)


def error_response(error: ActeonError) -> ErrorResponse:
    """Return `error` as answers have it."""
    text = str(error)
    code = _CODES.get(error.status, error.code) if isinstance(error, RequestError) else error.code
    return ErrorResponse(error=text, code=code, message=text, retryable=error.retryable)


def _rate_limited(error: RateLimitedError) -> RateLimitedResponse:
    return RateLimitedResponse(
        error=str(error),
        code=error.code,
        message=str(error),
        retryable=error.retryable,
        retry_after=error.retry_after,
        limit=UNSET if error.limit is None else error.limit,
    )


INTERNAL: Final = Failure(
    500,
    ErrorResponse(
        error="internal error", code="INTERNAL", message="internal error", retryable=False
    ),
)
"""For what nobody foresaw; what it was is in the log and nowhere else."""
