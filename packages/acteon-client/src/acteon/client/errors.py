"""What the client raises, and nothing else: no exception of an HTTP library gets out.

```
ClientError                     a request was not answered as asked
├── ActeonConnectionError       no answer: refused, cut off, no such host, TLS (ConnectionError)
│   └── ActeonTimeoutError      no answer in time (TimeoutError)
├── HttpError                   an answer that is no success and says no more
│   └── ApiError                one that says why
│       ├── AuthenticationError     401
│       ├── PermissionDeniedError   403
│       ├── NotFoundError           404
│       │   └── AuditDisabledError  the server keeps no audit trail
│       ├── InvalidRequestError     400, 413, 415, 422
│       └── RateLimitedError        429
├── DeserializationError        a success that cannot be read
└── ConfigurationError          the client was made with options that cannot be used
```

All of them can be pickled.
"""

from collections.abc import Callable
from typing import Any

from acteon.core import ActeonError


class ClientError(ActeonError):
    """A request was not answered as asked.

    Attributes:
        message: What is wrong, for people.
        status: The status of the answer, if there was one.
        code: What kind of failure it is, in capitals: the server's word, or one for the status.
        retryable: Whether the same request may succeed later.
        retry_after: Seconds after which to try again, if the server told.
        request_id: The `id` of the action that was dispatched, if it was one.
        body: The body of the answer, if there was one.
    """

    code = "CLIENT_ERROR"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
        body: bytes | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.retry_after = retry_after
        self.request_id = request_id
        self.body = body

    def is_retryable(self) -> bool:
        """Return whether the same request may succeed later."""
        return self.retryable

    def is_connection_error(self) -> bool:
        """Return whether there was no answer."""
        return isinstance(self, ActeonConnectionError)

    def is_timeout(self) -> bool:
        """Return whether there was no answer in time."""
        return isinstance(self, ActeonTimeoutError)

    def is_api_error(self) -> bool:
        """Return whether the server said why."""
        return isinstance(self, ApiError)

    def api_code(self) -> str | None:
        """Return what kind of failure the server called it, if it said why."""
        return self.code if isinstance(self, ApiError) else None

    def __reduce__(self) -> tuple[Callable[..., "ClientError"], tuple[Any, ...]]:
        return _revived, (type(self), self.message, self.__dict__)


def _revived(kind: type[ClientError], message: str, members: dict[str, Any]) -> ClientError:
    error = kind(message)
    error.__dict__.update(members)
    return error


class ActeonConnectionError(ClientError, ConnectionError):
    """There was no answer.

    Attributes:
        sent: Whether the server may have got the request; if not, it has not been carried out.
    """

    code = "CONNECTION"
    retryable = True
    sent = True

    def __str__(self) -> str:
        return f"connection error: {self.message}"


class ActeonTimeoutError(ActeonConnectionError, TimeoutError):
    """There was no answer in time."""

    code = "TIMEOUT"


class HttpError(ClientError):
    """The answer is no success.

    Attributes:
        structured: Whether the body says what is wrong in a form that is known.
    """

    code = "HTTP_ERROR"
    structured = False

    def __str__(self) -> str:
        return f"HTTP {self.status}: {self.message}"


class ApiError(HttpError):
    """The answer is no success, and says why."""

    def __str__(self) -> str:
        return f"API error [{self.code}]: {self.message}"


class AuthenticationError(ApiError):
    """The server wants to know who asks, or does not believe it."""


class PermissionDeniedError(ApiError):
    """Whoever asks may not do that."""


class NotFoundError(ApiError):
    """There is no such thing, or the server does not do that."""


class AuditDisabledError(NotFoundError):
    """The server keeps no audit trail."""


class InvalidRequestError(ApiError):
    """The server cannot read the request, or does not take it."""


class RateLimitedError(ApiError):
    """There were too many requests.

    Attributes:
        limit: The most requests in a window, if the server told.
    """

    limit: int | None = None


class DeserializationError(ClientError):
    """The server did what was asked, and its answer cannot be read."""

    code = "DESERIALIZATION"

    def __str__(self) -> str:
        return f"failed to deserialize response: {self.message}"


class ConfigurationError(ClientError):
    """The client cannot be made with such options; the text says what to change."""

    code = "CONFIGURATION"

    def __str__(self) -> str:
        return f"configuration error: {self.message}"
