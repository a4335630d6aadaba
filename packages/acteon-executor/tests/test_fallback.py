"""Who delivers in the place of a provider that is left alone."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action, Failed, ManualClock, ProviderResponse, ResponseStatus
from acteon.executor import (
    Certainty,
    CircuitState,
    Execution,
    Executor,
    ExecutorSettings,
    MemoryDeadLetters,
    Progress,
)
from acteon.provider import (
    CallLimits,
    CircuitBreaker,
    ExecutionFailedError,
    ProviderConnectionError,
    ProviderRegistry,
    ProviderSerializationError,
    RegisteredProvider,
)

SECOND = timedelta(seconds=1)
ONCE = ExecutorSettings(max_retries=0)
OK = ProviderResponse(body={"by": "primary"})
REFUSED = ProviderResponse(ResponseStatus.FAILURE)


class Service:
    """Answers what it is told to, the last answer over and over; keeps what it was given."""

    def __init__(self, *answers: ProviderResponse | Exception, idempotent: bool = False) -> None:
        self.answers = list(answers) or [ProviderResponse()]
        self.given: list[Action] = []
        self.idempotent = idempotent
        self.gate = asyncio.Event()
        self.gate.set()

    async def execute(self, action: Action) -> ProviderResponse:
        self.given.append(action)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def health_check(self) -> None:
        return

    def named(
        self,
        name: str,
        fallback: str | None = None,
        template: Mapping[str, Any] | None = None,
        threshold: int = 1,
    ) -> RegisteredProvider:
        breaker = CircuitBreaker(failure_threshold=threshold, fallback=fallback, template=template)
        return RegisteredProvider(name, self, circuit_breaker=breaker)


def away(text: str = "refused") -> ProviderConnectionError:
    return ProviderConnectionError(text)


def lost() -> ProviderConnectionError:
    return ProviderConnectionError("reset", delivery="unknown")


def executor_of(
    *providers: RegisteredProvider,
    clock: ManualClock,
    settings: ExecutorSettings = ONCE,
    letters: MemoryDeadLetters | None = None,
) -> Executor:
    return Executor(
        settings,
        providers=ProviderRegistry.listing(providers),
        clock=clock,
        dead_letters=letters,
    )


def failure(execution: Execution) -> Failed:
    assert isinstance(execution.result, Failed)
    return execution.result


async def test_while_the_circuit_is_open_the_fallback_delivers(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(away()), Service()
    a = first.named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock)
    executor.line(a).circuit.open_by_hand()
    assert await executor.execute(a, action) == Execution(
        ProviderResponse(),
        Certainty.DELIVERED,
        1,
        provider="b",
        fallback="circuit open: it was opened by hand",
    )
    assert (len(first.given), second.given) == (0, [action])


async def test_when_its_own_failure_opens_the_circuit_the_fallback_delivers_this_one_already(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(away()), Service()
    a = first.named("a", "b", threshold=3)
    executor = executor_of(a, second.named("b"), clock=clock, settings=ExecutorSettings())
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(a, action))
        await clock.advance(60 * SECOND)
    execution = call.result()
    assert execution == Execution(
        ProviderResponse(),
        Certainty.DELIVERED,
        4,
        provider="b",
        fallback="connection error: refused",
    )
    assert (len(first.given), len(second.given)) == (3, 1)


async def test_as_long_as_the_circuit_is_closed_a_failure_stays_one(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(away()), Service()
    a = first.named("a", "b", threshold=2)
    executor = executor_of(a, second.named("b"), clock=clock)
    execution = await executor.execute(a, action)
    assert (failure(execution).code, execution.provider, execution.fallback) == (
        "CONNECTION",
        "a",
        None,
    )
    assert second.given == []


async def test_those_that_come_while_one_tries_it_again_go_to_the_fallback(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(away(), OK), Service()
    a = first.named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock)
    await executor.execute(a, action)
    await clock.advance(30 * SECOND)
    first.gate.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        trying = group.create_task(executor.execute(a, action))
        await clock.advance(timedelta(0))
        others = [await executor.execute(a, action) for _ in range(20)]
        first.gate.set()
    assert {other.provider for other in others} == {"b"}
    assert (trying.result().provider, trying.result().fallback) == ("a", None)
    assert (await executor.execute(a, action)).provider == "a"


async def test_what_may_have_been_delivered_is_not_delivered_by_another(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(lost()), Service()
    a = first.named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock)
    execution = await executor.execute(a, action)
    assert executor.line(a).circuit.state is CircuitState.OPEN
    assert (execution.certainty, execution.provider) == (Certainty.UNKNOWN, "a")
    assert second.given == []
    assert (await executor.execute(a, action)).provider == "b"


async def test_an_earlier_doubt_keeps_the_fallback_away_too(
    action: Action, clock: ManualClock
) -> None:
    first, second = Service(lost(), away(), idempotent=True), Service()
    a = first.named("a", "b", threshold=2)
    executor = executor_of(a, second.named("b"), clock=clock, settings=ExecutorSettings())
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(a, action))
        await clock.advance(60 * SECOND)
    assert executor.line(a).circuit.state is CircuitState.OPEN
    assert (call.result().certainty, call.result().provider) == (Certainty.UNKNOWN, "a")
    assert second.given == []


@pytest.mark.parametrize(
    "answer",
    [REFUSED, ExecutionFailedError("no"), ProviderSerializationError("no text")],
    ids=["failure", "refused", "serialization"],
)
async def test_what_is_the_actions_own_fault_is_not_taken_to_another(
    action: Action, clock: ManualClock, answer: ProviderResponse | Exception
) -> None:
    first, second = Service(answer), Service()
    a = first.named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock)
    gate = first.gate
    gate.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(a, action))
        await clock.advance(timedelta(0))
        executor.line(a).circuit.open_by_hand()  # While it is under way.
        gate.set()
    assert (call.result().provider, call.result().fallback) == ("a", None)
    assert second.given == []


async def test_of_three_the_last_one_delivers_and_all_attempts_count(
    action: Action, clock: ManualClock
) -> None:
    services = [Service(away("one")), Service(away("two")), Service()]
    letters = MemoryDeadLetters()
    a, b = services[0].named("a", "b"), services[1].named("b", "c")
    executor = executor_of(a, b, services[2].named("c"), clock=clock, letters=letters)
    assert await executor.execute(a, action) == Execution(
        ProviderResponse(), Certainty.DELIVERED, 3, provider="c", fallback="connection error: one"
    )
    again = await executor.execute(a, action)
    assert (again.provider, again.attempts) == ("c", 1)
    assert len(letters) == 0


async def test_the_fallback_has_all_the_attempts_that_its_limits_give_it(
    action: Action, clock: ManualClock
) -> None:
    second = Service(away("two"), away("two"), ProviderResponse())
    a = Service(away("one")).named("a", "b")
    b = RegisteredProvider("b", second, limits=CallLimits(max_retries=2))
    executor = executor_of(a, b, clock=clock)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(a, action))
        await clock.advance(60 * SECOND)
    assert (call.result().certainty, call.result().attempts) == (Certainty.DELIVERED, 4)


async def test_an_action_is_given_up_once_when_all_have_failed(
    action: Action, clock: ManualClock
) -> None:
    letters = MemoryDeadLetters()
    a = Service(away("one")).named("a", "b", {"text": "{{ payload.secret }}"})
    b = Service(away("two")).named("b")
    executor = executor_of(a, b, clock=clock, letters=letters)
    execution = await executor.execute(a, action)
    assert execution == Execution(
        Failed(code="CONNECTION", message="connection error: two", retryable=True, attempts=2),
        Certainty.NOT_DELIVERED,
        2,
        provider="b",
        fallback="connection error: one",
    )
    (letter,) = await letters.drain()
    assert (letter.error, letter.attempts) == ("connection error: two", 2)


@pytest.mark.parametrize("ring", ["a", "ab", "abc"])
async def test_those_who_stand_in_for_each_other_are_asked_once_each(
    action: Action, clock: ManualClock, ring: str
) -> None:
    services = [Service(away(name)) for name in ring]
    providers = [
        service.named(name, following)
        for service, name, following in zip(services, ring, ring[1:] + ring[0], strict=True)
    ]
    executor = executor_of(*providers, clock=clock)
    async with asyncio.timeout(10):
        execution = await executor.execute(providers[0], action)
        assert [len(service.given) for service in services] == [1] * len(ring)
        assert (failure(execution).message, execution.provider) == (
            f"connection error: {ring[-1]}",
            ring[-1],
        )
        assert failure(await executor.execute(providers[0], action)).code == "CIRCUIT_OPEN"
    assert executor.would_call(providers[0]) is None


async def test_one_that_stands_in_for_itself_does_not(action: Action, clock: ManualClock) -> None:
    a = Service(away()).named("a", "a")
    executor = executor_of(a, clock=clock)
    execution = await executor.execute(a, action)
    assert (execution.provider, execution.fallback, execution.attempts) == ("a", None, 1)


async def test_the_fallback_gets_the_payload_that_the_template_makes(
    action: Action, clock: ManualClock
) -> None:
    second = Service()
    a = Service(away()).named("a", "b", {"text": "psst: {{ payload.secret }}", "of": ["{{ id }}"]})
    executor = executor_of(a, second.named("b"), clock=clock)
    await executor.execute(a, action)
    (given,) = second.given
    assert given.payload == {"text": "psst: hush", "of": ["action-1"]}
    assert (given.id, given.provider, given.tenant) == (action.id, action.provider, action.tenant)
    assert action.payload == {"secret": "hush"}


async def test_a_template_that_cannot_be_filled_in_fails_the_action(
    action: Action, clock: ManualClock
) -> None:
    second = Service()
    a = Service(away()).named("a", "b", {"text": "{{ payload.missing }}"})
    executor = executor_of(a, second.named("b"), clock=clock)
    execution = await executor.execute(a, action)
    assert failure(execution).code == "SERIALIZATION"
    assert "missing" in failure(execution).message
    assert not failure(execution).retryable
    assert (execution.certainty, execution.attempts) == (Certainty.NOT_DELIVERED, 1)
    assert (execution.provider, execution.fallback) == ("b", "connection error: refused")
    assert second.given == []


async def test_a_fallback_that_there_is_not_leaves_the_failure_as_it_was(
    action: Action, clock: ManualClock
) -> None:
    letters = MemoryDeadLetters()
    a = Service(away()).named("a", "gone")
    executor = executor_of(a, clock=clock, letters=letters)
    execution = await executor.execute(a, action)
    assert (failure(execution).code, execution.provider, execution.fallback) == (
        "CONNECTION",
        "a",
        None,
    )
    assert failure(await executor.execute(a, action)).code == "CIRCUIT_OPEN"
    assert len(letters) == 2


async def test_an_unknown_end_of_the_fallback_is_the_end(
    action: Action, clock: ManualClock
) -> None:
    second = Service(lost())
    a = Service(away(), idempotent=True).named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock, settings=ExecutorSettings())
    executor.line(a).circuit.open_by_hand()
    execution = await executor.execute(a, action)
    assert (execution.certainty, execution.provider) == (Certainty.UNKNOWN, "b")
    assert not failure(execution).retryable
    assert len(second.given) == 1


async def test_whoever_is_being_called_is_known_when_the_caller_goes_away(
    action: Action, clock: ManualClock
) -> None:
    second = Service()
    second.gate.clear()
    a = Service(away()).named("a", "b")
    executor = executor_of(a, second.named("b"), clock=clock)
    progress = Progress()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(a, action, progress))
        await clock.advance(timedelta(0))
        call.cancel()
    assert (progress.called, progress.in_doubt, progress.attempts) == ("b", True, 2)


async def test_the_fallback_that_counts_is_that_of_the_one_that_is_there_by_now(
    action: Action, clock: ManualClock
) -> None:
    first, second, third = Service(away()), Service(), Service()
    old, new = first.named("a", "b"), first.named("a", "c")
    others = second.named("b"), third.named("c")
    executor = executor_of(old, *others, clock=clock)
    first.gate.clear()
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(old, action))
        await clock.advance(timedelta(0))
        executor.providers.exchange([new, *others])
        executor.line(new).circuit.open_by_hand()
        first.gate.set()
    assert call.result().provider == "c"


async def test_who_would_be_called_is_who_is_called(action: Action, clock: ManualClock) -> None:
    services = {name: Service() for name in "abc"}
    a, b, c = (
        services["a"].named("a", "b"),
        services["b"].named("b", "c"),
        services["c"].named("c"),
    )
    executor = executor_of(a, b, c, clock=clock)
    expected: list[tuple[RegisteredProvider | None, Callable[[], None]]] = [
        (a, executor.line(a).circuit.open_by_hand),
        (b, executor.line(b).circuit.open_by_hand),
        (c, executor.line(c).circuit.open_by_hand),
        (None, executor.line(b).circuit.close_by_hand),
        (b, lambda: None),
    ]
    for who, then in expected:
        assert executor.would_call(a) is who
        execution = await executor.execute(a, action)
        assert isinstance(execution.result, ProviderResponse) is (who is not None)
        assert who is None or execution.provider == who.name
        then()
