"""How a call ends that is not made."""

from datetime import timedelta

from acteon.core import duration_text
from acteon.provider import ProviderError


class CircuitOpenError(ProviderError):
    """The provider failed too often of late and is left alone."""

    code = "CIRCUIT_OPEN"
    prefix = "circuit open: "
    retryable = True


class ProviderBusyError(ProviderError):
    """All calls that the provider may have at one time are under way, and none ended in time."""

    code = "PROVIDER_BUSY"
    prefix = "provider busy: "
    retryable = True

    def __init__(self, limit: int, waited: timedelta) -> None:
        calls = "1 call is" if limit == 1 else f"{limit} calls are"
        super().__init__(f"{calls} under way, and none ended within {duration_text(waited)}")
