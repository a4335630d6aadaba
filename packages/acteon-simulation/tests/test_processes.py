"""Nodes that are processes of their own, with the providers in the test."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action
from acteon.executor import ExecutorSettings
from acteon.provider import (
    CallLimits,
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
    RegisteredProvider,
)
from acteon.rules import RuleParseError
from acteon.simulation import (
    NodeDownError,
    Plugin,
    RecordingProvider,
    SimulationConfig,
    SimulationError,
    SimulationHarness,
)
from acteon.simulation.bridge import Bridge, SimulatedConfig, SimulatedPlugin

Make = Callable[..., Action]

DEDUPLICATE = """
rules:
  - name: once
    condition: {field: action.action_type, eq: notify}
    action: {type: deduplicate, ttl_seconds: 60}
  - name: only-here
    condition: {not: {field: env.region, eq: 'eu "1"'}}
    action: {type: suppress}
"""

ERRORS: list[ProviderError] = [
    ExecutionFailedError("no such user"),
    ProviderConfigurationError("a bad token"),
    ProviderConnectionError("refused"),
    ProviderConnectionError("cut off", delivery="unknown"),
    ProviderNotFoundError("channel"),
    ProviderSerializationError("no text"),
    ProviderTimeoutError(timedelta(seconds=3)),
    RateLimitedError(retry_after=timedelta(seconds=2.5)),
    RateLimitedError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
async def test_an_error_comes_over_as_it_was_raised(error: ProviderError, action: Make) -> None:
    async def fails(_: Action) -> Any:
        raise error

    provider = RecordingProvider("a/b ü", response_fn=fails)
    async with (
        Bridge({provider.name: provider}) as bridge,
        SimulatedPlugin.open(provider.name, SimulatedConfig(bridge.url)) as over_there,
    ):
        with pytest.raises(type(error)) as caught:
            await over_there.execute(action())

    assert str(caught.value) == str(error)
    assert (caught.value.code, caught.value.retryable) == (error.code, error.retryable)
    assert (caught.value.delivery, caught.value.retry_after) == (error.delivery, error.retry_after)


async def test_what_is_no_provider_error_is_none_over_there_either(action: Make) -> None:
    def fails(_: Action) -> Any:
        raise KeyError("to")

    provider = RecordingProvider("email", response_fn=fails)
    async with (
        Bridge({"email": provider}) as bridge,
        SimulatedPlugin.open("email", SimulatedConfig(bridge.url)) as over_there,
    ):
        with pytest.raises(Exception, match="KeyError: 'to'") as caught:
            await over_there.execute(action())
        assert not isinstance(caught.value, ProviderError)
        await over_there.health_check()
    async with SimulatedPlugin.open("email", SimulatedConfig(bridge.url)) as over_there:
        with pytest.raises(ProviderConnectionError, match="does not answer"):
            await over_there.execute(action())


async def test_a_process_does_as_it_is_configured(action: Make) -> None:
    config = SimulationConfig(
        mode="process",
        rules=DEDUPLICATE,
        providers=["email"],
        environment={"region": 'eu "1"'},
        dead_letters=True,
    )
    async with SimulationHarness(config) as harness:
        sent = action(action_type="notify", dedup_key="k", payload={"text": "grüß € \ud83d"[:6]})
        executed = (await harness.dispatch(sent)).assert_executed()
        assert executed.response.body["action_id"] == sent.id
        (await harness.dispatch(sent)).assert_deduplicated()
        assert harness.provider("email").payloads == [sent.payload]

        results = await harness.dispatch_batch([action(), action(action_type="notify")])
        assert [type(result).__name__ for result in results] == ["Executed", "Executed"]
        await harness.audit.assert_audited(sent, outcome="deduplicated")
        await harness.audit.assert_audit_count(4)
        assert (await harness.client().dlq_stats()).enabled


async def test_a_call_that_the_server_gives_up_is_cancelled_in_the_test(action: Make) -> None:
    slow = RecordingProvider("email", delay=timedelta(seconds=30))
    limits = CallLimits(timeout=timedelta(milliseconds=100), max_retries=0)
    config = SimulationConfig(
        mode="process",
        providers=[RegisteredProvider("email", slow, limits=limits)],
        executor=ExecutorSettings(max_retries=1),
    )
    async with SimulationHarness(config) as harness:
        failed = (await harness.dispatch(action())).assert_failed()

        assert (failed.code, failed.attempts) == ("TIMEOUT", 1)
        (call,) = await slow.wait_for_calls(1)
        assert isinstance(call.error, asyncio.CancelledError)


async def test_a_process_that_is_killed_comes_back(action: Make) -> None:
    config = SimulationConfig(mode="process", nodes=2, shared_state=False, providers=["email"])
    async with SimulationHarness(config) as harness:
        await harness.kill(0)
        with pytest.raises(NodeDownError, match="node-0 does not run: restart it"):
            await harness.dispatch(action())
        (await harness.dispatch_to(1, action())).assert_executed()
        await harness.restart(0)
        (await harness.dispatch(action())).assert_executed()
        await harness.audit.assert_audit_count(2)


async def test_a_process_that_does_not_start_says_why() -> None:
    with pytest.raises(RuleParseError, match="a bracket or brace is opened"):
        await SimulationHarness.start(SimulationConfig(mode="process", rules="rules: [\n"))
    nobody = SimulationConfig(mode="process", audit=Plugin("memory", {"max_records": 0}))
    with pytest.raises(SimulationError, match=r"(?s)node-0 did not start .status 1.*max_records"):
        await SimulationHarness.start(nobody)


def test_processes_for_a_test_without_an_event_loop(action: Make) -> None:
    with SimulationHarness.sync(SimulationConfig(mode="process", providers=["email"])) as harness:
        harness.dispatch(action()).assert_executed()
        assert harness.client().health()
        harness.audit.assert_audit_count(1)
