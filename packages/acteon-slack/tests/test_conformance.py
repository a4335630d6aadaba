"""It does what all providers do, with a token and by a webhook."""

from collections.abc import AsyncIterator

import pytest

from acteon.provider import Provider
from acteon.provider.testing import ProviderConformance
from acteon.slack import SlackConfig, SlackPlugin

NOWHERE = "http://127.0.0.1:9"
HERE = ("127.0.0.0/8",)


class TestSlack(ProviderConformance):
    @pytest.fixture
    def plugin(self) -> type[SlackPlugin]:
        return SlackPlugin

    @pytest.fixture
    def provider(self, provider: Provider) -> Provider:
        return provider

    @pytest.fixture
    async def failing_provider(self) -> AsyncIterator[Provider]:
        config = SlackConfig(
            token="t", default_channel="#c", api_base_url=NOWHERE, allow_networks=HERE
        )
        async with SlackPlugin.open("slack", config) as opened:
            yield opened


class TestWebhook(ProviderConformance):
    @pytest.fixture
    def provider(self, webhook: Provider) -> Provider:
        return webhook

    @pytest.fixture
    async def failing_provider(self) -> AsyncIterator[Provider]:
        config = SlackConfig(webhook_url=NOWHERE, allow_networks=HERE)
        async with SlackPlugin.open("slack", config) as opened:
            yield opened
