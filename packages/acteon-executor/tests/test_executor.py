"""Calling providers."""

import asyncio
import gc
import inspect
import logging
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from random import Random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, Failed, ManualClock, ProviderResponse, ResponseStatus
from acteon.executor import (
    Backoff,
    Certainty,
    DeadLetter,
    DeadLetterSink,
    Execution,
    Executor,
    ExecutorSettings,
    MemoryDeadLetters,
    Progress,
)
from acteon.provider import (
    ExecutionFailedError,
    ProviderConfigurationError,
    ProviderConnectionError,
    ProviderNotFoundError,
    ProviderSerializationError,
    ProviderTimeoutError,
    RateLimitedError,
    RegisteredProvider,
)

SECOND = timedelta(seconds=1)
FIXED = Backoff(jitter=0)
Step = object


class Scripted:
    """Does one step a call, the last one over and over: answers it, raises it or awaits it."""

    def __init__(self, *steps: Step, idempotent: bool = False) -> None:
        self.steps = steps
        self.idempotent = idempotent
        self.calls = 0
        self.called = asyncio.Event()

    async def execute(self, action: Action) -> Any:
        step: Any = self.steps[min(self.calls, len(self.steps) - 1)]
        self.calls += 1
        self.called.set()
        if isinstance(step, BaseException):
            raise step
        return (await step()) if inspect.iscoroutinefunction(step) else step

    async def health_check(self) -> None:
        return


def registered(provider: Scripted) -> RegisteredProvider:
    return RegisteredProvider("p", provider, provider.idempotent)


def scripted(*steps: Step, idempotent: bool = False) -> RegisteredProvider:
    return registered(Scripted(*steps, idempotent=idempotent))


class Notes:
    """Keeps what it is told of attempts."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, float]] = []

    def attempted(self, provider: str, result: str, seconds: float) -> None:
        self.taken.append((provider, result, seconds))


async def at_the_end(call: Coroutine[Any, Any, Execution], clock: ManualClock) -> Execution:
    """Await `call` while the clock runs as fast as it can."""
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(call)
        while not task.done():
            await clock.advance(timedelta(seconds=60))
    return task.result()


def lost() -> ProviderConnectionError:
    return ProviderConnectionError("reset", delivery="unknown")


def away() -> ProviderConnectionError:
    return ProviderConnectionError("refused")


SUCCESS = ProviderResponse(body={"ok": True})
FAILURE = ProviderResponse(ResponseStatus.FAILURE)
PARTIAL = ProviderResponse(ResponseStatus.PARTIAL)


@pytest.mark.parametrize(
    ("response", "certainty"),
    [
        (SUCCESS, Certainty.DELIVERED),
        (PARTIAL, Certainty.DELIVERED),
        (FAILURE, Certainty.NOT_DELIVERED),
    ],
)
async def test_an_answer_ends_it(
    action: Action, response: ProviderResponse, certainty: Certainty
) -> None:
    assert await Executor().execute(scripted(response), action) == Execution(
        response, certainty, 1, provider="p"
    )


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ProviderNotFoundError("x"), "NOT_FOUND", "provider not found: x"),
        (ExecutionFailedError("x"), "EXECUTION_FAILED", "execution failed: x"),
        (ProviderConfigurationError("x"), "CONFIGURATION", "invalid configuration: x"),
        (ProviderSerializationError("x"), "SERIALIZATION", "serialization error: x"),
    ],
)
async def test_a_definite_error_ends_it(
    action: Action, error: Exception, code: str, message: str
) -> None:
    sink = MemoryDeadLetters()
    execution = await Executor(dead_letters=sink).execute(scripted(error), action)
    failed = Failed(code=code, message=message, retryable=False, attempts=1)
    assert execution == Execution(failed, Certainty.NOT_DELIVERED, 1, provider="p")
    assert len(sink) == 0


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ProviderTimeoutError(SECOND, delivery="none"), "TIMEOUT", "timeout after 1s"),
        (away(), "CONNECTION", "connection error: refused"),
        (RateLimitedError(), "RATE_LIMITED", "rate limited"),
    ],
)
@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_retryable_error_is_tried_again_until_the_attempts_are_used_up(
    action: Action, clock: ManualClock, error: Exception, code: str, message: str, retries: int
) -> None:
    sink = MemoryDeadLetters()
    executor = Executor(ExecutorSettings(max_retries=retries), dead_letters=sink, clock=clock)
    execution = await at_the_end(executor.execute(scripted(error), action), clock)
    attempts = retries + 1
    failed = Failed(code=code, message=message, retryable=True, attempts=attempts)
    assert execution == Execution(failed, Certainty.NOT_DELIVERED, attempts, provider="p")
    (letter,) = await sink.drain()
    assert letter == DeadLetter(
        action=action,
        error=message,
        code=code,
        attempts=attempts,
        timestamp=letter.timestamp,
        target="p",
    )


async def test_a_later_success_is_the_outcome(action: Action, clock: ManualClock) -> None:
    executor = Executor(clock=clock)
    execution = await at_the_end(executor.execute(scripted(away(), SUCCESS), action), clock)
    assert execution == Execution(SUCCESS, Certainty.DELIVERED, 2, provider="p")


async def test_a_later_definite_error_stops_the_attempts(
    action: Action, clock: ManualClock
) -> None:
    sink = MemoryDeadLetters()
    provider = scripted(away(), ExecutionFailedError("no"))
    executor = Executor(clock=clock, dead_letters=sink)
    execution = await at_the_end(executor.execute(provider, action), clock)
    assert execution.attempts == 2
    assert execution.certainty is Certainty.NOT_DELIVERED
    assert len(sink) == 0


async def test_an_unknown_end_is_not_repeated(action: Action) -> None:
    sink = MemoryDeadLetters()
    execution = await Executor(dead_letters=sink).execute(scripted(lost()), action)
    assert isinstance(execution.result, Failed)
    assert not execution.result.retryable
    assert (execution.certainty, execution.attempts) == (Certainty.UNKNOWN, 1)
    assert len(sink) == 1


async def test_an_unknown_end_is_repeated_where_that_does_no_harm(
    action: Action, clock: ManualClock
) -> None:
    provider = scripted(lost(), lost(), SUCCESS, idempotent=True)
    execution = await at_the_end(Executor(clock=clock).execute(provider, action), clock)
    assert execution == Execution(SUCCESS, Certainty.DELIVERED, 3, provider="p")


@pytest.mark.parametrize("last", [FAILURE, ExecutionFailedError("no"), away()])
async def test_a_definite_failure_does_not_undo_an_earlier_doubt(
    action: Action, clock: ManualClock, last: object
) -> None:
    provider = scripted(lost(), last, idempotent=True)
    execution = await at_the_end(Executor(clock=clock).execute(provider, action), clock)
    assert execution.certainty is Certainty.UNKNOWN


Known = Literal["answers", "refuses", "is away", "is lost"]


@given(
    st.lists(st.sampled_from(["answers", "refuses", "is away", "is lost"]), min_size=1),
    st.booleans(),
    st.integers(0, 4),
)
async def test_what_is_claimed_is_known(story: list[Known], idempotent: bool, retries: int) -> None:
    clock = ManualClock()
    steps: dict[Known, object] = {
        "answers": SUCCESS,
        "refuses": FAILURE,
        "is away": away(),
        "is lost": lost(),
    }
    provider = Scripted(*(steps[step] for step in story), idempotent=idempotent)
    executor = Executor(ExecutorSettings(max_retries=retries), clock=clock)
    execution = await at_the_end(
        executor.execute(
            registered(provider),
            Action(namespace="n", tenant="t", provider="p", action_type="a", payload=None),
        ),
        clock,
    )
    made = (story + [story[-1]] * retries)[: provider.calls]
    assert execution.attempts == provider.calls <= retries + 1
    if execution.certainty is Certainty.DELIVERED:
        assert made[-1] == "answers"
    elif execution.certainty is Certainty.NOT_DELIVERED:
        assert not {"answers", "is lost"} & set(made)
    else:
        assert "is lost" in made
    if not idempotent:
        assert "is lost" not in made[:-1]


async def test_pauses_are_those_of_the_back_off(action: Action, clock: ManualClock) -> None:
    provider = Scripted(away())
    executor = Executor(ExecutorSettings(backoff=FIXED), clock=clock)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(registered(provider), action))
        for attempt, pause in enumerate((100, 200, 400), start=1):
            await clock.advance(timedelta(milliseconds=pause - 1))
            assert provider.calls == attempt
            await clock.advance(timedelta(milliseconds=1))
            assert provider.calls == attempt + 1
    assert call.result().attempts == 4
    assert clock.sleepers == 0


async def test_pauses_are_spread_by_the_given_chance(action: Action) -> None:
    ends: list[float] = []
    for seed in range(5):
        clock = ManualClock()
        executor = Executor(clock=clock, random=Random(seed))
        async with asyncio.TaskGroup() as group:
            call = group.create_task(executor.execute(scripted(away()), action))
            while not call.done():
                await clock.advance(timedelta(milliseconds=1))
        ends.append(clock.monotonic())
    assert len(set(ends)) > 1
    assert all(0.35 <= end <= 0.71 for end in ends)


async def test_the_receiver_may_ask_for_a_longer_pause(action: Action, clock: ManualClock) -> None:
    provider = Scripted(RateLimitedError(retry_after=20 * SECOND), SUCCESS)
    executor = Executor(clock=clock)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(registered(provider), action))
        await clock.advance(timedelta(seconds=19.9))
        assert provider.calls == 1
        await clock.advance(timedelta(seconds=0.1))
    assert call.result().result == SUCCESS


async def test_a_shorter_wish_does_not_shorten_the_pause(
    action: Action, clock: ManualClock
) -> None:
    provider = Scripted(RateLimitedError(retry_after=timedelta(0)), SUCCESS)
    executor = Executor(ExecutorSettings(backoff=FIXED), clock=clock)
    async with asyncio.TaskGroup() as group:
        group.create_task(executor.execute(registered(provider), action))
        await clock.advance(timedelta(milliseconds=99))
        assert provider.calls == 1
        await clock.advance(timedelta(milliseconds=1))
    assert provider.calls == 2


async def test_too_long_a_wish_ends_the_attempts(action: Action) -> None:
    sink = MemoryDeadLetters()
    provider = scripted(RateLimitedError(retry_after=31 * SECOND))
    execution = await Executor(dead_letters=sink).execute(provider, action)
    assert isinstance(execution.result, Failed)
    assert execution.result.retryable
    assert execution.attempts == 1
    assert len(sink) == 1


async def forever() -> ProviderResponse:
    await asyncio.Event().wait()
    return SUCCESS


async def own_timeout() -> ProviderResponse:
    async with asyncio.timeout(0):
        return await forever()


async def own_cancellation() -> ProviderResponse:
    inner = asyncio.get_running_loop().create_future()
    inner.cancel()
    await inner
    return SUCCESS


async def stubborn_error() -> ProviderResponse:
    try:
        return await forever()
    except asyncio.CancelledError:
        raise ProviderConnectionError("interrupted") from None


async def stubborn_crash() -> ProviderResponse:
    try:
        return await forever()
    except asyncio.CancelledError:
        raise KeyError("interrupted") from None


async def stubborn_answer() -> ProviderResponse:
    try:
        return await forever()
    except asyncio.CancelledError:
        return SUCCESS


HURRIED = ExecutorSettings(max_retries=0, timeout=timedelta(milliseconds=20))


@pytest.mark.parametrize("step", [forever, stubborn_error, stubborn_crash])
async def test_an_attempt_that_takes_too_long_ends_unknown(action: Action, step: Step) -> None:
    notes = Notes()
    execution = await Executor(HURRIED, observer=notes).execute(scripted(step), action)
    failed = Failed(code="TIMEOUT", message="timeout after 20ms", retryable=False, attempts=1)
    assert execution == Execution(failed, Certainty.UNKNOWN, 1, provider="p")
    assert [result for _, result, _ in notes.taken] == ["timeout"]


async def test_an_answer_at_the_last_moment_counts(action: Action) -> None:
    execution = await Executor(HURRIED).execute(scripted(stubborn_answer), action)
    assert execution == Execution(SUCCESS, Certainty.DELIVERED, 1, provider="p")


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (own_timeout, "TimeoutError"),
        (own_cancellation, "cancelled from within"),
        (asyncio.CancelledError(), "cancelled from within"),
        (TimeoutError("socket"), "TimeoutError: socket"),
        (KeyError("x"), "KeyError: 'x'"),
        (ValueError("y" * 1000), "ValueError: " + "y" * 226),
        ({"status": "success"}, "the provider returned no ProviderResponse but dict"),
        (None, "the provider returned no ProviderResponse but NoneType"),
        (
            ProviderResponse("success"),  # type: ignore[arg-type]  # as somebody may write it
            "the provider returned a ProviderResponse whose status is 'success'",
        ),
    ],
)
async def test_whatever_else_a_provider_does_is_its_failure_of_unknown_end(
    action: Action, step: Step, text: str
) -> None:
    execution = await Executor().execute(scripted(step, idempotent=True), action)
    failed = Failed(
        code="EXECUTION_FAILED", message=f"execution failed: {text}", retryable=False, attempts=1
    )
    assert execution == Execution(failed, Certainty.UNKNOWN, 1, provider="p")


@pytest.mark.parametrize("step", [forever, stubborn_error, stubborn_crash, stubborn_answer])
async def test_who_cancels_is_cancelled(action: Action, step: Step) -> None:
    notes = Notes()
    sink = MemoryDeadLetters()
    executor = Executor(observer=notes, dead_letters=sink)
    provider = Scripted(step, idempotent=True)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(registered(provider), action))
        await provider.called.wait()
        call.cancel()
    assert call.cancelled()
    assert executor.in_flight == 0
    assert provider.calls == 1
    assert len(sink) == 0


async def test_a_callers_own_limit_stays_the_callers(action: Action) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.02):
            await Executor().execute(scripted(stubborn_error), action)


async def test_who_cancels_during_a_pause_leaves_nothing_behind(
    action: Action, clock: ManualClock
) -> None:
    executor = Executor(clock=clock)
    async with asyncio.TaskGroup() as group:
        call = group.create_task(executor.execute(scripted(away()), action))
        await clock.advance(timedelta(0))
        assert clock.sleepers == 1
        call.cancel()
    assert call.cancelled()
    assert clock.sleepers == 0


class Gate:
    """A step that counts who is inside and lets them out one by one."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.order: list[str] = []
        self.exits = asyncio.Semaphore(0)

    def provider(self) -> RegisteredProvider:
        gate = self

        class Entering:
            idempotent = False

            async def execute(self, action: Action) -> ProviderResponse:
                gate.order.append(action.id)
                gate.inside += 1
                gate.most = max(gate.most, gate.inside)
                try:
                    await gate.exits.acquire()
                finally:
                    gate.inside -= 1
                return SUCCESS

            async def health_check(self) -> None:
                return

        return RegisteredProvider("gate", Entering(), False)


def numbered(number: int) -> Action:
    return Action(
        namespace="n", tenant="t", provider="p", action_type="a", payload=None, id=str(number)
    )


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_more_than_allowed_run_at_once_and_first_come_first_served() -> None:
    gate = Gate()
    executor = Executor(ExecutorSettings(max_concurrent=3))
    async with asyncio.TaskGroup() as group:
        for number in range(10):
            group.create_task(executor.execute(gate.provider(), numbered(number)))
        await turns()
        assert (gate.inside, executor.in_flight) == (3, 3)
        for _ in range(10):
            gate.exits.release()
    assert gate.most == 3
    assert gate.order == [str(number) for number in range(10)]
    assert executor.in_flight == 0


async def test_a_pause_holds_no_place(action: Action, clock: ManualClock) -> None:
    executor = Executor(ExecutorSettings(max_concurrent=1), clock=clock)
    async with asyncio.TaskGroup() as group:
        paused = group.create_task(executor.execute(scripted(away(), SUCCESS), action))
        await turns()
        assert clock.sleepers == 1
        assert (await executor.execute(scripted(SUCCESS), action)).result == SUCCESS
        await clock.advance(SECOND)
    assert paused.result().attempts == 2


async def test_the_time_in_line_does_not_count_as_the_attempts() -> None:
    gate = Gate()
    executor = Executor(
        ExecutorSettings(max_concurrent=1, timeout=timedelta(milliseconds=50), max_retries=0)
    )
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(executor.execute(gate.provider(), numbered(number)))
            for number in range(3)
        ]
    codes = [call.result().result for call in calls]
    assert [code.code for code in codes if isinstance(code, Failed)] == ["TIMEOUT"] * 3


async def test_places_of_the_cancelled_are_given_back() -> None:
    gate = Gate()
    executor = Executor(ExecutorSettings(max_concurrent=2))
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(executor.execute(gate.provider(), numbered(number)))
            for number in range(8)
        ]
        await turns()
        for call in calls[::2]:  # one of those inside, three in line
            call.cancel()
        await turns()
        assert gate.inside == 2
        for _ in range(8):
            gate.exits.release()
    assert [call.cancelled() for call in calls] == [True, False] * 4
    assert gate.order == ["0", "1", "3", "5", "7"]
    assert executor.in_flight == 0


async def test_every_attempt_is_observed(action: Action, clock: ManualClock) -> None:
    notes = Notes()
    executor = Executor(observer=notes, clock=clock)

    async def slow() -> ProviderResponse:
        clock.move(2 * SECOND)
        return PARTIAL

    steps = (away(), RateLimitedError(), slow)
    await at_the_end(executor.execute(scripted(*steps), action), clock)
    await executor.execute(scripted(FAILURE), action)
    assert [(provider, result) for provider, result, _ in notes.taken] == [
        ("p", "connection"),
        ("p", "rate_limited"),
        ("p", "partial"),
        ("p", "failure"),
    ]
    assert [seconds for _, _, seconds in notes.taken] == pytest.approx([0, 0, 2, 0])


class Broken(DeadLetterSink):
    """Loses letters in the way of `problem`."""

    def __init__(self, problem: Callable[[], Awaitable[None]]) -> None:
        self.problem = problem

    async def push(self, letter: DeadLetter) -> None:
        await self.problem()

    async def drain(self, limit: int | None = None) -> tuple[DeadLetter, ...]:
        return ()

    def __len__(self) -> int:
        return 0


async def test_a_sink_that_fails_is_logged_and_changes_nothing(
    action: Action, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise OSError("disk full")

    executor = Executor(HURRIED, dead_letters=Broken(fail))
    execution = await executor.execute(scripted(away()), action)
    assert isinstance(execution.result, Failed)
    assert execution.result.code == "CONNECTION"
    assert "dead letter lost" in caplog.messages


async def test_what_is_logged_holds_no_payload(
    action: Action, caplog: pytest.LogCaptureFixture, clock: ManualClock
) -> None:
    with caplog.at_level(logging.DEBUG, logger="acteon"):
        executor = Executor(clock=clock)
        await at_the_end(executor.execute(scripted(away(), KeyError("hush")), action), clock)
    assert caplog.messages == [
        "provider failed, will retry",
        "provider raised what is no ProviderError",
        "provider failed, given up",
    ]
    assert "hush" not in str([vars(record) for record in caplog.records])
    (raised,) = [vars(each) for each in caplog.records if "acteon.traceback" in vars(each)]
    assert raised["acteon.error"] == "KeyError"
    assert "in execute" in raised["acteon.traceback"]


async def test_nothing_is_left_of_many_executions() -> None:
    before = asyncio.all_tasks()
    clock = ManualClock()
    executor = Executor(ExecutorSettings(max_concurrent=7), clock=clock)
    stories = [(SUCCESS,), (away(), SUCCESS), (lost(),), (FAILURE,), (KeyError("x"),)]
    async with asyncio.TaskGroup() as group:
        calls = [
            group.create_task(executor.execute(scripted(*stories[number % 5]), numbered(number)))
            for number in range(500)
        ]
        while not all(call.done() for call in calls):
            await clock.advance(SECOND)
    assert executor.in_flight == 0
    assert asyncio.all_tasks() == before


async def test_a_failure_leaves_nothing_to_the_garbage_collector(action: Action) -> None:
    raised: list[weakref.ref[Exception]] = []

    async def fail() -> ProviderResponse:
        error = lost()
        raised.append(weakref.ref(error))
        try:
            raise error
        finally:
            del error

    gc.disable()
    try:
        await Executor().execute(scripted(fail), action)
        assert raised[0]() is None
    finally:
        gc.enable()


async def test_a_call_that_is_cancelled_leaves_its_end_in_doubt(action: Action) -> None:
    progress = Progress()
    provider = Scripted(forever)
    call = asyncio.create_task(Executor().execute(registered(provider), action, progress))
    await provider.called.wait()
    call.cancel()
    await asyncio.wait([call])

    assert (progress.attempts, progress.in_doubt) == (1, True)


@pytest.mark.parametrize(
    ("delivery", "in_doubt"), [("none", False), ("unknown", True)], ids=["certain", "unknown"]
)
async def test_cancelled_between_two_calls_it_is_known_what_the_first_did(
    action: Action, clock: ManualClock, delivery: Literal["none", "unknown"], in_doubt: bool
) -> None:
    progress = Progress()
    provider = Scripted(ProviderConnectionError("away", delivery=delivery), idempotent=True)
    executor = Executor(clock=clock)
    call = asyncio.create_task(executor.execute(registered(provider), action, progress))
    await clock.advance(timedelta(0))
    assert (provider.calls, clock.sleepers) == (1, 1)
    call.cancel()
    await asyncio.wait([call])

    assert (progress.attempts, progress.in_doubt) == (1, in_doubt)


async def test_cancelled_in_the_queue_nothing_is_in_doubt(action: Action) -> None:
    executor = Executor(ExecutorSettings(max_concurrent=1))
    first, progress = Scripted(forever), Progress()
    running = asyncio.create_task(executor.execute(registered(first), action))
    await first.called.wait()
    queued = asyncio.create_task(executor.execute(scripted(SUCCESS), action, progress))
    await asyncio.sleep(0)
    queued.cancel()
    running.cancel()
    await asyncio.wait([queued, running])

    assert (progress.attempts, progress.in_doubt) == (0, False)


async def test_who_may_not_go_on_makes_no_further_call(action: Action, clock: ManualClock) -> None:
    provider = Scripted(ProviderConnectionError("away"))
    progress = Progress(give_up=lambda: provider.calls >= 2)
    executor = Executor(clock=clock)
    execution = await at_the_end(executor.execute(registered(provider), action, progress), clock)

    assert (execution.attempts, provider.calls) == (2, 2)
    assert execution.certainty is Certainty.NOT_DELIVERED
