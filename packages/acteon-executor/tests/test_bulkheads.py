"""Whatever one provider does, calls of the others do not feel it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from acteon.core import Action, Failed, ManualClock, ProviderResponse, Unfinished, run_eagerly
from acteon.executor import Certainty, CircuitState, Executor, ExecutorSettings
from acteon.provider import (
    CallLimits,
    CircuitBreaker,
    FunctionProvider,
    ProviderConnectionError,
    RegisteredProvider,
)
from acteon.provider.testing import Receiver, Reply, answer, close, endless, garbage, gzip_bomb
from acteon.provider.webhook import WebhookConfig, WebhookPlugin

IN_FLIGHT = 100
WAITING = 1_000
CALLS = 200
ONCE = ExecutorSettings(max_retries=0)


async def hang(_: Action) -> None:
    await asyncio.Event().wait()


async def at_once(_: Action) -> None:
    return


async def after_three_turns(_: Action) -> None:
    for _turn in range(3):
        await asyncio.sleep(0)


async def refuse(_: Action) -> None:
    raise ProviderConnectionError("refused")


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0)


async def crowd(
    executor: Executor, provider: RegisteredProvider, action: Action, group: asyncio.TaskGroup
) -> list[asyncio.Task[object]]:
    """Have `provider` called by more than it may have at a time, and wait until all are there."""
    calls: list[asyncio.Task[object]] = [
        group.create_task(executor.execute(provider, action)) for _ in range(IN_FLIGHT + WAITING)
    ]
    line = executor.line(provider)
    await until(lambda: (line.in_flight, line.waiting) == (IN_FLIGHT, WAITING))
    return calls


async def test_beside_a_provider_that_hangs_another_answers_in_the_very_same_turn(
    action: Action,
) -> None:
    executor = Executor(ONCE)
    hanging = RegisteredProvider("hanging", FunctionProvider(hang))
    well = RegisteredProvider("well", FunctionProvider(at_once))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        calls = await crowd(executor, hanging, action, group)
        for _ in range(CALLS):
            # It ends without ever having waited for the event loop.
            execution = run_eagerly(executor.execute(well, action))
            assert not isinstance(execution, Unfinished)
            assert execution.certainty is Certainty.DELIVERED
        for call in calls:
            call.cancel()
    line = executor.line(hanging)
    assert (line.in_flight, line.waiting) == (0, 0)


async def test_beside_a_provider_that_hangs_another_takes_the_turns_that_it_takes_alone(
    action: Action,
) -> None:
    async def turns_of(executor: Executor) -> int:
        call = asyncio.ensure_future(executor.execute(slow, action))
        turns = 0
        while not call.done():
            await asyncio.sleep(0)
            turns += 1
        return turns

    executor = Executor(ONCE)
    slow = RegisteredProvider("slow", FunctionProvider(after_three_turns))
    alone = await turns_of(executor)
    hanging = RegisteredProvider("hanging", FunctionProvider(hang))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        calls = await crowd(executor, hanging, action, group)
        assert [await turns_of(executor) for _ in range(20)] == [alone] * 20
        for call in calls:
            call.cancel()


async def test_a_flood_of_one_keeps_to_its_limit_and_out_of_the_way(action: Action) -> None:
    most = 0
    inside = 0

    async def count(_: Action) -> None:
        nonlocal most, inside
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0)
        inside -= 1

    executor = Executor(ONCE)
    flooded = RegisteredProvider(
        "flooded", FunctionProvider(count), limits=CallLimits(max_concurrent=5)
    )
    well = RegisteredProvider("well", FunctionProvider(at_once))
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        flood = [group.create_task(executor.execute(flooded, action)) for _ in range(3_000)]
        while not all(call.done() for call in flood):
            execution = run_eagerly(executor.execute(well, action))
            assert not isinstance(execution, Unfinished)
            await asyncio.sleep(0)
    assert most == 5
    assert all(call.result().certainty is Certainty.DELIVERED for call in flood)


async def test_the_circuit_of_one_is_not_that_of_another(
    action: Action, clock: ManualClock
) -> None:
    breaker = CircuitBreaker(failure_threshold=1)
    executor = Executor(ONCE, clock=clock)
    failing = RegisteredProvider("a", FunctionProvider(refuse), circuit_breaker=breaker)
    well = RegisteredProvider("b", FunctionProvider(at_once), circuit_breaker=breaker)
    await executor.execute(failing, action)
    await executor.execute(well, action)
    assert executor.line(failing).circuit.state is CircuitState.OPEN
    assert executor.line(well).circuit.state is CircuitState.CLOSED


class Hooks:
    """Opens webhooks to receivers of this machine."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def to(self, name: str, reply: Reply) -> tuple[RegisteredProvider, Receiver]:
        receiver = await self._stack.enter_async_context(Receiver(default=reply))
        config = WebhookConfig(
            url=receiver.url,
            allow_networks=("127.0.0.0/8",),
            timeout_seconds=20.0,
            max_response_bytes=1_000,
        )
        provider = await self._stack.enter_async_context(WebhookPlugin.open(name, config))
        return RegisteredProvider(name, provider, limits=CallLimits(max_concurrent=10)), receiver


@pytest.fixture
async def hooks() -> AsyncIterator[Hooks]:
    async with AsyncExitStack() as stack:
        yield Hooks(stack)


def hanging() -> Reply:
    return answer(after=asyncio.Event())


@pytest.mark.parametrize(
    "reply",
    [
        hanging,
        lambda: endless(b"x" * 65_536),
        lambda: endless(b"x" * 65_536, status=500),
        lambda: gzip_bomb(50_000_000),
        close,
        lambda: garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\nabc"),
        lambda: garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + b"x" * 100_000),
    ],
    ids=["hangs", "endless", "endless failure", "bomb", "closes", "too short", "too long"],
)
async def test_whatever_a_receiver_does_all_calls_of_another_succeed(
    action: Action, hooks: Hooks, reply: Callable[[], Reply]
) -> None:
    bad, worst = await hooks.to("bad", reply())
    good, receiver = await hooks.to("good", answer(body=b'{"taken": true}'))
    executor = Executor(
        ExecutorSettings(max_retries=0, timeout=timedelta(seconds=30)),
    )
    over = False

    async def keep_calling() -> None:
        while not over:
            execution = await executor.execute(bad, action)
            if isinstance(execution.result, ProviderResponse):
                kept = execution.result.body
                assert len(str(kept)) <= 1_100

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        bothered = [group.create_task(keep_calling()) for _ in range(30)]
        await worst.wait_for(10)
        async with asyncio.TaskGroup() as calls:
            tasks = [calls.create_task(executor.execute(good, action)) for _ in range(CALLS)]
        over = True
        assert executor.line(bad).in_flight <= 10
        for each in bothered:
            each.cancel()
    assert all(
        isinstance(result := task.result().result, ProviderResponse)
        and result.body == {"taken": True}
        for task in tasks
    )
    assert len(receiver.requests) == CALLS
    assert executor.in_flight == 0


async def test_one_that_hangs_ends_in_its_own_time_not_in_that_of_others(
    action: Action, hooks: Hooks
) -> None:
    slow, _ = await hooks.to("slow", hanging())
    limits = CallLimits(timeout=timedelta(milliseconds=50), max_concurrent=10)
    hasty = RegisteredProvider("hasty", slow.provider, limits=limits)
    executor = Executor(ONCE)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        patient = group.create_task(executor.execute(slow, action))
        execution = await executor.execute(hasty, action)
        assert not patient.done()
        patient.cancel()
    assert isinstance(execution.result, Failed)
    assert execution.result.code == "TIMEOUT"
