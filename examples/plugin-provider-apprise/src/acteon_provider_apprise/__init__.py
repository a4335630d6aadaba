"""Delivers actions of Acteon to the destinations of Apprise: chats, mails, telephones and more."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

from anyio import to_thread
from apprise import Apprise, AppriseResult, NotifyType
from attrs import field, frozen
from attrs.validators import ge, min_len

from acteon.core import Action, ConfigError, ProviderResponse, ResponseStatus
from acteon.provider import (
    Provider,
    ProviderConnectionError,
    ProviderPlugin,
    ProviderSerializationError,
)

KINDS = tuple(each.value for each in NotifyType)


@frozen(kw_only=True)
class AppriseConfig:
    """The keys of a `[[providers]]` of type `apprise`.

    Attributes:
        urls: The destinations, as Apprise writes them; they hold passwords and tokens.
        timeout_seconds: The most that one message may take, in whole seconds.
    """

    urls: tuple[str, ...] = field(repr=False, validator=min_len(1))
    timeout_seconds: int = field(default=20, validator=ge(1))


@frozen
class AppriseProvider:
    """Sends the `title` and `body` of a payload, in the colours of its `type`."""

    destinations: Apprise
    limit: timedelta

    @property
    def idempotent(self) -> bool:
        return False

    async def execute(self, action: Action) -> ProviderResponse:
        message = _message(action.payload)
        seconds = int(self.limit.total_seconds())
        result: AppriseResult = await self.destinations.async_notify(**message, timeout=seconds)
        count, delivered = len(result.results), result.success_count
        if not delivered:
            # Apprise does not say how far a message came that failed.
            raise ProviderConnectionError(f"none of {count} took it", delivery="unknown")
        status = ResponseStatus.SUCCESS if delivered == count else ResponseStatus.PARTIAL
        return ProviderResponse(status, {"destinations": count, "delivered": delivered})

    async def health_check(self) -> None:
        return  # There is nothing that all of its destinations could be asked.


def _message(payload: Any) -> dict[str, str]:
    found = payload if isinstance(payload, dict) else {}
    title, body = found.get("title", ""), found.get("body", found.get("text"))
    kind = found.get("type", NotifyType.INFO.value)
    if not (isinstance(body, str) and body and isinstance(title, str)):
        raise ProviderSerializationError("the payload needs a text 'body', and may have a 'title'")
    if kind not in KINDS:
        raise ProviderSerializationError(f"'type' must be one of {', '.join(KINDS)}")
    return {"title": title, "body": body, "notify_type": kind}


class ApprisePlugin(ProviderPlugin):
    """Opens the destinations of a configuration."""

    Config = AppriseConfig
    kit = "1"

    @classmethod
    def open(cls, name: str, config: AppriseConfig) -> AbstractAsyncContextManager[Provider]:
        return _opened(config)


@asynccontextmanager
async def _opened(config: AppriseConfig) -> AsyncGenerator[Provider]:
    # In a thread: the first time Apprise imports all that it knows, which takes seconds.
    destinations = await to_thread.run_sync(_destinations, config)
    yield AppriseProvider(destinations, timedelta(seconds=config.timeout_seconds))


def _destinations(config: AppriseConfig) -> Apprise:
    found = Apprise()
    for number, url in enumerate(config.urls):
        if not found.add(url):
            raise ConfigError(f"urls[{number}] is no destination that Apprise can use")
    return found
