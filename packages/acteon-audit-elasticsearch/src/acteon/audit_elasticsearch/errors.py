"""From the client's errors to ours."""

from typing import Any, Final

from elasticsearch import (
    ApiError,
    ConnectionTimeout,
    SerializationError,
    SSLError,
    TransportError,
    UnsupportedProductError,
)

from acteon.audit import AuditError, AuditSerializationError, AuditStorageError

CALL_ERRORS: Final = (ApiError, TransportError)
"""What a call of the client may raise."""

_LONGEST: Final = 300
_CREDENTIALS: Final = frozenset({401, 403})
_OTHER_VERSION: Final = "media_type_header_exception"
_TOO_LARGE: Final = 413
_NO_MEMORY: Final = "circuit_breaking_exception"


class MissingIndexError(AuditStorageError):
    """There is no index: nobody has made it yet, or somebody has removed it."""


class RefusedError(AuditStorageError):
    """The server does not do this for us, and would not do so a moment later."""


class TooLargeError(AuditStorageError):
    """The answer would be larger than the server, or what is before it, gives at once."""


def is_outage(error: Exception) -> bool:
    """Return whether the server, or the way to it, is at fault."""
    return not isinstance(error, ApiError) or error.status_code == 429 or error.status_code >= 500


def translated(error: Exception, where: str, *, writing: bool = False) -> AuditError:
    """Return what is raised in place of the client's `error`.

    Args:
        error: What the client raised.
        where: The nodes that were asked.
        writing: Whether records were sent, which may be what is wrong.
    """
    text = f"elasticsearch at {where}: {said(error)}"
    if not writing and isinstance(error, ApiError) and _is_too_large(error):
        return TooLargeError(text)
    if not isinstance(error, ApiError) or is_outage(error):
        refused = isinstance(error, UnsupportedProductError)
        return RefusedError(text) if refused else AuditStorageError(text)
    if error.status_code == 404:
        return MissingIndexError(text)
    if writing and error.status_code in {400, _TOO_LARGE}:
        return AuditSerializationError(text)
    return RefusedError(text)


def _is_too_large(error: ApiError) -> bool:
    """Return whether less may be asked for; of a search, what each shard says is in the body."""
    if error.status_code == 429:
        return _NO_MEMORY in str(error.body)
    return error.status_code == _TOO_LARGE


def said(error: Exception) -> str:
    """Return what `error` says, in one line."""
    match error:
        case UnsupportedProductError():
            text = "what answers is no Elasticsearch of version 8 or newer"
        case ApiError() if error.status_code == 401:
            text = "the credentials were refused (401)"
        case ApiError() if error.status_code == 406 or _OTHER_VERSION in str(error.message):
            text = "it does not speak to clients of version 8: use Elasticsearch 8 or 9"
        case ApiError():
            text = f"{reason(error.body)} ({error.status_code})"
        case ConnectionTimeout():
            text = "no answer in time"
        case SSLError():
            text = f"TLS failed: {error.message}"
        case SerializationError():
            text = "its answer is not to be understood"
        case TransportError():
            text = "it cannot be reached, or closed the connection"
        case _:
            text = f"the call failed ({type(error).__name__})"
    return line(text)


def reason(body: Any) -> str:
    """Return why a request, or an item of a bulk, failed, as the server tells it."""
    match body:
        case {"error": {"root_cause": [{"type": str(kind), "reason": str(why)}, *_]}}:
            return f"{kind}: {why}"
        case {"error": {"type": str(kind), "reason": str(why)}}:
            return f"{kind}: {why}"
        case {"error": {"type": str(kind)}}:
            return kind
        case _:
            return "the request was refused"


def line(text: str) -> str:
    """Return `text` as one line of bearable length."""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
