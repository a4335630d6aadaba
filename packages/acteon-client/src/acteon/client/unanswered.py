"""Why there is no answer, in a line for people, whichever library found it out."""

import os
import socket
import ssl

from acteon.client.errors import ActeonConnectionError, ActeonTimeoutError
from acteon.client.options import Options


def late(options: Options, cause: BaseException, *, sent: bool) -> ActeonTimeoutError:
    """Return the error for an answer that does not come in time."""
    doing = "no answer" if sent else "no connection"
    error = ActeonTimeoutError(f"{options.base_url}: {doing} within {options.timeout:g} s")
    error.sent, error.__cause__ = sent, cause
    return error


def unreachable(options: Options, cause: BaseException, *, sent: bool) -> ActeonConnectionError:
    """Return the error for a server that is not there, or hung up."""
    error = ActeonConnectionError(f"{options.base_url}: {_reason(cause)}")
    error.sent, error.__cause__ = sent, cause
    return error


def _reason(error: BaseException) -> str:
    """Return the innermost reason: what the system or the server said."""
    while True:
        below = error.__cause__ or next(
            (each for each in error.args if isinstance(each, BaseException)), None
        )
        if below is None:
            break
        error = below
    if isinstance(error, OSError):
        # The numbers of the resolver and of TLS are their own.
        if error.errno and not isinstance(error, socket.gaierror | ssl.SSLError):
            return os.strerror(error.errno)
        if error.strerror:
            return error.strerror
    return " ".join(str(error).split()) or type(error).__name__
