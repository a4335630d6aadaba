"""The email provider does what all providers must do."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from acteon.core import PROVIDERS, Action, load_plugin
from acteon.email import EmailConfig, EmailPlugin
from acteon.email.testing import MailServer
from acteon.provider import Provider, ProviderPlugin
from acteon.provider.testing import ProviderConformance

Open = Callable[..., Awaitable[Provider]]


class TestEmailProvider(ProviderConformance):
    @pytest.fixture
    def plugin(self) -> type[ProviderPlugin]:
        return EmailPlugin

    @pytest.fixture
    async def provider(self, email: Open, server: MailServer) -> Provider:
        return await email(server)

    @pytest.fixture
    async def failing_provider(self) -> AsyncIterator[Provider]:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            config = EmailConfig(
                smtp_host="127.0.0.1",
                smtp_port=unused.getsockname()[1],
                from_address="shop@example.com",
                tls=False,
            )
            async with EmailPlugin.open("email", config) as provider:
                yield provider

    @pytest.fixture
    def action(self, mail: Callable[..., Action]) -> Action:
        return mail()


def test_it_is_found_by_its_name() -> None:
    assert load_plugin(PROVIDERS, "email", ProviderPlugin) is EmailPlugin
