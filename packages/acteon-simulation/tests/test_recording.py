"""What a provider of a test remembers, answers, and says when an assertion fails."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from acteon.core import Action, ManualClock, ProviderResponse, ResponseStatus
from acteon.provider import (
    ExecutionFailedError,
    ProviderConnectionError,
    ProviderError,
    RateLimitedError,
)
from acteon.simulation import FailureMode, RecordingProvider

Make = Callable[..., Action]


async def test_it_keeps_its_calls_until_it_is_cleared(action: Make) -> None:
    provider = RecordingProvider("email")
    assert (provider.last_call, provider.last_action, provider.calls) == (None, None, [])
    first, second = action(payload={"n": 1}), action(payload={"n": 2})
    response = await provider.execute(first)
    await provider.execute(second)

    assert response.body == {"provider": "email", "action_id": first.id, "simulated": True}
    assert (provider.call_count, len(provider.calls)) == (2, 2)
    assert provider.payloads == [{"n": 1}, {"n": 2}]
    assert provider.last_action == second
    call = provider.calls[0]
    assert (call.number, call.attempt, call.ok, call.delivered) == (1, 1, True, True)
    assert call.response is response
    assert call.started_at <= call.finished_at == call.timestamp
    assert [each.number for each in provider.calls_for(id=second.id)] == [2]
    assert [each.number for each in provider.calls_for(payload={"n": 1}, tenant="tenant-1")] == [1]
    assert provider.calls_for(payload={"n": 1}, tenant="tenant-2") == []
    await provider.health_check()
    provider.clear()
    assert (provider.call_count, provider.calls) == (0, [])


async def test_what_a_function_raises_is_raised_as_it_is(action: Make) -> None:
    def fails(_: Action) -> None:
        raise LookupError("no such user")

    provider = RecordingProvider("email", response_fn=fails)
    with pytest.raises(LookupError, match="no such user") as caught:
        await provider.execute(action())

    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    assert [call.error for call in provider.calls] == [caught.value]


async def test_what_was_sent_is_kept_as_it_was(action: Make) -> None:
    def changes(sent: Action) -> None:
        sent.payload["to"].append("Bob")

    provider = RecordingProvider("email", response_fn=changes)
    payload = {"to": ["Ann"]}
    await provider.execute(action(payload=payload))

    assert payload == {"to": ["Ann", "Bob"]}
    assert provider.payloads == [{"to": ["Ann"]}]


async def test_attempts_are_counted_by_action(action: Make) -> None:
    provider = RecordingProvider("email")
    first, second = action(), action()
    for sent in (first, second, first, first):
        await provider.execute(sent)

    assert [call.attempt for call in provider.calls] == [1, 1, 2, 3]
    provider.clear()
    await provider.execute(first)
    assert [(call.number, call.attempt) for call in provider.calls] == [(1, 1)]


async def test_only_the_newest_calls_are_kept_if_so_told(action: Make) -> None:
    provider = RecordingProvider("email", keep=2)
    for number in range(5):
        await provider.execute(action(payload=number))

    assert (provider.call_count, provider.payloads) == (5, [3, 4])
    assert len(await provider.wait_for_calls(5)) == 2


async def test_it_answers_as_it_is_told(action: Make) -> None:
    async def later(sent: Action) -> Any:
        await asyncio.sleep(0)
        return ProviderResponse(ResponseStatus.PARTIAL, sent.payload)

    provider = RecordingProvider("email", responses=[{"first": True}, RateLimitedError()])
    provider.with_response_fn(later).with_responses("third")

    assert (await provider.execute(action())).body == {"first": True}
    with pytest.raises(RateLimitedError):
        await provider.execute(action())
    assert (await provider.execute(action())).body == "third"
    fourth = await provider.execute(action(payload=4))
    assert (fourth.status, fourth.body) == (ResponseStatus.PARTIAL, 4)
    assert [call.ok for call in provider.calls] == [True, False, True, True]


async def test_a_failure_goes_before_an_answer(action: Make) -> None:
    provider = RecordingProvider("email", response_fn=lambda _: "answer")
    provider.with_failure_mode(FailureMode.every_n(2))
    got: list[str] = []
    for _ in range(4):
        try:
            got.append((await provider.execute(action())).body)
        except ExecutionFailedError as error:
            got.append(str(error))

    assert got == [
        "answer",
        "execution failed: simulated failure on call #2",
        "answer",
        "execution failed: simulated failure on call #4",
    ]


async def test_a_delivery_whose_answer_is_lost_takes_place(action: Make) -> None:
    delivered: list[Action] = []
    provider = RecordingProvider("email", response_fn=delivered.append)
    provider.with_failure_mode(FailureMode.first_n(1).delivered_then_lost())
    sent = action()
    with pytest.raises(ProviderConnectionError, match="the answer to call #1 was lost") as caught:
        await provider.execute(sent)

    assert (caught.value.delivery, delivered) == ("unknown", [sent])
    (call,) = provider.calls
    assert (call.delivered, call.response, call.error) == (True, None, caught.value)


async def test_an_error_that_is_raised_often_does_not_grow(action: Make) -> None:
    lost = ProviderConnectionError("lost")
    failing = RecordingProvider("email", failure=FailureMode.always(error=lost))
    answering = RecordingProvider("email", responses=[lost] * 5)
    depths: set[int] = set()
    for provider in (failing, answering):
        for _ in range(5):
            with pytest.raises(ProviderConnectionError) as caught:
                await provider.execute(action())
            assert caught.value is lost
            depths.add(len(caught.traceback))

    assert max(depths) <= 3


async def test_a_delay_goes_by_the_clock_it_is_given(action: Make) -> None:
    clock = ManualClock()
    provider = RecordingProvider("email", clock=clock).with_delay(timedelta(minutes=5))
    call = asyncio.create_task(provider.execute(action()))
    await clock.advance(timedelta(minutes=4))
    assert not call.done()
    await clock.advance(timedelta(minutes=1))
    await call

    assert provider.calls[0].duration == timedelta(minutes=5)


async def test_a_call_that_is_cancelled_is_kept_as_well(action: Make) -> None:
    provider = RecordingProvider("email", delay=timedelta(hours=1))
    call = asyncio.create_task(provider.execute(action()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    (kept,) = provider.calls
    assert isinstance(kept.error, asyncio.CancelledError)
    assert not kept.delivered


async def test_calls_under_way_are_forgotten_with_the_others(action: Make) -> None:
    clock = ManualClock()
    provider = RecordingProvider("email", delay=timedelta(seconds=9), clock=clock)
    before = asyncio.create_task(provider.execute(action(payload="before")))
    await clock.advance(timedelta(seconds=5))
    with pytest.raises(AssertionError) as caught:
        provider.assert_not_called()
    assert str(caught.value).splitlines()[1:] == ["  and 1 under way"]
    provider.clear()
    after = asyncio.create_task(provider.execute(action(payload="after")))
    await clock.advance(timedelta(seconds=9))
    await before
    await after

    assert (provider.call_count, provider.payloads) == (1, ["after"])
    assert [call.number for call in provider.calls] == [1]


async def test_calls_are_waited_for(action: Make) -> None:
    provider = RecordingProvider("email")
    waiting = asyncio.create_task(provider.wait_for_calls(3))
    for _ in range(3):
        await asyncio.sleep(0)
        assert not waiting.done()
        await provider.execute(action())

    assert len(await waiting) == 3
    with pytest.raises(AssertionError) as caught:
        await provider.wait_for_calls(4, timeout=0.01)
    assert str(caught.value).splitlines() == [
        "expected 4 calls to provider 'email' within 0.01 s, got 3",
        *(f"  #{number} tests/tenant-1 welcome payload={{}}" for number in (1, 2, 3)),
    ]


async def test_a_call_of_another_thread_wakes_who_waits(action: Make) -> None:
    provider = RecordingProvider("email")
    waiting = asyncio.create_task(provider.wait_for_calls(1))
    await asyncio.sleep(0)
    await asyncio.to_thread(lambda: asyncio.run(provider.execute(action())))

    assert len(await waiting) == 1


def test_calls_of_many_threads_are_all_counted(action: Make) -> None:
    threads, each = 8, 200
    provider = RecordingProvider("email", responses=list(range(threads * each)))
    start = threading.Barrier(threads)
    got: list[list[int]] = []

    async def many() -> None:
        got.append([(await provider.execute(action())).body for _ in range(each)])

    def run() -> None:
        start.wait()
        asyncio.run(many())

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()

    numbers = list(range(1, threads * each + 1))
    assert provider.call_count == len(numbers)
    assert sorted(call.number for call in provider.calls) == numbers
    assert sorted(body for bodies in got for body in bodies) == list(range(threads * each))


async def test_an_assertion_that_fails_shows_the_calls(action: Make) -> None:
    provider = RecordingProvider("email")
    await provider.execute(action(payload={"to": {"name": "Ann", "age": 7}}))
    shown = "got 1\n  #1 tests/tenant-1 welcome payload={'to': {'name': 'Ann', 'age': 7}}"
    with pytest.raises(AssertionError) as caught:
        provider.assert_called(2)
    assert str(caught.value) == f"expected 2 calls to provider 'email', {shown}"
    with pytest.raises(AssertionError) as caught:
        provider.assert_called_at_least(2)
    assert str(caught.value) == f"expected at least 2 calls to provider 'email', {shown}"
    with pytest.raises(AssertionError) as caught:
        provider.assert_not_called()
    assert str(caught.value) == f"expected no calls to provider 'email', {shown}"
    provider.assert_called_once()
    provider.assert_called_with(action_type="welcome", payload={"to": {"name": "Ann"}})
    provider.assert_any_call(tenant="tenant-1")
    provider.assert_call_order(["welcome"])
    with pytest.raises(AssertionError, match=r"the last call with payload=\{'to': 1\}, got 1"):
        provider.assert_called_with(payload={"to": 1})
    with pytest.raises(AssertionError, match="a call with tenant='x', got 1"):
        provider.assert_any_call(tenant="x")
    with pytest.raises(AssertionError, match=r"the action types \['a'\], got 1"):
        provider.assert_call_order(["a"])
    with pytest.raises(AssertionError, match="a call with action_type='welcome', payload="):
        provider.assert_any_call(action_type="welcome", payload={"to": {"name": "Bob"}})


async def test_many_calls_and_long_payloads_are_shown_in_part(action: Make) -> None:
    provider = RecordingProvider("email", failure=FailureMode.every_n(2))
    for _ in range(12):
        with suppress(ProviderError):
            await provider.execute(action(payload="x" * 1000))
    with pytest.raises(AssertionError) as caught:
        provider.assert_called_once()

    first, *lines, last = str(caught.value).splitlines()
    assert first == "expected 1 calls to provider 'email', got 12"
    assert lines[0] == f"  #1 tests/tenant-1 welcome payload='{'x' * 299}…"
    error = "execution failed: simulated failure on call #2"
    assert lines[1].endswith(f"x… -> ExecutionFailedError({error!r})")
    assert (len(lines), last) == (10, "  and 2 more")
