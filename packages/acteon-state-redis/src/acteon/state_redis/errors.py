"""From the errors of redis-py to ours."""

import os
import socket
import ssl
from collections.abc import Iterator
from typing import Final

from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    ConnectionError,
    InvalidResponse,
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
)

from acteon.state import (
    StateBackendError,
    StateConnectionError,
    StateError,
    StateSerializationError,
)

DRIVER_ERRORS: Final = (RedisError, RedisClusterException, OSError)
"""What redis-py raises; they have no root in common."""
_REFUSED = ("WRONGPASS", "NOAUTH", "invalid username-password", "invalid password")
_AUTHORITY = "set 'tls_ca_file' to that of the authority"
_LONGEST = 200


def lost(error: Exception) -> bool:
    """Return whether the connection is gone, and with it the answer; nothing was said."""
    return type(error) is ConnectionError or isinstance(error, OSError)


def translated(error: Exception, place: str) -> StateError:
    """Return our error for one of redis-py's, which came from `place`."""
    text = str(error)
    if isinstance(error, MasterNotFoundError):
        return _unknown(text, place)
    if isinstance(error, AuthenticationError) or any(word in text for word in _REFUSED):
        return StateConnectionError(f"{place} refuses the username and password; correct them")
    match error:
        case BusyLoadingError():
            return StateConnectionError(f"{place} is still loading its data")
        case ConnectionError() | OSError():
            return StateConnectionError(f"{place} cannot be reached: {_reason(error)}")
        case TimeoutError():
            return StateConnectionError(f"{place} does not answer in time")
        case MasterDownError():
            return StateConnectionError(f"{place} is a replica that has lost its primary")
        case ReadOnlyError():
            return StateBackendError(f"{place} is a read-only replica; name its primary")
        case InvalidResponse():
            return StateConnectionError(f"{place} does not speak Redis's protocol; correct the url")
        case RedisClusterException() if "Cluster mode is not enabled" in text:
            return StateConnectionError(f"{place} is none; redis:// leads to a single server")
        case RedisClusterException() if "cannot be connected" in text:
            return StateConnectionError(f"{place} cannot be reached: {_reason(error)}")
        case ClusterDownError() | RedisClusterException():
            return StateConnectionError(f"{place} cannot serve: {_line(text)}")
        case OutOfMemoryError():
            return StateBackendError(f"{place} is out of memory; raise its maxmemory")
        case NoPermissionError():
            return StateBackendError(f"{place} does not permit it: {_line(text)}")
        case ResponseError():
            return _answer(text, place)
        case _:
            return StateBackendError(f"{place}: {type(error).__name__}: {_line(text)}")


def answered(text: str, place: str) -> StateError:
    """Return our error for what the server said as part of an answer, such as `WRONGTYPE …`."""
    kind, _, rest = text.partition(" ")
    match kind:
        case "OOM":
            return translated(OutOfMemoryError(rest), place)
        case "NOPERM":
            return translated(NoPermissionError(rest), place)
        case _:
            return _answer(text, place)


def _unknown(text: str, place: str) -> StateError:
    if "Authentic" in text or any(word in text for word in _REFUSED):
        return StateConnectionError(
            f"{place}: they refuse 'sentinel_username' and 'sentinel_password'; correct them"
        )
    return StateConnectionError(f"{place}: no sentinel that answers knows its primary")


def _answer(text: str, place: str) -> StateError:
    if "WRONGTYPE" in text:
        return StateSerializationError("expected a plain string, found another type of Redis")
    if "not an integer" in text or "overflow" in text:
        return StateSerializationError("expected an integer of 64 bits, found something else")
    if "DB index is out of range" in text:
        return StateConnectionError(f"{place} has no database of that number; correct the url")
    return StateBackendError(f"{place}: {_line(text)}")


def _reason(error: BaseException) -> str:
    """Return why the connection failed: redis-py wraps it, with the address and more."""
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return f"its certificate is refused: {cause.verify_message}; {_AUTHORITY}"
            case ssl.SSLError():
                return f"no TLS: {cause.reason or 'the handshake failed'}"
            case socket.gaierror():
                return str(cause.strerror).lower()
            case OSError(errno=int(number)) if number > 0:
                return os.strerror(number).lower()
            case _:
                pass
    return _line(str(error)).rstrip(".").lower() or "the connection was lost"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST]
