"""What a provider of a test remembers, answers, and says when an assertion fails."""

import asyncio
from collections.abc import Callable
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
from acteon.simulation import FailingProvider, FailureMode, RecordingProvider
from acteon.simulation.assertions import (
    assert_all_executed,
    assert_all_succeeded,
    assert_failed_with,
    assert_provider_called,
    assert_provider_not_called,
    assert_provider_received_action_type,
    assert_provider_received_payload_value,
    assert_rerouted_to,
    assert_suppressed_by,
    assert_throttled_for,
)

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
    assert provider.last_action is second
    call = provider.calls[0]
    assert (call.number, call.attempt, call.ok, call.delivered) == (1, 1, True, True)
    assert call.response is response
    assert call.started_at <= call.finished_at == call.timestamp
    assert [each.number for each in provider.calls_for(id=second.id)] == [2]
    await provider.health_check()
    provider.clear()
    assert (provider.call_count, provider.calls) == (0, [])


async def test_only_the_newest_calls_are_kept_if_so_told(action: Make) -> None:
    provider = RecordingProvider("email", keep=2)
    for number in range(5):
        await provider.execute(action(payload=number))

    assert (provider.call_count, provider.payloads) == (5, [3, 4])


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


async def test_calls_are_waited_for(action: Make) -> None:
    provider = RecordingProvider("email")
    waiting = asyncio.create_task(provider.wait_for_calls(3))
    for _ in range(3):
        await asyncio.sleep(0)
        assert not waiting.done()
        await provider.execute(action())

    assert len(await waiting) == 3
    with pytest.raises(
        AssertionError, match=r"expected 4 calls to provider 'email' within 0\.01 s"
    ):
        await provider.wait_for_calls(4, timeout=0.01)


async def test_a_call_of_another_thread_wakes_who_waits(action: Make) -> None:
    provider = RecordingProvider("email")
    waiting = asyncio.create_task(provider.wait_for_calls(1))
    await asyncio.sleep(0)
    await asyncio.to_thread(lambda: asyncio.run(provider.execute(action())))

    assert len(await waiting) == 1


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


@pytest.mark.parametrize(
    ("make", "text", "code", "retryable"),
    [
        (
            lambda: FailingProvider.execution_failed("p", "no"),
            "execution failed: no",
            "EXECUTION_FAILED",
            False,
        ),
        (
            lambda: FailingProvider.timeout("p", timedelta(milliseconds=10)),
            "timeout after 10ms",
            "TIMEOUT",
            True,
        ),
        (
            lambda: FailingProvider.connection_error("p", "no"),
            "connection error: no",
            "CONNECTION",
            True,
        ),
        (lambda: FailingProvider.rate_limited("p"), "rate limited", "RATE_LIMITED", True),
        (
            lambda: FailingProvider.configuration("p", "no"),
            "invalid configuration: no",
            "CONFIGURATION",
            False,
        ),
    ],
)
async def test_each_way_to_fail(
    make: Callable[[], FailingProvider], text: str, code: str, retryable: bool, action: Make
) -> None:
    provider = make()
    for call in (provider.execute(action()), provider.health_check()):
        with pytest.raises(ProviderError) as caught:
            await call
        error = caught.value
        assert (str(error), error.code, error.retryable) == (text, code, retryable)
    assert len(provider.calls) == 1


async def test_it_recovers_after_so_many_calls(action: Make) -> None:
    provider = FailingProvider.connection_error("p", "no").fail_until(2)
    for _ in range(2):
        with pytest.raises(ProviderConnectionError):
            await provider.health_check()
        with pytest.raises(ProviderConnectionError):
            await provider.execute(action())
    sent = action()
    response = await provider.execute(sent)
    assert response.body == {"provider": "p", "action_id": sent.id, "recovered_after": 2}
    await provider.health_check()
    assert provider.call_count == 3
    provider.reset()
    with pytest.raises(ProviderConnectionError):
        await provider.execute(action())
    assert (await FailingProvider.rate_limited("p").fail_until(0).execute(sent)).body
    with pytest.raises(ValueError, match="fail_until: -1"):
        provider.fail_until(-1)


async def test_what_else_tests_insist_on(simulation: Any, action: Make) -> None:
    rules = """
rules:
  - name: block
    condition: {field: action.action_type, eq: spam}
    action: {type: suppress}
  - name: elsewhere
    condition: {field: action.action_type, eq: urgent}
    action: {type: reroute, target_provider: sms}
  - name: none
    condition: {field: action.action_type, eq: bulk}
    action: {type: throttle, max_count: 1, window_seconds: 60}
"""
    async with simulation(rules=rules, providers=["email", "sms"]) as harness:
        spam = await harness.dispatch(action(action_type="spam"))
        assert assert_suppressed_by(spam, "block") is spam
        with pytest.raises(AssertionError, match="expected suppression by 'other', got 'block'"):
            assert_suppressed_by(spam, "other")
        with pytest.raises(AssertionError, match="expected Rerouted, got Suppressed"):
            assert_rerouted_to(spam, "sms")
        urgent = await harness.dispatch(action(action_type="urgent"))
        assert_rerouted_to(urgent, "sms")
        with pytest.raises(AssertionError, match="expected reroute to 'push', got 'sms'"):
            assert_rerouted_to(urgent, "push")
        missing = await harness.dispatch(action("pager"))
        assert_failed_with(missing, code="PROVIDER_NOT_FOUND", attempts=0, retryable=False)
        with pytest.raises(AssertionError, match="a failure with attempts=4, got 0: Failed"):
            assert_failed_with(missing, attempts=4)
        results = await harness.dispatch_batch([action(action_type="bulk")] * 2)
        assert_all_succeeded(results)
        assert len(assert_all_executed(results[:1])) == 1
        with pytest.raises(AssertionError, match="outcome 1: expected Executed, got "):
            assert_all_executed(results)
        with pytest.raises(AssertionError, match="outcome 0: expected an outcome, got Prov"):
            assert_all_succeeded([ProviderConnectionError("x")])

        sms = harness.provider("sms")
        assert_provider_called(sms, 1)
        assert_provider_received_action_type(sms, "urgent")
        with pytest.raises(AssertionError, match="expected action type 'x', got 'urgent'"):
            assert_provider_received_action_type(sms, "x")
        with pytest.raises(AssertionError, match=r"expected payload\['to'\] = 1, got None"):
            assert_provider_received_payload_value(sms, "to", 1)
        sms.clear()
        assert_provider_not_called(sms)
        with pytest.raises(AssertionError, match="provider should have been called"):
            assert_provider_received_action_type(sms, "urgent")


def test_a_quota_that_opens_too_late() -> None:
    from acteon.core import Throttled

    throttled = Throttled(timedelta(seconds=60))
    assert assert_throttled_for(throttled, timedelta(minutes=1)) is throttled
    with pytest.raises(AssertionError, match="a wait of at most 0:00:59, got 0:01:00"):
        assert_throttled_for(throttled, timedelta(seconds=59))
