from collections.abc import AsyncIterator

import pytest

from acteon.core import Action
from acteon.provider import Provider
from acteon.provider.testing import Receiver
from acteon.slack import SlackPlugin
from acteon.slack.testing import FakeSlack


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give what answers as it is told, in the place of Slack."""
    async with Receiver() as receiving:
        yield receiving


@pytest.fixture
async def provider(slack: FakeSlack) -> AsyncIterator[Provider]:
    config = slack.config(default_channel="#general")
    async with SlackPlugin.open("slack", config) as opened:
        yield opened


@pytest.fixture
async def webhook(slack: FakeSlack) -> AsyncIterator[Provider]:
    async with SlackPlugin.open("slack", slack.webhook_config()) as opened:
        yield opened


@pytest.fixture
def action() -> Action:
    return Action(
        namespace="ops",
        tenant="t",
        provider="slack",
        action_type="page",
        payload={"text": "Grüße, 世界"},
    )
