"""How a delivery fails.

| error | `code` | text | retryable |
|---|---|---|---|
| ProviderNotFoundError | `NOT_FOUND` | `provider not found: …` | no |
| ExecutionFailedError | `EXECUTION_FAILED` | `execution failed: …` | no |
| ProviderTimeoutError | `TIMEOUT` | `timeout after 30s` | yes |
| ProviderConnectionError | `CONNECTION` | `connection error: …` | yes |
| ProviderConfigurationError | `CONFIGURATION` | `invalid configuration: …` | no |
| RateLimitedError | `RATE_LIMITED` | `rate limited` | yes |
| ProviderSerializationError | `SERIALIZATION` | `serialization error: …` | no |
"""

from datetime import timedelta
from typing import ClassVar, Literal

from acteon.core import ActeonError, duration_text

Delivery = Literal["none", "unknown"]
"""What is known of a failed call: certainly nothing was delivered, or nobody knows."""

MAX_MESSAGE = 256


class ProviderError(ActeonError):
    """A call to a provider failed.

    Texts reach callers and the audit trail: they hold no secrets and no URLs with credentials
    or query strings, and are cut to 256 characters.

    Attributes:
        delivery: Whether something may have been delivered all the same.
        retry_after: How long the receiver asked to be left alone, if it did.
    """

    code = "EXECUTION_FAILED"
    prefix: ClassVar[str] = "execution failed: "

    def __init__(
        self,
        message: str = "",
        *,
        delivery: Delivery = "none",
        retry_after: timedelta | None = None,
    ) -> None:
        # Where a text was cut is where its end is: those who hide secrets look for halves there.
        super().__init__(f"{self.prefix}{message}"[:MAX_MESSAGE])
        self.delivery: Delivery = delivery
        self.retry_after = retry_after


class ProviderNotFoundError(ProviderError):
    """What the provider was to hand the action to does not exist."""

    code = "NOT_FOUND"
    prefix = "provider not found: "


class ExecutionFailedError(ProviderError):
    """The receiver refused for good, or the provider itself failed."""


class ProviderTimeoutError(ProviderError):
    """The call took too long; `delivery` is `"unknown"` unless said otherwise."""

    code = "TIMEOUT"
    prefix = "timeout after "
    retryable = True

    def __init__(self, limit: timedelta, *, delivery: Delivery = "unknown") -> None:
        super().__init__(duration_text(limit), delivery=delivery)


class ProviderConnectionError(ProviderError):
    """The receiver could not be reached, went away, or said that it cannot serve now."""

    code = "CONNECTION"
    prefix = "connection error: "
    retryable = True


class ProviderConfigurationError(ProviderError):
    """The provider is set up wrongly, as by credentials that the receiver refuses."""

    code = "CONFIGURATION"
    prefix = "invalid configuration: "


class RateLimitedError(ProviderError):
    """The receiver takes no more for now."""

    code = "RATE_LIMITED"
    prefix = "rate limited"
    retryable = True

    def __init__(self, *, retry_after: timedelta | None = None) -> None:
        super().__init__(retry_after=retry_after)


class ProviderSerializationError(ProviderError):
    """The action cannot be put into the receiver's form."""

    code = "SERIALIZATION"
    prefix = "serialization error: "
