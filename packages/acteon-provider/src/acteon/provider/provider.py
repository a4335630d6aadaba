"""The interfaces of the authors of providers: a provider, and the plugin that opens it."""

from abc import ABC, abstractmethod
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Protocol

from acteon.core import Action, ProviderResponse


class Provider(Protocol):
    """Delivers actions; shared by all concurrent dispatches.

    Attributes:
        idempotent: Whether delivering one action twice does no more than delivering it once, so
            that a call that ended without an answer may be repeated.
    """

    @property
    def idempotent(self) -> bool: ...

    async def execute(self, action: Action) -> ProviderResponse:
        """Deliver `action`; called once for every attempt, and cancelled when its time is over.

        Raises:
            ProviderError: It was not delivered, or (`delivery="unknown"`) nobody knows. Any other
                exception counts as an `ExecutionFailedError` whose delivery is unknown.
        """
        ...

    async def health_check(self) -> None:
        """Return if a delivery would have a chance.

        Raises:
            ProviderError: It would not.
        """
        ...


class ProviderPlugin(ABC):
    """What a package registers in the entry-point group `acteon.providers`, under its type's name.

    Attributes:
        Config: An attrs class of the keys of `[[providers]]`, without those that every provider
            has: `name`, `type`, `idempotent`, `limits` and `circuit_breaker`.
        kit: The version of the conformance kit (`PROVIDER_KIT` of `acteon.provider.testing`) that
            its providers passed; None: it does not say.
    """

    Config: ClassVar[type[Any]]
    kit: ClassVar[str | None] = None

    @classmethod
    @abstractmethod
    def open(cls, name: str, config: Any) -> AbstractAsyncContextManager[Provider]:
        """Return what opens a provider for `config`, an instance of `Config`, and closes it.

        Args:
            name: What the configuration calls it; for texts and logs.
            config: Its configuration.

        Raises:
            ConfigError: On entering: the configuration cannot be used.
        """
