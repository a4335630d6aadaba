"""From the driver's errors to ours."""

# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from socket import gaierror
from ssl import SSLCertVerificationError, SSLError
from typing import Final

from clickhouse_driver.errors import (
    Error,
    NetworkError,
    ServerException,
    SocketTimeoutError,
    TypeMismatchError,
)

from acteon.state import StateBackendError, StateConnectionError, StateError

CALL_ERRORS: Final[tuple[type[Exception], ...]] = (Error, EOFError, OSError)
"""What a call of the driver may raise."""

_LONGEST: Final = 300
_CREDENTIALS: Final = frozenset({192, 193, 194, 516})
_MISSING_DATABASE: Final = 81
_BUSY: Final = frozenset({202, 203, 209, 210, 242, 243, 252, 279, 319, 394, 425})
"""Codes of a server that is of no use for now: crowded, out of memory or disk, shutting down,
read-only."""


def is_outage(error: Exception) -> bool:
    """Return whether the server, or the way to it, is at fault."""
    if isinstance(error, ServerException):
        return _code(error) in _BUSY
    return not isinstance(error, TypeMismatchError)


def is_lost(error: Exception) -> bool:
    """Return whether the connection ended before an answer came."""
    if isinstance(error, TimeoutError | SocketTimeoutError):
        return False
    return isinstance(error, EOFError | OSError | NetworkError)


def translated(error: Exception, where: str) -> StateError:
    """Return what is raised in place of the driver's `error`."""
    text = f"clickhouse at {where}: {said(error)}"
    if isinstance(error, TypeMismatchError) or not is_outage(error):
        return StateBackendError(text)
    return StateConnectionError(text)


def said(error: Exception) -> str:
    """Return what `error` says, in one line."""
    match error:
        case ServerException() if _code(error) in _CREDENTIALS:
            text = f"user and password were refused (code {_code(error)})"
        case ServerException() if _code(error) == _MISSING_DATABASE:
            text = "the database does not exist; make it, or name another one"
        case ServerException():
            text = str(error).partition("Stack trace:")[0]
            text = f"{text.replace('DB::Exception: ', '')} (code {_code(error)})"
        case SSLCertVerificationError():
            text = f"its certificate cannot be trusted: {error.verify_message}"
        case SSLError():
            text = f"TLS failed: {error.reason}"
        case TimeoutError() | SocketTimeoutError():
            text = "no answer in time"
        case NetworkError() | ConnectionRefusedError() | gaierror():
            text = "it cannot be reached"
        case EOFError() | OSError():
            text = "the connection was closed before an answer came"
        case _:
            text = f"the call failed ({type(error).__name__})"
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _code(error: Exception) -> int:
    return int(getattr(error, "code", 0) or 0)
