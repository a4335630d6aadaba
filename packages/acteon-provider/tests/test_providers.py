"""The log and function providers, health checks, plugins, and all providers alike."""

import asyncio
import functools
import logging
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import PROVIDERS, Action, ProviderResponse, ResponseStatus, load_plugin
from acteon.provider import (
    FunctionProvider,
    LogConfig,
    LogPlugin,
    LogProvider,
    Provider,
    ProviderConnectionError,
    ProviderHealth,
    ProviderPlugin,
    ProviderRegistry,
    check_health,
)
from acteon.provider.testing import ProviderConformance, Receiver
from acteon.provider.webhook import WebhookConfig, WebhookPlugin

SECOND = timedelta(seconds=1)


class TestWebhookConformance(ProviderConformance):
    @pytest.fixture
    async def provider(self, receiver: Receiver) -> AsyncIterator[Provider]:
        config = WebhookConfig(url=receiver.url, allow_networks=("127.0.0.0/8",))
        async with WebhookPlugin.open("hook", config) as provider:
            yield provider

    @pytest.fixture
    async def failing_provider(self) -> AsyncIterator[Provider]:
        async with Receiver() as other:
            config = WebhookConfig(url=other.url, allow_networks=("127.0.0.0/8",))
        async with WebhookPlugin.open("hook", config) as provider:
            yield provider


class TestLogConformance(ProviderConformance):
    @pytest.fixture
    async def provider(self) -> AsyncIterator[Provider]:
        async with LogPlugin.open("log", LogConfig()) as provider:
            yield provider


class TestAsyncFunctionConformance(ProviderConformance):
    @pytest.fixture
    def provider(self) -> Provider:
        async def deliver(action: Action) -> dict[str, str]:
            await asyncio.sleep(0)
            return {"id": action.id}

        return FunctionProvider(deliver)


class TestPlainFunctionConformance(ProviderConformance):
    @pytest.fixture
    def provider(self) -> Provider:
        return FunctionProvider(lambda action: {"id": action.id}, idempotent=True)


@pytest.mark.parametrize(("name", "plugin"), [("webhook", WebhookPlugin), ("log", LogPlugin)])
def test_plugins_are_found_by_their_type(name: str, plugin: type[ProviderPlugin]) -> None:
    assert load_plugin(PROVIDERS, name, ProviderPlugin) is plugin


async def test_the_log_tells_names_and_ids_and_nothing_else(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="acteon.provider.log"):
        response = await LogProvider("audit-log").execute(action)
    assert response == ProviderResponse(body={"provider": "audit-log", "logged": True})
    (record,) = caplog.records
    assert record.getMessage() == "action delivered to the log"
    shown = {name: value for name, value in vars(record).items() if name.startswith("acteon.")}
    assert shown == {
        "acteon.provider": "audit-log",
        "acteon.action_id": "action-1",
        "acteon.namespace": "shop",
        "acteon.tenant": "tenant-1",
        "acteon.action_type": "order_placed",
    }


async def test_a_function_may_answer_with_a_response(action: Action) -> None:
    told = ProviderResponse(ResponseStatus.PARTIAL, body=[1])
    assert await FunctionProvider(lambda _: told).execute(action) is told


async def test_a_plain_function_runs_in_a_thread(action: Action) -> None:
    response = await FunctionProvider(lambda _: threading.get_ident()).execute(action)
    assert response.body != threading.get_ident()


class Callable:
    async def __call__(self, action: Action) -> str:
        return f"{action.id} {threading.get_ident()}"


async def deliver_for(_name: str, action: Action) -> str:
    return await Callable()(action)


@pytest.mark.parametrize(
    "function", [Callable(), functools.partial(deliver_for, "x")], ids=["object", "partial"]
)
async def test_whatever_is_async_runs_in_the_loop(action: Action, function: Any) -> None:
    response = await FunctionProvider(function).execute(action)
    assert response.body == f"action-1 {threading.get_ident()}"


async def test_a_thread_that_hangs_does_not_hold_the_call(action: Action) -> None:
    go = threading.Event()
    provider = FunctionProvider(lambda _: go.wait(10))
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await provider.execute(action)
    finally:
        go.set()


async def test_a_result_that_is_no_json_does_not_undo_the_delivery(action: Action) -> None:
    response = await FunctionProvider(lambda _: object()).execute(action)
    assert response == ProviderResponse(body=None)


async def nothing(_: Action) -> None:
    return


class Sick(FunctionProvider):
    """Not healthy, in the way of `problem`."""

    def __init__(self, problem: BaseException | None) -> None:
        super().__init__(nothing)
        self.problem = problem

    async def health_check(self) -> None:
        if self.problem is None:
            await asyncio.Event().wait()
        else:
            raise self.problem


async def test_health_is_told_of_each_by_name() -> None:
    registry = ProviderRegistry.of(
        {
            "well": LogProvider("well"),
            "away": Sick(ProviderConnectionError("cannot connect")),
            "broken": Sick(KeyError("secret")),
            "cancelled": Sick(asyncio.CancelledError()),
            "late": Sick(TimeoutError()),
            "silent": Sick(None),
        }
    )
    assert await check_health(registry, timeout=timedelta(milliseconds=50)) == (
        ProviderHealth("away", healthy=False, error="connection error: cannot connect"),
        ProviderHealth("broken", healthy=False, error="KeyError"),
        ProviderHealth("cancelled", healthy=False, error="the check was cancelled from within"),
        ProviderHealth("late", healthy=False, error="TimeoutError"),
        ProviderHealth("silent", healthy=False, error="no answer within 50ms"),
        ProviderHealth("well", healthy=True),
    )


async def test_health_checks_run_at_once() -> None:
    meeting = asyncio.Barrier(3)

    class Waiting(FunctionProvider):
        async def health_check(self) -> None:
            await meeting.wait()

    registry = ProviderRegistry.of({name: Waiting(nothing) for name in "abc"})
    found = await check_health(registry, timeout=SECOND)
    assert [health.healthy for health in found] == [True] * 3


async def test_cancelling_a_health_check_cancels_it() -> None:
    async with asyncio.TaskGroup() as group:
        check = group.create_task(
            check_health(ProviderRegistry.of({"silent": Sick(None)}), timeout=SECOND)
        )
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        check.cancel()
    assert check.cancelled()


def test_a_registry_is_sorted_and_lets_the_configuration_overrule() -> None:
    registry = ProviderRegistry.of(
        {"b": LogProvider("b"), "a": FunctionProvider(nothing)}, idempotent={"b": False}
    )
    assert list(registry) == ["a", "b"]
    assert not registry["b"].idempotent
    assert not registry["a"].idempotent
    assert "c" not in registry
