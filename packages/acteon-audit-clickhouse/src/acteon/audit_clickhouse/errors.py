"""From the errors of the connections, which the state backend has too, to those of audit stores."""

from collections.abc import Generator
from contextlib import contextmanager

from acteon.audit import AuditSerializationError, AuditStorageError
from acteon.core import ConfigError
from acteon.state import StateBackendError, StateError, StateSerializationError


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
