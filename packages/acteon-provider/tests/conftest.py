from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action, ManualClock
from acteon.provider.testing import Receiver
from acteon.provider.webhook import WebhookConfig, WebhookProvider

LOOPBACK = ("127.0.0.0/8", "::1/128")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def action() -> Action:
    return Action(
        namespace="shop",
        tenant="tenant-1",
        provider="hook",
        action_type="order_placed",
        payload={"order": 17, "note": "Grüße"},
        metadata={"region": "eu"},
        id="action-1",
        created_at="2025-01-31T13:30:00+01:00",
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class OpenWebhook:
    """Opens webhook providers that may connect to this machine, and closes them in the end."""

    def __init__(self, receiver: Receiver, clock: ManualClock) -> None:
        self._receiver = receiver
        self._clock = clock
        self._opened: list[WebhookProvider] = []

    async def __call__(
        self, *, connect_limit: timedelta = timedelta(seconds=10), **keys: Any
    ) -> WebhookProvider:
        usual: dict[str, Any] = {
            "url": self._receiver.url,
            "allow_networks": LOOPBACK,
            "timeout_seconds": 10.0,
        }
        config = WebhookConfig(**usual | keys)
        provider = WebhookProvider(config, clock=self._clock, connect_limit=connect_limit)
        await provider.__aenter__()
        self._opened.append(provider)
        return provider

    async def close(self) -> None:
        for provider in self._opened:
            await provider.__aexit__(None, None, None)


@pytest.fixture
async def webhook(receiver: Receiver, clock: ManualClock) -> AsyncIterator[OpenWebhook]:
    opener = OpenWebhook(receiver, clock)
    yield opener
    await opener.close()
