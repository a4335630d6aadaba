"""From the driver's errors to ours."""

import re
from typing import Final

import psycopg
from psycopg import errors

from acteon.state import (
    StateBackendError,
    StateConnectionError,
    StateError,
    StateSerializationError,
)

_LONGEST: Final = 300
_WHERE: Final = re.compile(r"connection failed: (connection to server .* failed: )?")
_NOT_OURS: Final = (errors.InvalidTextRepresentation, errors.NumericValueOutOfRange)
"""What casting the value of an entry to a number raises."""
_OUTAGES: Final = ("08", "25006", "53", "57P", "58")
"""SQLSTATEs, by how they begin, with which a server says that it is of no use for now: lost,
read-only, without memory or disk or connections, shutting down, failing."""
_CROWDED: Final = ("too many clients", "connection slots are reserved", "too many connections")
"""What a server says that has no connection left. No SQLSTATE comes with a refused connection."""


class LateError(StateConnectionError):
    """The server did not do what was awaited in time."""


class AgainError(Exception):
    """Another transaction came first; this one changed nothing and is to be made again."""


def translated(error: psycopg.Error | UnicodeError, where: str) -> StateError | AgainError:
    """Return what is raised in place of the driver's `error`."""
    if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected):
        return AgainError()
    if isinstance(error, _NOT_OURS):
        # What it says would show what stands there.
        return StateSerializationError("expected a whole number of 64 bits, found something else")
    if isinstance(error, UnicodeError) or _is_refused_text(error):
        return StateSerializationError(
            "expected a UTF-8 text without NUL characters, found something else"
        )
    text = f"postgres at {where}: {line(error)}"
    if error.sqlstate is None or error.sqlstate.startswith(("08", "57P")):
        return StateConnectionError(text)
    return StateBackendError(text)


def is_outage(error: psycopg.Error) -> bool:
    """Return whether the server, or the way to it, is at fault, and the connection of no use."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate.startswith(_OUTAGES)


def is_crowded(error: psycopg.Error) -> bool:
    """Return whether a connection was refused for there being too many."""
    return any(text in str(error) for text in _CROWDED)


def line(error: psycopg.Error) -> str:
    """Return what `error` says, in one line."""
    text = error.diag.message_primary or str(error).partition("\n")[0]
    # Of what libpq says about a connection that it could not make, the end is the reason.
    text = " ".join(_WHERE.sub("", text).rpartition("FATAL:")[2].split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _is_refused_text(error: psycopg.Error) -> bool:
    """Return whether the driver refused a parameter before anything was sent."""
    return error.sqlstate is None and isinstance(error, psycopg.DataError)
