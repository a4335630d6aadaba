"""Providers that fail, each in its way, and recover."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, ManualClock
from acteon.provider import ProviderConnectionError, ProviderError
from acteon.simulation import FailingProvider, FailureMode

Make = Callable[..., Action]


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
    (kept,) = provider.calls
    assert (type(kept.error), kept.ok, kept.delivered) == (type(caught.value), False, False)


async def test_a_limit_of_calls_may_come_with_the_time_to_wait(action: Make) -> None:
    provider = FailingProvider.rate_limited("p", timedelta(seconds=30), idempotent=True)
    with pytest.raises(ProviderError) as caught:
        await provider.execute(action())

    assert caught.value.retry_after == timedelta(seconds=30)
    assert provider.idempotent


async def test_a_timeout_takes_its_time_but_health_checks_and_recovered_calls_do_not(
    action: Make,
) -> None:
    clock = ManualClock()
    provider = FailingProvider.timeout("p", timedelta(seconds=30), clock=clock).fail_until(1)
    with pytest.raises(ProviderError, match="timeout after 30s"):
        await provider.health_check()
    call = asyncio.create_task(provider.execute(action()))
    await clock.advance(timedelta(seconds=29))
    assert not call.done()
    with pytest.raises(ProviderError, match="timeout after 30s"):
        await provider.health_check()
    await clock.advance(timedelta(seconds=1))
    with pytest.raises(ProviderError, match="timeout after 30s"):
        await call
    await provider.execute(action())

    assert [kept.duration.total_seconds() for kept in provider.calls] == [30, 0]


async def test_it_recovers_after_so_many_calls(action: Make) -> None:
    provider = FailingProvider.connection_error("p", "no").fail_until(2)
    for _ in range(2):
        with pytest.raises(ProviderConnectionError):
            await provider.health_check()
        with pytest.raises(ProviderConnectionError):
            await provider.execute(action())
    await provider.health_check()
    for _ in range(2):
        sent = action()
        response = await provider.execute(sent)
        assert response.body == {"provider": "p", "action_id": sent.id, "recovered_after": 2}
    assert provider.call_count == 4
    assert [call.ok for call in provider.calls] == [False, False, True, True]

    provider.reset()
    assert provider.call_count == 0
    with pytest.raises(ProviderConnectionError):
        await provider.health_check()
    with pytest.raises(ProviderConnectionError):
        await provider.execute(action())


async def test_one_that_has_recovered_answers_as_it_is_told(action: Make) -> None:
    provider = FailingProvider.connection_error("p", "no", responses=["once"])
    provider.fail_until(1).with_failure_mode(FailureMode.every_n(3))
    with pytest.raises(ProviderConnectionError):
        await provider.execute(action())

    assert (await provider.execute(action())).body == "once"
    with pytest.raises(ProviderError, match="simulated failure on call #3"):
        await provider.execute(action())


@given(count=st.integers(0, 12), calls=st.integers(0, 12))
async def test_of_all_calls_the_first_ones_fail(count: int, calls: int) -> None:
    provider = FailingProvider.execution_failed("p", "no").fail_until(count)
    for _ in range(calls):
        with suppress(ProviderError):
            await provider.execute(Action("tests", "tenant-1", "p", "welcome", {}))

    assert [call.ok for call in provider.calls] == [n > count for n in range(1, calls + 1)]


def test_how_many_fail_is_never_negative() -> None:
    with pytest.raises(ValueError, match="fail_until: -1: give 0 or more"):
        FailingProvider.rate_limited("p").fail_until(-1)
