"""Servers, and what opens providers on them."""

import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from acteon.core import Action, ManualClock
from acteon.email import EmailConfig, EmailProvider
from acteon.email.testing import MailServer, ScriptedServer


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def action() -> Action:
    return an_action()


def an_action(**payload: Any) -> Action:
    usual = {"to": "ann@example.com", "subject": "Hello", "body": "Hello Ann."}
    return Action(
        namespace="shop",
        tenant="tenant-1",
        provider="email",
        action_type="send_email",
        payload=usual | payload,
        id="action-1",
        created_at="2025-01-31T13:30:00+01:00",
    )


@pytest.fixture
def mail() -> Callable[..., Action]:
    """Make an action with such members of its payload."""
    return an_action


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_path(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


@pytest.fixture(scope="session")
def context(authority: trustme.CA) -> ssl.SSLContext:
    """The server's side of TLS, for localhost and 127.0.0.1."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    return context


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    async with MailServer() as server:
        yield server


class OpenEmail:
    """Opens providers, without TLS unless told otherwise, and closes them in the end."""

    def __init__(self) -> None:
        self._opened: list[EmailProvider] = []

    async def __call__(self, server: MailServer | ScriptedServer, **keys: Any) -> EmailProvider:
        usual: dict[str, Any] = {
            "smtp_host": "127.0.0.1",
            "smtp_port": server.port,
            "from_address": "Shop <shop@example.com>",
            "tls": "tls_mode" in keys,
            "timeout_seconds": 10.0,
        }
        provider = EmailProvider(EmailConfig(**usual | keys), clock=ManualClock())
        await provider.__aenter__()
        self._opened.append(provider)
        return provider

    async def close(self) -> None:
        for provider in self._opened:
            await provider.__aexit__(None, None, None)


@pytest.fixture
async def email() -> AsyncIterator[OpenEmail]:
    opener = OpenEmail()
    yield opener
    await opener.close()


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server
