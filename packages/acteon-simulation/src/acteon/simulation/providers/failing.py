"""A provider that fails, always or until it recovers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Self

from attrs import define, field

from acteon.core import Action, ProviderResponse
from acteon.provider import (
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderTimeoutError,
    RateLimitedError,
)
from acteon.simulation.providers.recording import RecordingProvider


@define(eq=False)
class FailingProvider(RecordingProvider):
    """Fails as it is told, and keeps what it was called with.

    ```python
    FailingProvider.connection_error("email", "refused").fail_until(2)
    ```

    Attributes:
        error: Returns what its calls, and its health check, raise.
        patience: How long a call takes that fails.
        recovers_after: The number of the last call that fails; None: all do.
    """

    error: Callable[[], ProviderError] = field(kw_only=True)
    patience: timedelta = field(default=timedelta(0), kw_only=True)
    recovers_after: int | None = field(default=None, kw_only=True)

    @classmethod
    def execution_failed(cls, name: str, message: str, **given: Any) -> Self:
        """Return a provider whose receiver refuses for good."""
        return cls(name, error=lambda: ExecutionFailedError(message), **given)

    @classmethod
    def timeout(cls, name: str, limit: timedelta, **given: Any) -> Self:
        """Return a provider whose calls take `limit`, and then fail for that."""
        return cls(name, error=lambda: ProviderTimeoutError(limit), patience=limit, **given)

    @classmethod
    def connection_error(cls, name: str, message: str, **given: Any) -> Self:
        """Return a provider whose receiver cannot be reached."""
        return cls(name, error=lambda: ProviderConnectionError(message), **given)

    @classmethod
    def rate_limited(cls, name: str, retry_after: timedelta | None = None, **given: Any) -> Self:
        """Return a provider whose receiver takes no more for now."""
        return cls(name, error=lambda: RateLimitedError(retry_after=retry_after), **given)

    @classmethod
    def configuration(cls, name: str, message: str, **given: Any) -> Self:
        """Return a provider that is set up wrongly."""
        return cls(name, error=lambda: ProviderConfigurationError(message), **given)

    def fail_until(self, count: int) -> Self:
        """Have the first `count` calls fail, and the others succeed."""
        if count < 0:
            raise ValueError(f"fail_until: {count}: give 0 or more")
        self.recovers_after = count
        return self

    def reset(self) -> None:
        """Forget all calls: those that come fail again."""
        self.clear()

    async def health_check(self) -> None:
        """Raise the error, until it has recovered."""
        if self.recovers_after is None or self._log.ended < self.recovers_after:
            raise self.error()

    async def _response(self, action: Action, number: int) -> ProviderResponse:
        if self.recovers_after is None or number <= self.recovers_after:
            if self.patience:
                await self.clock.sleep(self.patience)
            raise self.error()
        return await super()._response(action, number)

    def _body(self, action: Action) -> Any:
        return {
            "provider": self.name,
            "action_id": action.id,
            "recovered_after": self.recovers_after,
        }
