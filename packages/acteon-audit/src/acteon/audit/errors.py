"""What audit stores raise."""

from acteon.core import ActeonError


class AuditError(ActeonError):
    """The audit store failed."""

    code = "AUDIT_ERROR"


class AuditStorageError(AuditError):
    """The store could not be reached, or refused.

    Attributes:
        done: How many of the records of the call that failed were erased all the same, as far as
            the store has told.
    """

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(f"storage error: {message}")
        self.done = 0


class AuditQueryError(AuditError):
    """More is asked for than can be given at once; the text says what to ask for instead."""

    code = "AUDIT_QUERY_TOO_LARGE"


class AuditSerializationError(AuditError):
    """A record cannot be put into the store's form, or what it holds is no record."""

    def __init__(self, message: str) -> None:
        super().__init__(f"serialization error: {message}")
