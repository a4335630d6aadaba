"""Attempts as receivers see them."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from acteon.core import Action, Failed, ResponseStatus
from acteon.executor import Backoff, Certainty, Executor, ExecutorSettings
from acteon.provider import ProviderRegistry, RegisteredProvider
from acteon.provider.testing import Receiver, answer, close, reset
from acteon.provider.webhook import WebhookConfig, WebhookPlugin

HASTY = ExecutorSettings(
    max_retries=3,
    timeout=timedelta(seconds=10),
    backoff=Backoff(first_delay=timedelta(milliseconds=1)),
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def hook(receiver: Receiver) -> AsyncIterator[RegisteredProvider]:
    config = WebhookConfig(url=receiver.url, allow_networks=("127.0.0.0/8",))
    async with WebhookPlugin.open("hook", config) as provider:
        yield ProviderRegistry.of({"hook": provider})["hook"]


async def test_all_attempts_carry_one_key_and_one_body(
    receiver: Receiver, hook: RegisteredProvider, action: Action
) -> None:
    receiver.script(reset(), answer(503), close(), answer(201))
    execution = await Executor(HASTY).execute(hook, action)
    assert (execution.certainty, execution.attempts) == (Certainty.DELIVERED, 4)
    assert len(receiver.requests) == 4
    assert len({received.headers["Idempotency-Key"] for received in receiver.requests}) == 1
    assert len({received.body for received in receiver.requests}) == 1


async def test_a_refusal_after_a_reset_leaves_a_doubt(
    receiver: Receiver, hook: RegisteredProvider, action: Action
) -> None:
    receiver.script(reset(), answer(400))
    execution = await Executor(HASTY).execute(hook, action)
    assert getattr(execution.result, "status", None) is ResponseStatus.FAILURE
    assert execution.certainty is Certainty.UNKNOWN


async def test_a_hook_said_not_to_be_idempotent_is_called_once_when_in_doubt(
    receiver: Receiver, hook: RegisteredProvider, action: Action
) -> None:
    receiver.script(answer(503), reset())
    registry = ProviderRegistry.of({"hook": hook.provider}, idempotent={"hook": False})
    execution = await Executor(HASTY).execute(registry["hook"], action)
    assert execution.certainty is Certainty.UNKNOWN
    assert isinstance(execution.result, Failed)
    assert not execution.result.retryable
    assert len(receiver.requests) == 2


async def test_a_receiver_out_of_reach_got_nothing(action: Action) -> None:
    async with Receiver() as gone:
        config = WebhookConfig(url=gone.url, allow_networks=("127.0.0.0/8",))
    async with WebhookPlugin.open("hook", config) as provider:
        registry = ProviderRegistry.of({"hook": provider})
        execution = await Executor(HASTY).execute(registry["hook"], action)
    assert (execution.certainty, execution.attempts) == (Certainty.NOT_DELIVERED, 4)
