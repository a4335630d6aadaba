"""Providers that are exchanged while calls are under way."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from acteon.core import ConfigError, Executed, Failed, Tasks
from acteon.gateway import Gateway
from acteon.gateway.testing import make_action, until
from acteon.provider.testing import Receiver, answer
from acteon.server.config import Config, load_config
from acteon.server.opening import open_gateway_over
from acteon.server.providing import ConfiguredProviders, Exchanged
from acteon.state_memory import memory_backend

ACTION = make_action(provider="hook")


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiving:
        yield receiving


@pytest.fixture
def file(tmp_path: Path, receiver: Receiver) -> Path:
    """Give the file of a server with a webhook whose token is in a file of its own."""
    (tmp_path / "token").write_text("first\n")
    path = tmp_path / "acteon.toml"
    path.write_text(hook(receiver.url))
    return path


def hook(url: str, name: str = "hook", more: str = "") -> str:
    return (
        f'[[providers]]\nname = "{name}"\ntype = "webhook"\nurl = "{url}"\n'
        'allow_networks = ["127.0.0.0/8"]\nsecret = "${file:token}"\n'
        f"{more}\n"
    )


def write(path: Path, text: str) -> None:
    path.write_text(text)


def loader(path: Path) -> Any:
    return partial(load_config, path, environ={})


@pytest.fixture
async def configured(file: Path) -> AsyncIterator[ConfiguredProviders]:
    load = loader(file)
    async with ConfiguredProviders(load(), load=load) as opened:
        yield opened


@pytest.fixture
async def gateway(configured: ConfiguredProviders) -> AsyncIterator[Gateway]:
    async with Gateway(state=memory_backend(), providers=configured.registry) as opened:
        yield opened


def signed_with(receiver: Receiver) -> list[str]:
    return [request.headers["webhook-signature"] for request in receiver.requests]


async def test_nothing_that_is_as_it_was_is_opened_again(
    configured: ConfiguredProviders,
) -> None:
    before = configured.registry["hook"]
    assert await configured.reload() == Exchanged(
        added=(), changed=(), removed=(), unchanged=("hook",)
    )
    assert configured.registry["hook"] is before


async def test_a_rotated_secret_is_used_from_the_next_call_on(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    await gateway.dispatch(ACTION)
    write(file.parent / "token", "second\n")
    exchanged = await configured.reload()
    await gateway.dispatch(ACTION)

    assert exchanged.changed == ("hook",)
    first, second = signed_with(receiver)
    assert first != second


async def test_a_call_under_way_ends_with_the_provider_that_it_began_with(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    go_on = asyncio.Event()
    receiver.script(answer(body=b'"first"', after=go_on))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(gateway.dispatch(ACTION))
        await receiver.wait_for(1)
        old = configured.registry["hook"]
        write(file.parent / "token", "second\n")
        await configured.reload()
        assert old.uses.count == 1
        assert isinstance(await gateway.dispatch(make_action(provider="hook", id="b")), Executed)
        go_on.set()
    outcome = call.result()

    assert isinstance(outcome, Executed)
    assert outcome.response.body == "first"
    # Nobody uses it any more: it is closed, as a call of it shows.
    webhook: Any = old.provider
    await until(lambda: webhook.closed)


async def test_a_retry_uses_what_has_come_in_its_place(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    reached = asyncio.Event()
    receiver.script(answer(status=503, after=reached))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(gateway.dispatch(ACTION))
        await receiver.wait_for(1)
        write(file.parent / "token", "second\n")
        await configured.reload()
        reached.set()

    assert isinstance(call.result(), Executed)
    assert len(set(signed_with(receiver))) == 2


async def test_a_retry_of_one_that_is_gone_ends_as_the_attempt_before(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    reached = asyncio.Event()
    receiver.script(answer(status=503, after=reached))
    async with asyncio.TaskGroup() as group:
        call = group.create_task(gateway.dispatch(ACTION))
        await receiver.wait_for(1)
        write(file, hook(receiver.url, "other"))
        await configured.reload()
        reached.set()
    outcome = call.result()

    assert isinstance(outcome, Failed)
    assert (outcome.code, outcome.attempts) == ("CONNECTION", 1)
    assert len(receiver.requests) == 1


async def test_providers_come_and_go(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    write(file, hook(receiver.url, "other"))
    exchanged = await configured.reload()

    assert (exchanged.added, exchanged.removed) == (("other",), ("hook",))
    assert list(gateway.providers) == ["other"]
    assert isinstance(await gateway.dispatch(make_action(provider="other")), Executed)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[providers]", "acteon.toml"),
        ('[[providers]]\nname = "hook"\ntype = "nothing"', "no acteon.providers plugin 'nothing'"),
        ('[[providers]]\nname = "a"\ntype = "group"\nmembers = ["b"]', "no provider 'b'"),
    ],
)
async def test_what_cannot_be_used_changes_nothing(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, text: str, told: str
) -> None:
    before = configured.registry["hook"]
    write(file, text)
    with pytest.raises(ConfigError) as refused:
        await configured.reload()

    assert told in str(refused.value)
    assert configured.registry["hook"] is before
    assert isinstance(await gateway.dispatch(ACTION), Executed)


async def test_one_that_cannot_be_opened_keeps_all_as_they_were(
    configured: ConfiguredProviders,
    file: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "acme")  # pyright: ignore[reportUnknownMemberType]
    before = configured.registry["hook"]
    expired = '[[providers]]\nname = "b"\ntype = "acme"\ntoken = "expired-t"\n'
    write(file, hook(f"{receiver.url}/new") + expired)
    with pytest.raises(ConfigError, match=r"^provider 'b': "):
        await configured.reload()

    assert dict(configured.registry) == {"hook": before}


async def test_what_else_has_changed_is_told(
    configured: ConfiguredProviders, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(file, hook("http://127.0.0.1:9") + "[executor]\nmax_retries = 7\n")
    assert (await configured.reload()).restart == ("executor",)
    assert "when the server is started again" in caplog.text
    assert (await configured.reload()).restart == ()


async def test_without_a_file_there_is_nothing_to_be_read() -> None:
    async with ConfiguredProviders(Config()) as opened:
        with pytest.raises(ConfigError, match="no configuration file"):
            await opened.reload()


async def test_changed_files_are_followed(
    configured: ConfiguredProviders, file: Path, receiver: Receiver
) -> None:
    async with Tasks() as tasks:
        tasks.start(configured.follow_files_forever(), endless=True)
        write(file, hook(receiver.url, "second"))
        await until(lambda: list(configured.registry) == ["second"])
        before = configured.registry["second"]
        write(file.parent / "token", "rotated\n")
        await until(lambda: configured.registry["second"] is not before)


async def test_a_change_that_cannot_be_used_is_logged_and_the_next_one_is_not_missed(
    configured: ConfiguredProviders,
    file: Path,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.ERROR)
    async with Tasks() as tasks:
        tasks.start(configured.follow_files_forever(), endless=True)
        write(file, "[[providers]")
        await until(lambda: "the providers stay as they were" in caplog.text)
        write(file, hook(receiver.url, "mended"))
        await until(lambda: "mended" in configured.registry)


async def test_counts_outlive_an_exchange_and_so_does_a_hand_at_the_circuit(
    configured: ConfiguredProviders, gateway: Gateway, file: Path, receiver: Receiver
) -> None:
    await gateway.dispatch(ACTION)
    gateway.provider_control.set_circuit("hook", open=True)
    write(file.parent / "token", "second\n")
    await configured.reload()
    (status,) = gateway.provider_control.statuses()
    assert status.calls is not None
    assert status.line is not None
    assert (status.calls.attempts, status.line.circuit.forced) == (1, True)

    write(file, hook(receiver.url, more="circuit_breaker = { failure_threshold = 2 }"))
    await configured.reload()
    (status,) = gateway.provider_control.statuses()
    assert status.calls is not None
    assert status.line is not None
    assert (status.calls.attempts, status.line.circuit.forced) == (1, True)
    assert status.line.circuit.settings is not None
    assert status.line.circuit.settings.failure_threshold == 2


async def test_a_gateway_of_a_configuration_delivers_to_groups(
    file: Path, receiver: Receiver
) -> None:
    both = '[[providers]]\nname = "both"\ntype = "group"\nmembers = ["hook", "second"]\n'
    write(file, hook(receiver.url) + hook(receiver.url, "second") + both)
    load = loader(file)
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(ConfiguredProviders(load(), load=load))
        gateway = await open_gateway_over(stack, load(), opened.registry)
        outcome = await gateway.dispatch(make_action(provider="both"))
    assert isinstance(outcome, Executed)
    assert [each["provider"] for each in outcome.response.body["members"]] == ["hook", "second"]
    assert len(receiver.requests) == 2


async def test_one_that_cannot_be_closed_hinders_no_other(
    configured: ConfiguredProviders,
    gateway: Gateway,
    file: Path,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent / "acme")  # pyright: ignore[reportUnknownMemberType]
    stuck = '[[providers]]\nname = "stuck"\ntype = "acme"\ntoken = "unclosable-t"\n'
    write(file, hook(receiver.url) + stuck)
    await configured.reload()
    write(file, hook(receiver.url))
    await configured.reload()
    await until(lambda: "a provider could not be closed" in caplog.text)

    assert isinstance(await gateway.dispatch(ACTION), Executed)
