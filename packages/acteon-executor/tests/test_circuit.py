"""When a provider is left alone, and when it is asked again."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, Failed, ManualClock, ProviderResponse, ResponseStatus
from acteon.executor import (
    Backoff,
    Certainty,
    Circuit,
    CircuitState,
    Execution,
    Executor,
    ExecutorSettings,
)
from acteon.provider import (
    CircuitBreaker,
    ExecutionFailedError,
    FunctionProvider,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderError,
    ProviderNotFoundError,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
    RegisteredProvider,
)

SECOND = timedelta(seconds=1)
BREAKER = CircuitBreaker(failure_threshold=3, recovery_timeout=10 * SECOND)
ONCE = ExecutorSettings(max_retries=0)
OK = ProviderResponse()


class Service:
    """Answers what it is told to, the last answer over and over, while its gate is open."""

    def __init__(self, *answers: ProviderResponse | Exception) -> None:
        self.answers = list(answers) or [OK]
        self.calls = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.idempotent = False

    async def execute(self, action: Action) -> ProviderResponse:
        self.calls += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def health_check(self) -> None:
        return

    def registered(self, breaker: CircuitBreaker | None = BREAKER) -> RegisteredProvider:
        return RegisteredProvider("p", self, circuit_breaker=breaker)


def away() -> ProviderConnectionError:
    return ProviderConnectionError("refused")


def state_of(circuit: Circuit) -> CircuitState:
    """Return its state; type checkers would take it for one that does not change."""
    return circuit.state


def code_of(execution: Execution) -> str:
    return execution.result.code if isinstance(execution.result, Failed) else "answered"


class Told:
    """A circuit as its documentation tells it: each call knows in which of its lives it began."""

    def __init__(self, breaker: CircuitBreaker | None) -> None:
        self.breaker = breaker
        self.state: Literal["closed", "open", "half_open"] = "closed"
        self.by_hand = False
        self.failed: list[int] = []
        self.reopens_at = 0.0
        self.probe: int | None = None
        self.life: list[int] = []

    def begin(self, call: int, now: float) -> bool:
        if self.state == "open" and not self.by_hand and now >= self.reopens_at:
            self.state, self.life = "half_open", []
        if self.state == "open" or (self.state == "half_open" and self.probe is not None):
            return False
        if self.state == "half_open":
            self.probe = call
        self.life.append(call)
        return True

    def end(self, call: int, well: bool | None, now: float) -> None:
        if call not in self.life:
            return
        probing = self.probe == call
        self.probe = None
        if well is None:
            return
        if well:
            self.failed = []
            if probing:
                self.switch("closed")
            return
        self.failed.append(call)
        breaker = self.breaker
        if breaker and (probing or len(self.failed) >= breaker.failure_threshold):
            self.switch("open")
            self.reopens_at = now + breaker.recovery_timeout.total_seconds()

    def switch(self, state: Literal["closed", "open"]) -> None:
        self.state, self.life, self.probe = state, [], None


Begin = tuple[Literal["begin"]]
Event = tuple[str, Any]
EVENTS: st.SearchStrategy[Sequence[Event]] = st.lists(
    st.one_of(
        st.just(("begin", None)),
        st.just(("begin", None)),
        st.tuples(
            st.just("end"),
            st.tuples(st.integers(0, 9), st.sampled_from([False, False, True, None])),
        ),
        st.tuples(st.just("wait"), st.sampled_from([0.5, 1.0, 2.0, 4.0])),
        st.sampled_from([("open", None), ("close", None)]),
    ),
    max_size=60,
)
BREAKERS = st.none() | st.builds(
    CircuitBreaker,
    failure_threshold=st.integers(1, 4),
    recovery_timeout=st.integers(1, 4).map(lambda seconds: seconds * SECOND),
)


@given(BREAKERS, EVENTS)
def test_it_does_what_its_documentation_tells(
    breaker: CircuitBreaker | None, events: Sequence[Event]
) -> None:
    clock = ManualClock()
    circuit, told = Circuit(breaker), Told(breaker)
    under_way: list[tuple[int, int]] = []
    for number, (what, value) in enumerate(events):
        now = clock.monotonic()
        match what:
            case "begin":
                may = circuit.closed_for(now) is None
                entered = circuit.enter(now)
                assert (entered is not None) == may == told.begin(number, now)
                if entered is not None:
                    under_way.append((number, entered))
            case "end":
                place, well = value
                if under_way:
                    call, entered = under_way.pop(place % len(under_way))
                    circuit.leave(entered, well, now)
                    told.end(call, well, now)
            case "wait":
                clock.move(timedelta(seconds=value))
            case "open":
                circuit.open_by_hand()
                told.by_hand = True
                if told.state != "open":
                    told.switch("open")
            case _:
                circuit.close_by_hand()
                told.by_hand, told.failed = False, []
                told.switch("closed")
        assert circuit.state.value == told.state
        assert circuit.forced is told.by_hand
        assert circuit.failures == len(told.failed)


@pytest.mark.parametrize("threshold", [1, 2, 5])
async def test_it_opens_after_exactly_so_many_failures_in_a_row(
    action: Action, clock: ManualClock, threshold: int
) -> None:
    failing = [away() for _ in range(threshold - 1)]
    service = Service(*failing, OK, *failing, away(), away())
    executor = Executor(ONCE, clock=clock)
    provider = service.registered(CircuitBreaker(failure_threshold=threshold))
    circuit = executor.line(provider).circuit
    for _ in range(2 * threshold - 1):
        await executor.execute(provider, action)
        assert circuit.state is CircuitState.CLOSED
    await executor.execute(provider, action)
    assert circuit.state is CircuitState.OPEN
    assert service.calls == 2 * threshold


@pytest.mark.parametrize(
    ("answer", "failures"),
    [
        (away(), 2),
        (ProviderConnectionError("reset", delivery="unknown"), 2),
        (ProviderTimeoutError(SECOND), 2),
        (ProviderTimeoutError(SECOND, delivery="none"), 2),
        (RateLimitedError(), 2),
        (ProviderConfigurationError("401"), 2),
        (ExecutionFailedError("crash", delivery="unknown"), 2),
        (KeyError("x"), 2),
        # It answered, and refused this action alone.
        (ExecutionFailedError("no"), 0),
        (ProviderNotFoundError("no such user"), 0),
        (ProviderResponse(ResponseStatus.FAILURE), 0),
        (ProviderResponse(ResponseStatus.PARTIAL), 0),
        (OK, 0),
        # It was not even asked.
        (ProviderSerializationError("no text"), 1),
    ],
    ids=repr,
)
async def test_failures_are_those_of_the_provider_not_of_the_action(
    action: Action, clock: ManualClock, answer: ProviderResponse | Exception, failures: int
) -> None:
    executor = Executor(ONCE, clock=clock)
    provider = Service(away(), answer).registered()
    for _ in range(2):
        await executor.execute(provider, action)
    assert executor.line(provider).circuit.failures == failures


async def test_while_it_is_open_nobody_is_asked_and_callers_are_told_for_how_long(
    action: Action, clock: ManualClock
) -> None:
    service = Service(away())
    executor = Executor(ONCE, clock=clock)
    provider = service.registered()
    for _ in range(3):
        await executor.execute(provider, action)
    await clock.advance(2.5 * SECOND)
    execution = await executor.execute(provider, action)
    failed = Failed(
        code="CIRCUIT_OPEN",
        message="circuit open: 3 calls failed in a row; the next one is made in 7.5s",
        retryable=True,
        attempts=0,
    )
    assert execution == Execution(failed, Certainty.NOT_DELIVERED, 0, provider="p")
    await clock.advance(7.4 * SECOND)
    await executor.execute(provider, action)
    assert service.calls == 3


@pytest.mark.parametrize("well", [True, False])
async def test_of_a_hundred_at_once_one_tries_it_again(
    action: Action, clock: ManualClock, well: bool
) -> None:
    service = Service(away(), away(), away(), OK if well else away(), OK)
    executor = Executor(ONCE, clock=clock)
    provider = service.registered()
    circuit = executor.line(provider).circuit
    for _ in range(3):
        await executor.execute(provider, action)
    await clock.advance(10 * SECOND)
    service.gate.clear()
    async with asyncio.TaskGroup() as group:
        calls = [group.create_task(executor.execute(provider, action)) for _ in range(100)]
        await clock.advance(timedelta(0))
        assert sum(call.done() for call in calls) == 99
        assert (service.calls, circuit.state) == (4, CircuitState.HALF_OPEN)
        service.gate.set()
    codes = [code_of(call.result()) for call in calls]
    assert codes.count("CIRCUIT_OPEN") == 99
    messages = {r.message for call in calls[1:] if isinstance(r := call.result().result, Failed)}
    assert messages == {"circuit open: one call is being made, to see whether it is worth it"}
    assert circuit.state is (CircuitState.CLOSED if well else CircuitState.OPEN)
    again = code_of(await executor.execute(provider, action))
    assert again == ("answered" if well else "CIRCUIT_OPEN")
    if not well:
        await clock.advance(10 * SECOND)
        assert code_of(await executor.execute(provider, action)) == "answered"
        assert (circuit.state, circuit.opened) == (CircuitState.CLOSED, 2)


async def test_when_the_one_that_tries_is_cancelled_the_next_may_try(
    action: Action, clock: ManualClock
) -> None:
    service = Service(away(), away(), away(), OK)
    executor = Executor(ONCE, clock=clock)
    provider = service.registered()
    for _ in range(3):
        await executor.execute(provider, action)
    await clock.advance(10 * SECOND)
    service.gate.clear()
    async with asyncio.TaskGroup() as group:
        trying = group.create_task(executor.execute(provider, action))
        await clock.advance(timedelta(0))
        assert code_of(await executor.execute(provider, action)) == "CIRCUIT_OPEN"
        trying.cancel()
    assert executor.line(provider).circuit.state is CircuitState.HALF_OPEN
    service.gate.set()
    assert code_of(await executor.execute(provider, action)) == "answered"
    assert executor.line(provider).circuit.state is CircuitState.CLOSED


async def test_one_that_tries_and_cannot_be_sent_leaves_the_next_to_try(
    action: Action, clock: ManualClock
) -> None:
    service = Service(away(), away(), away(), ProviderSerializationError("no text"), OK)
    executor = Executor(ONCE, clock=clock)
    provider = service.registered()
    circuit = executor.line(provider).circuit
    for _ in range(3):
        await executor.execute(provider, action)
    await clock.advance(10 * SECOND)
    assert code_of(await executor.execute(provider, action)) == "SERIALIZATION"
    assert state_of(circuit) is CircuitState.HALF_OPEN
    assert code_of(await executor.execute(provider, action)) == "answered"
    assert circuit.state is CircuitState.CLOSED


async def test_results_of_calls_from_before_it_turned_tell_nothing(
    action: Action, clock: ManualClock
) -> None:
    gates = [asyncio.Event() for _ in range(2)]
    results: list[ProviderResponse | ProviderError] = [OK, away()]
    waiting = iter(zip(gates, results, strict=True))
    late = True

    async def deliver(_: Action) -> ProviderResponse:
        if late:
            gate, result = next(waiting)
            await gate.wait()
        else:
            result = failing.pop(0)
        if isinstance(result, ProviderError):
            raise result
        return result

    failing: list[ProviderResponse | ProviderError] = [away(), away(), away(), OK]
    provider = RegisteredProvider("p", FunctionProvider(deliver), circuit_breaker=BREAKER)
    executor = Executor(ONCE, clock=clock)
    circuit = executor.line(provider).circuit
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(executor.execute(provider, action))
        await clock.advance(timedelta(0))
        late = False
        for _ in range(3):
            await executor.execute(provider, action)
        assert state_of(circuit) is CircuitState.OPEN
        gates[0].set()  # It ends well, after all: the circuit stays open.
        await clock.advance(timedelta(0))
        assert (circuit.state, circuit.failures) == (CircuitState.OPEN, 3)
        await clock.advance(10 * SECOND)
        await executor.execute(provider, action)
        assert circuit.state is CircuitState.CLOSED
        gates[1].set()  # It fails at last: that was known.
    assert (circuit.state, circuit.failures) == (CircuitState.CLOSED, 0)


async def test_opened_by_hand_it_stays_open_until_it_is_closed_by_hand(
    action: Action, clock: ManualClock
) -> None:
    service = Service()
    executor = Executor(ONCE, clock=clock)
    provider = service.registered()
    circuit = executor.line(provider).circuit
    circuit.open_by_hand()
    await clock.advance(timedelta(days=300))
    execution = await executor.execute(provider, action)
    assert isinstance(execution.result, Failed)
    assert execution.result.message == "circuit open: it was opened by hand"
    circuit.close_by_hand()
    assert code_of(await executor.execute(provider, action)) == "answered"
    assert service.calls == 1


async def test_without_settings_it_turns_only_by_hand(action: Action, clock: ManualClock) -> None:
    service = Service(away())
    executor = Executor(ONCE, clock=clock)
    provider = service.registered(None)
    circuit = executor.line(provider).circuit
    for _ in range(100):
        assert code_of(await executor.execute(provider, action)) == "CONNECTION"
    assert (circuit.state, circuit.failures) == (CircuitState.CLOSED, 100)
    circuit.open_by_hand()
    assert code_of(await executor.execute(provider, action)) == "CIRCUIT_OPEN"
    circuit.close_by_hand()
    assert (circuit.failures, circuit.forced) == (0, False)


async def test_opened_by_hand_it_stays_so_under_other_settings(
    action: Action, clock: ManualClock
) -> None:
    service = Service()
    executor = Executor(ONCE, clock=clock)
    executor.line(service.registered()).circuit.open_by_hand()
    for breaker in (CircuitBreaker(failure_threshold=7), None):
        provider = service.registered(breaker)
        assert code_of(await executor.execute(provider, action)) == "CIRCUIT_OPEN"
        circuit = executor.line(provider).circuit
        assert (circuit.settings, circuit.forced) == (breaker, True)


async def test_attempts_end_when_it_opens(action: Action, clock: ManualClock) -> None:
    service = Service(away())
    executor = Executor(ExecutorSettings(max_retries=9, backoff=Backoff(jitter=0)), clock=clock)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(service.registered(), action))
        await clock.advance(timedelta(milliseconds=301))  # No pause after the last one.
        assert call.done()
    assert (code_of(call.result()), call.result().attempts) == ("CONNECTION", 3)


async def test_that_it_turns_is_logged_once(
    action: Action, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    executor = Executor(ONCE, clock=clock)
    provider = Service(away(), away(), away(), OK).registered()
    with caplog.at_level(logging.INFO, logger="acteon"):
        for _ in range(50):
            await executor.execute(provider, action)
        await clock.advance(10 * SECOND)
        await executor.execute(provider, action)
    assert [message for message in caplog.messages if "circuit" in message] == [
        "circuit opened: the provider is left alone for now",
        "circuit closed: the provider is well again",
    ]
