"""From the errors of the connections, which the state backend has too, to those of audit stores."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import psycopg

from acteon.audit import AuditSerializationError, AuditStorageError
from acteon.state import StateError, StateSerializationError
from acteon.state_postgres.errors import line

_UNSTORABLE: Final = ("22", "54")
"""SQLSTATEs, by how they begin, of values that are none of their type, or too much of it."""


@contextmanager
def translating() -> Generator[None]:
    """Raise what audit stores raise in place of what connections do."""
    try:
        yield
    except StateError as error:
        # Ours begins with what kind of error it is, as theirs does.
        text = str(error).partition(": ")[2]
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and (cause.sqlstate or "").startswith(_UNSTORABLE):
            # What PostgreSQL quotes may be anything that somebody sent.
            reason = line(cause).partition(': "')[0]
            raise AuditSerializationError(f"postgres cannot keep it: {reason}") from error
        if isinstance(error, StateSerializationError):
            raise AuditSerializationError(text) from error
        raise AuditStorageError(text) from error
