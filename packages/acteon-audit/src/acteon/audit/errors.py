"""What audit stores raise."""

from acteon.core import ActeonError


class AuditError(ActeonError):
    """The audit store failed."""

    code = "AUDIT_ERROR"


class AuditStorageError(AuditError):
    """The store could not be reached, or refused."""

    retryable = True

    def __init__(self, message: str) -> None:
        super().__init__(f"storage error: {message}")


class AuditSerializationError(AuditError):
    """A record cannot be put into the store's form, or what it holds is no record."""

    def __init__(self, message: str) -> None:
        super().__init__(f"serialization error: {message}")
