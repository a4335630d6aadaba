"""The line before one provider."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action, Failed, ManualClock, ProviderResponse
from acteon.executor import Certainty, CircuitState, Execution, Executor, ExecutorSettings
from acteon.provider import (
    CallLimits,
    CircuitBreaker,
    FunctionProvider,
    ProviderConnectionError,
    ProviderRegistry,
    RegisteredProvider,
)

SECOND = timedelta(seconds=1)
MOMENT = timedelta(milliseconds=20)
ONCE = ExecutorSettings(max_retries=0)

Deliver = Callable[[Action], Awaitable[object]]


def named(
    deliver: Deliver, *, breaker: CircuitBreaker | None = None, **limits: Any
) -> RegisteredProvider:
    return RegisteredProvider(
        "p", FunctionProvider(deliver), limits=CallLimits(**limits), circuit_breaker=breaker
    )


class Door:
    """Delivers nothing until it is told how many may leave; notes who came in, in order."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.inside = 0
        self.most = 0
        self._leave = asyncio.Semaphore(0)

    async def __call__(self, action: Action) -> None:
        self.came.append(action.id)
        self.inside += 1
        self.most = max(self.most, self.inside)
        try:
            await self._leave.acquire()
        finally:
            self.inside -= 1

    def open(self, count: int) -> None:
        for _ in range(count):
            self._leave.release()


async def at_once(_: Action) -> None:
    return


async def fail(_: Action) -> None:
    raise ProviderConnectionError("refused")


def numbered(number: int) -> Action:
    return Action(
        namespace="n", tenant="t", provider="p", action_type="a", payload=None, id=str(number)
    )


def failure(execution: Execution) -> Failed:
    assert isinstance(execution.result, Failed)
    return execution.result


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody would set an event
            await asyncio.sleep(0)


async def test_each_provider_has_its_own_limit_and_its_own_order() -> None:
    wide, narrow = Door(), Door()
    executor = Executor(ExecutorSettings(max_concurrent=7))
    several = named(wide)
    one = RegisteredProvider("q", FunctionProvider(narrow), limits=CallLimits(max_concurrent=2))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(executor.execute(several, numbered(number)))
            group.create_task(executor.execute(one, numbered(number)))
        await until(lambda: (wide.inside, narrow.inside) == (7, 2))
        lines = executor.line(several), executor.line(one)
        assert [(line.in_flight, line.waiting) for line in lines] == [(7, 13), (2, 18)]
        assert executor.in_flight == 9
        wide.open(20)
        narrow.open(20)
    assert (wide.most, narrow.most) == (7, 2)
    assert wide.came == narrow.came == [str(number) for number in range(20)]
    assert [(line.in_flight, line.waiting) for line in lines] == [(0, 0)] * 2


async def test_who_comes_while_others_wait_does_not_get_ahead_of_them() -> None:
    door = Door()
    executor = Executor(ONCE)
    provider = named(door, max_concurrent=1)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(executor.execute(provider, numbered(number)))
        await until(lambda: executor.line(provider).waiting == 1)
        door.open(1)
        # The place of the first is free by now or will be, and the second does not have it yet.
        for number in range(2, 30):
            group.create_task(executor.execute(provider, numbered(number)))
            await asyncio.sleep(0)
        door.open(29)
    assert (door.most, door.came) == (1, [str(number) for number in range(30)])


async def test_whose_turn_does_not_come_in_time_is_told_so_and_makes_no_call() -> None:
    door = Door()
    executor = Executor(ONCE)
    provider = named(door, max_concurrent=1, max_wait=MOMENT)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(executor.execute(provider, numbered(0)))
        await until(lambda: door.inside == 1)
        execution = await executor.execute(provider, numbered(1))
        door.open(1)
    failed = Failed(
        code="PROVIDER_BUSY",
        message="provider busy: 1 call is under way, and none ended within 20ms",
        retryable=True,
        attempts=0,
    )
    assert execution == Execution(failed, Certainty.NOT_DELIVERED, 0, provider="p")
    assert door.came == ["0"]
    assert executor.line(provider).calls.summary().attempts == 1


async def test_who_will_not_wait_at_all_is_refused_only_when_there_is_no_place(
    clock: ManualClock,
) -> None:
    nothing = timedelta(0)
    executor = Executor(ONCE, clock=clock)
    paced = named(at_once, max_wait=nothing, max_per_second=1.0, burst=3)
    codes = [(await executor.execute(paced, numbered(0))).result for _ in range(4)]
    assert [isinstance(code, Failed) for code in codes] == [False, False, False, True]
    door = Door()
    narrow = RegisteredProvider(
        "q", FunctionProvider(door), limits=CallLimits(max_concurrent=1, max_wait=nothing)
    )
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(executor.execute(narrow, numbered(0)))
        await until(lambda: door.inside == 1)
        assert failure(await executor.execute(narrow, numbered(1))).code == "PROVIDER_BUSY"
        door.open(1)


async def test_who_would_wait_for_nothing_may_try_a_provider_that_failed(
    clock: ManualClock,
) -> None:
    breaker = CircuitBreaker(failure_threshold=1, recovery_timeout=SECOND)
    answers: list[Deliver] = [fail, at_once]
    provider = named(lambda action: answers.pop(0)(action), breaker=breaker, max_wait=timedelta(0))
    executor = Executor(ONCE, clock=clock)
    await executor.execute(provider, numbered(0))
    await clock.advance(SECOND)
    assert isinstance((await executor.execute(provider, numbered(1))).result, ProviderResponse)


async def test_those_who_go_away_leave_nothing_behind() -> None:
    door = Door()
    executor = Executor(ONCE)
    provider = named(door, max_concurrent=3)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        calls = [
            group.create_task(executor.execute(provider, numbered(number))) for number in range(60)
        ]
        await until(lambda: executor.line(provider).waiting == 57)
        for number, call in enumerate(calls):
            if number % 3:
                call.cancel()
            if number % 7 == 0:
                door.open(1)  # Some get their turn in the very moment in which they go away.
            if number % 5 == 0:
                await asyncio.sleep(0)
        door.open(60)
    line = executor.line(provider)
    assert (line.in_flight, line.waiting, door.most) == (0, 0, 3)
    door.open(3)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(executor.execute(provider, numbered(number)))


async def test_calls_are_evenly_spread_after_a_burst(clock: ManualClock) -> None:
    begins: list[float] = []

    async def note(_: Action) -> None:
        begins.append(clock.monotonic())

    executor = Executor(ONCE, clock=clock)
    provider = named(note, max_per_second=4.0, burst=2)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(provider, numbered(n))) for n in range(8)]
        await clock.advance(timedelta(seconds=1.4))
        assert executor.line(provider).waiting == 1
        await clock.advance(timedelta(seconds=0.1))
    assert begins == [0, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5]
    assert all(isinstance(call.result().result, ProviderResponse) for call in calls)


async def test_the_pace_of_one_is_not_that_of_another(clock: ManualClock) -> None:
    executor = Executor(ONCE, clock=clock)
    slow = named(at_once, max_per_second=1.0)
    fast = RegisteredProvider("q", FunctionProvider(at_once))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(slow, numbered(n))) for n in range(5)]
        await clock.advance(timedelta(0))
        for number in range(50):
            await executor.execute(fast, numbered(number))
        assert sum(call.done() for call in calls) == 1
        await clock.advance(4 * SECOND)


async def test_whose_turn_would_come_too_late_is_told_so_at_once(clock: ManualClock) -> None:
    executor = Executor(ONCE, clock=clock)
    provider = named(at_once, max_per_second=0.5, max_wait=5 * SECOND, max_concurrent=3)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(provider, numbered(n))) for n in range(3)]
        await clock.advance(timedelta(0))
        with pytest.raises(Exception, match="rate limited") as refused:
            await executor.line(provider).enter()
        execution = await executor.execute(provider, numbered(3))
        await clock.advance(4 * SECOND)
    failed = Failed(code="RATE_LIMITED", message="rate limited", retryable=True, attempts=0)
    assert execution == Execution(failed, Certainty.NOT_DELIVERED, 0, provider="p")
    assert getattr(refused.value, "retry_after", None) == 6 * SECOND
    assert getattr(refused.value, "delivery", None) == "none"
    assert [call.result().attempts for call in calls] == [1, 1, 1]
    # The refused took nobody's turn, and no place.
    await clock.advance(2 * SECOND)
    assert (await executor.execute(provider, numbered(4))).attempts == 1
    assert executor.line(provider).in_flight == 0


async def test_turns_of_those_who_go_away_are_given_to_others(clock: ManualClock) -> None:
    begins: list[tuple[str, float]] = []

    async def note(action: Action) -> None:
        begins.append((action.id, clock.monotonic()))

    executor = Executor(ONCE, clock=clock)
    provider = named(note, max_per_second=1.0)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(provider, numbered(n))) for n in range(6)]
        await clock.advance(timedelta(seconds=0.5))
        for call in calls[1:5]:
            call.cancel()
        await clock.advance(timedelta(0))
        for number in (6, 7):
            group.create_task(executor.execute(provider, numbered(number)))
        await clock.advance(10 * SECOND)
    assert begins == [("0", 0), ("6", 1), ("7", 2), ("5", 5)]


async def test_a_retry_keeps_to_the_pace_too(clock: ManualClock) -> None:
    begins: list[float] = []

    async def note(_: Action) -> None:
        begins.append(clock.monotonic())
        raise ProviderConnectionError("refused")

    executor = Executor(ExecutorSettings(max_retries=3), clock=clock)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(executor.execute(named(note, max_per_second=0.1), numbered(0)))
        await clock.advance(60 * SECOND)
    assert begins == [0, 10, 20, 30]


async def test_a_retry_whose_turn_does_not_come_ends_as_the_attempt_before(
    clock: ManualClock,
) -> None:
    executor = Executor(clock=clock)
    provider = named(fail, max_per_second=0.01, max_wait=SECOND)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(provider, numbered(0)))
        await clock.advance(SECOND)
    assert failure(call.result()) == Failed(
        code="CONNECTION", message="connection error: refused", retryable=True, attempts=1
    )


async def test_its_own_timeout_and_retries_go_before_those_of_the_executor(
    clock: ManualClock,
) -> None:
    async def hang(_: Action) -> None:
        await asyncio.Event().wait()

    executor = Executor(ExecutorSettings(max_retries=5), clock=clock)
    hanging = await executor.execute(named(hang, timeout=MOMENT), numbered(0))
    assert failure(hanging).message == "timeout after 20ms"
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        provider = RegisteredProvider("q", FunctionProvider(fail), limits=CallLimits(max_retries=1))
        call = group.create_task(executor.execute(provider, numbered(0)))
        await clock.advance(60 * SECOND)
    assert call.result().attempts == 2


BREAKER = CircuitBreaker(failure_threshold=2, recovery_timeout=SECOND)


async def test_a_retry_goes_to_the_one_that_came_into_its_place(clock: ManualClock) -> None:
    old = named(fail, breaker=BREAKER, max_retries=5)
    new = named(at_once, breaker=BREAKER, max_retries=0, max_concurrent=1)
    registry = ProviderRegistry.listing([old])
    executor = Executor(providers=registry, clock=clock)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(old, numbered(0)))
        await clock.advance(timedelta(0))
        circuit = executor.line(old).circuit
        assert circuit.failures == 1
        registry.exchange([new])
        await clock.advance(SECOND)
    assert isinstance(call.result().result, ProviderResponse)
    line = executor.line(new)
    assert (call.result().attempts, line.max_concurrent) == (2, 1)
    # Its circuit behaves as before, so it is the same one; its counts go on.
    assert line.circuit is circuit
    assert line.calls.summary().attempts == 2


async def test_its_circuit_starts_anew_if_it_is_to_behave_otherwise(clock: ManualClock) -> None:
    executor = Executor(ONCE, clock=clock)
    old = named(fail, breaker=CircuitBreaker(failure_threshold=1))
    await executor.execute(old, numbered(0))
    assert executor.line(old).circuit.state is CircuitState.OPEN
    line = executor.line(named(at_once, breaker=BREAKER))
    assert (line.circuit.state, line.circuit.settings) == (CircuitState.CLOSED, BREAKER)
    assert line.calls.summary().attempts == 1


async def test_who_waited_in_line_gets_the_one_that_is_there_by_then() -> None:
    door, other = Door(), Door()
    old = named(door, max_concurrent=1)
    new = named(other, max_concurrent=1)
    registry = ProviderRegistry.listing([old])
    executor = Executor(ONCE, providers=registry)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        for number in range(2):
            group.create_task(executor.execute(old, numbered(number)))
        await until(lambda: executor.line(old).waiting == 1)
        registry.exchange([new])
        door.open(1)
        # Nobody uses the old one any longer: it may be closed from here on.
        await old.uses.over()
        other.open(1)
    assert (door.came, other.came) == (["0"], ["1"])
    assert (old.uses.count, new.uses.count) == (0, 0)


async def test_the_end_of_a_call_of_the_old_one_leaves_the_line_of_the_new_one_as_it_is() -> None:
    release = asyncio.Event()

    async def late(_: Action) -> None:
        await release.wait()
        raise ProviderConnectionError("refused")

    old = named(late, breaker=CircuitBreaker(failure_threshold=1, fallback="gone"))
    new = named(at_once, breaker=BREAKER, max_concurrent=1)
    registry = ProviderRegistry.listing([old])
    executor = Executor(ONCE, providers=registry)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(executor.execute(old, numbered(0)))
        await until(lambda: executor.line(old).in_flight == 1)
        registry.exchange([new])
        line = executor.line(new)
        release.set()
    assert executor.line(new) is line
    assert line.circuit.state is CircuitState.CLOSED
    assert (await executor.execute(new, numbered(1))).attempts == 1
