"""From the errors of the connections, which the state backend has too, to those of audit stores."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from acteon.audit import AuditQueryError, AuditSerializationError, AuditStorageError
from acteon.core import ConfigError
from acteon.state import StateBackendError, StateError, StateSerializationError

_TOO_HEAVY: Final = frozenset({158, 159, 160, 241, 307, 396})
"""Codes of a query that takes more time, memory or rows than it may; others may be fine."""


@contextmanager
def translating() -> Generator[None]:
    """Raise what audit stores raise in place of what connections do."""
    try:
        yield
    except StateSerializationError as error:
        raise AuditSerializationError(said(error)) from error
    except StateError as error:
        raise AuditStorageError(said(error)) from error


@contextmanager
def reading() -> Generator[None]:
    """The same, for a query: that one is too heavy does not mean that the server is away."""
    try:
        with translating():
            yield
    except AuditStorageError as error:
        if isinstance(error.__cause__, StateError) and code_of(error.__cause__) in _TOO_HEAVY:
            raise AuditQueryError(
                f"{said(error)}; ask for less: a shorter time, or with more filters"
            ) from error
        raise


@contextmanager
def opening() -> Generator[None]:
    """The same while the store is opened: what the server refuses then was configured wrong."""
    try:
        with translating():
            yield
    except AuditStorageError as error:
        if isinstance(error.__cause__, StateBackendError):
            raise ConfigError(said(error)) from error
        raise


def said(error: StateError | AuditStorageError) -> str:
    """Return what `error` says after the name of its kind."""
    return str(error).partition(": ")[2]


def code_of(error: StateError) -> int:
    """Return the server's number of the failure; 0 if it was not the server's."""
    return int(getattr(error.__cause__, "code", 0) or 0)
