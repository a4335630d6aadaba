"""It does what all providers do, and delivers to a real receiver by Apprise's own JSON."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

import anyio.to_thread
import pytest
from acteon_provider_apprise import AppriseConfig, ApprisePlugin

from acteon.core import Action, ConfigError, ResponseStatus
from acteon.provider import Provider, ProviderConnectionError, ProviderSerializationError
from acteon.provider.testing import ProviderConformance, Receiver, answer

NOWHERE = "json://127.0.0.1:9/"


def url(receiver: Receiver) -> str:
    return receiver.url.replace("http://", "json://")


def action(**payload: object) -> Action:
    return Action(
        namespace="ops", tenant="t", provider="on-call", action_type="page", payload=payload
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiving:
        yield receiving


@pytest.fixture
async def opened(receiver: Receiver) -> AsyncIterator[Provider]:
    async with ApprisePlugin.open("on-call", AppriseConfig(urls=(url(receiver),))) as provider:
        yield provider


class TestApprise(ProviderConformance):
    @pytest.fixture
    def plugin(self) -> type[ApprisePlugin]:
        return ApprisePlugin

    @pytest.fixture
    def provider(self, opened: Provider) -> Provider:
        return opened

    @pytest.fixture
    def failing_provider(self) -> None:
        """There is none: destinations out of reach cannot be told by a health check."""
        return


async def test_a_message_arrives(opened: Provider, receiver: Receiver) -> None:
    response = await opened.execute(action(title="Disk", body="full, 世界", type="warning"))

    assert response.body == {"destinations": 1, "delivered": 1}
    (request,) = receiver.requests
    assert {"title": "Disk", "message": "full, 世界", "type": "warning"}.items() <= (
        request.json.items()
    )


async def test_what_some_took_is_partial(receiver: Receiver) -> None:
    config = AppriseConfig(urls=(url(receiver), NOWHERE))
    async with ApprisePlugin.open("on-call", config) as provider:
        response = await provider.execute(action(body="hello"))
    assert response.status is ResponseStatus.PARTIAL
    assert response.body == {"destinations": 2, "delivered": 1}


async def test_what_nobody_took_is_of_unknown_end(opened: Provider, receiver: Receiver) -> None:
    receiver.script(answer(500))
    with pytest.raises(ProviderConnectionError, match="none of 1 took it") as failure:
        await opened.execute(action(body="hello"))
    assert failure.value.delivery == "unknown"


@pytest.mark.parametrize("payload", [{}, {"body": ""}, {"body": "x", "type": "loud"}, {"body": 1}])
async def test_what_is_no_message_is_refused(
    opened: Provider, receiver: Receiver, payload: dict[str, object]
) -> None:
    with pytest.raises(ProviderSerializationError):
        await opened.execute(action(**payload))
    assert not receiver.requests


async def test_what_apprise_does_not_know_is_told_without_its_secrets() -> None:
    config = AppriseConfig(urls=(NOWHERE, "nosuch://user:hush@host"))
    with pytest.raises(ConfigError) as refused:
        async with ApprisePlugin.open("on-call", config):
            pass
    assert str(refused.value) == "urls[1] is no destination that Apprise can use"
    assert "hush" not in repr(config)


async def test_a_server_finds_it(receiver: Receiver, tmp_path: Path) -> None:
    assert [point.name for point in entry_points(group="acteon.providers", name="apprise")]
    (tmp_path / "acteon.toml").write_text(
        f'[[providers]]\nname = "on-call"\ntype = "apprise"\nurls = ["{url(receiver)}"]\n'
    )
    command = [sys.executable, "-m", "acteon.server", "providers", "test", "on-call"]
    run = partial(
        subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    done = await anyio.to_thread.run_sync(run)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["response"]["body"] == {"destinations": 1, "delivered": 1}
    assert len(receiver.requests) == 1


def test_it_is_as_short_as_it_is_said_to_be() -> None:
    package = Path(__file__).parents[1] / "src" / "acteon_provider_apprise"
    lines = [line for path in package.glob("*.py") for line in path.read_text().splitlines()]
    assert len(lines) < 100
