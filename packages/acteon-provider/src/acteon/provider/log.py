"""The log provider: writes that there was an action, and delivers nothing."""

import logging
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from attrs import frozen

from acteon.core import Action, ProviderResponse
from acteon.provider.provider import Provider, ProviderPlugin

log = logging.getLogger(__name__)


@frozen
class LogProvider:
    """Logs one line an action, its names and ids only, and says that this worked.

    Attributes:
        name: What the configuration calls it; part of the answer.
    """

    name: str

    @property
    def idempotent(self) -> bool:
        return True

    async def execute(self, action: Action) -> ProviderResponse:
        if log.isEnabledFor(logging.INFO):
            log.info(
                "action delivered to the log",
                extra={
                    "acteon.provider": self.name,
                    "acteon.action_id": action.id,
                    "acteon.namespace": action.namespace,
                    "acteon.tenant": action.tenant,
                    "acteon.action_type": action.action_type,
                },
            )
        return ProviderResponse(body={"provider": self.name, "logged": True})

    async def health_check(self) -> None:
        return


@frozen
class LogConfig:
    """The keys of a `[[providers]]` of type `log`: none."""


class LogPlugin(ProviderPlugin):
    """Opens log providers."""

    Config = LogConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: LogConfig) -> AbstractAsyncContextManager[Provider]:
        return _open(name)


@asynccontextmanager
async def _open(name: str) -> AsyncGenerator[Provider]:
    yield LogProvider(name)
