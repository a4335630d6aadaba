"""What state stores and locks raise."""

from datetime import timedelta

from acteon.core import ActeonError, duration_text


class StateError(ActeonError):
    """The state store or a lock failed; whether a write took place is unknown."""

    code = "STATE_ERROR"
    retryable = True


class StateConnectionError(StateError):
    """The store could not be reached."""

    def __init__(self, message: str) -> None:
        super().__init__(f"connection error: {message}")


class StateBackendError(StateError):
    """The store refused or failed."""

    def __init__(self, message: str) -> None:
        super().__init__(f"backend error: {message}")


class StateSerializationError(StateError):
    """An entry holds something else than it should, such as a counter that is no number."""

    retryable = False

    def __init__(self, message: str) -> None:
        super().__init__(f"serialization error: {message}")


class StateTimeoutError(StateError):
    """The patience of the caller ended first."""

    def __init__(self, patience: timedelta) -> None:
        super().__init__(f"operation timed out after {duration_text(patience)}")
        self.patience = patience
