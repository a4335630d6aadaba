"""What every provider must do, as tests."""

import asyncio
import json
from typing import Final

import pytest

from acteon.core import Action, ProviderResponse, encode_json
from acteon.provider.errors import ProviderError
from acteon.provider.provider import Provider, ProviderPlugin

PROVIDER_KIT: Final = "1"
"""The version of this kit. A higher number means that it asks for something that the one before
did not: what passed that one may fail this one. Closer tests of the same keep the number.
"""

MANY = 20
LIMIT = 10.0
"""Seconds that a provider may take over a call that cannot end, before the tests fail."""


class ProviderConformance:
    """Inherit from this and override the fixtures; the tests come with it.

    ```python
    class TestTelegramProvider(ProviderConformance):
        @pytest.fixture
        async def provider(self, server: FakeTelegram) -> AsyncIterator[Provider]:
            async with TelegramPlugin.open("telegram", server.config) as provider:
                yield provider
    ```
    """

    @pytest.fixture
    def provider(self) -> Provider:
        """Give an open provider whose receiver takes everything."""
        raise NotImplementedError("override the fixture 'provider'")

    @pytest.fixture
    def failing_provider(self) -> Provider | None:
        """Give an open provider whose receiver is out of reach; None if there is no such thing."""
        return None

    @pytest.fixture
    def plugin(self) -> type[ProviderPlugin] | None:
        """Give the plugin that opens the provider; None if there is none, or it says of no kit."""
        return None

    @pytest.fixture
    def action(self) -> Action:
        """Give an action that the provider can deliver."""
        return Action(
            namespace="tests",
            tenant="tenant-1",
            provider="under-test",
            action_type="greet",
            payload={"text": "Grüße, 世界"},
            id="action-1",
        )

    async def test_its_plugin_names_this_kit(self, plugin: type[ProviderPlugin] | None) -> None:
        assert plugin is None or plugin.kit == PROVIDER_KIT

    async def test_a_delivery_is_answered_in_json(self, provider: Provider, action: Action) -> None:
        response = await provider.execute(action)
        assert type(response) is ProviderResponse
        assert json.loads(encode_json(response.as_json()))["status"] == "success"

    async def test_headers_of_a_response_are_texts(
        self, provider: Provider, action: Action
    ) -> None:
        headers = (await provider.execute(action)).headers
        assert all(type(text) is str for pair in headers.items() for text in pair)

    async def test_it_says_whether_it_is_idempotent(self, provider: Provider) -> None:
        assert type(provider.idempotent) is bool

    async def test_many_deliveries_run_at_once(self, provider: Provider, action: Action) -> None:
        async with asyncio.timeout(LIMIT), asyncio.TaskGroup() as group:
            calls = [group.create_task(provider.execute(action)) for _ in range(MANY)]
        assert {call.result().status.value for call in calls} == {"success"}

    async def test_a_cancelled_delivery_leaves_it_usable(
        self, provider: Provider, action: Action
    ) -> None:
        async with asyncio.timeout(LIMIT):
            for turns in range(MANY):
                async with asyncio.TaskGroup() as group:
                    call = group.create_task(provider.execute(action))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    call.cancel()
            assert (await provider.execute(action)).status.value == "success"

    async def test_it_is_healthy(self, provider: Provider) -> None:
        assert await provider.health_check() is None  # type: ignore[func-returns-value]  # it must

    async def test_a_failed_delivery_is_a_provider_error(
        self, failing_provider: Provider | None, action: Action
    ) -> None:
        if failing_provider is None:
            return
        async with asyncio.timeout(LIMIT):
            with pytest.raises(ProviderError) as failure:
                await failing_provider.execute(action)
        assert failure.value.delivery in {"none", "unknown"}
        assert len(str(failure.value)) <= 256

    async def test_a_receiver_out_of_reach_is_not_healthy(
        self, failing_provider: Provider | None
    ) -> None:
        if failing_provider is None:
            return
        async with asyncio.timeout(LIMIT):
            with pytest.raises(ProviderError):
                await failing_provider.health_check()
