"""What is known of the calls of one provider."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, ManualClock, ProviderResponse, ResponseStatus
from acteon.executor import Executor, ExecutorSettings
from acteon.executor.calls import REMEMBERED, Calls
from acteon.provider import FunctionProvider, ProviderConnectionError, RegisteredProvider

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SECONDS = st.floats(0, 1e6, allow_nan=False)
PARTS: st.SearchStrategy[Fraction] = st.fractions(0, 1, max_denominator=1000)


@given(st.lists(SECONDS, min_size=1, max_size=60), st.lists(PARTS, max_size=5))
def test_quantiles_are_those_of_the_nearest_rank(
    seconds: list[float], parts: list[Fraction]
) -> None:
    calls = Calls()
    for each in seconds:
        calls.ended(each, None, None)
    ordered = sorted(seconds)

    def smallest_that_covers(part: Fraction) -> float:
        count = len(ordered)
        return next(each for rank, each in enumerate(ordered, start=1) if rank >= part * count)

    expected = tuple(smallest_that_covers(part) for part in parts)
    assert calls.summary([float(part) for part in parts]).quantiles == expected


def test_the_quantiles_of_a_hundred_are_what_their_names_say() -> None:
    calls = Calls()
    for milliseconds in range(100, 0, -1):
        calls.ended(milliseconds / 1000, None, None)
    assert calls.summary().quantiles == (0.05, 0.095, 0.099)
    assert calls.summary([0, 0.07, 1]).quantiles == (0.001, 0.007, 0.1)


@pytest.mark.parametrize("count", [REMEMBERED - 1, REMEMBERED, REMEMBERED + 1, 2 * REMEMBERED + 7])
def test_the_last_thousand_are_remembered(count: int) -> None:
    calls = Calls()
    for number in range(count):
        calls.ended(float(number), None, None)
    summary = calls.summary([0, 1])
    assert summary.quantiles == (max(0, count - REMEMBERED), count - 1)
    assert (summary.attempts, summary.successes) == (count, count)


def test_without_calls_there_is_no_rate_and_no_quantile() -> None:
    summary = Calls().summary()
    assert (summary.success_rate, summary.quantiles, summary.attempts) == (None, (), 0)
    assert (summary.last_failure, summary.last_code) == (None, None)


async def test_answers_count_as_what_they_say(action: Action, clock: ManualClock) -> None:
    answers: list[ProviderResponse | Exception] = [
        ProviderResponse(),
        ProviderResponse(ResponseStatus.PARTIAL),
        ProviderConnectionError("away"),
        ProviderResponse(ResponseStatus.FAILURE),
        ProviderResponse(),
    ]

    async def deliver(_: Action) -> ProviderResponse:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    provider = RegisteredProvider("p", FunctionProvider(deliver))
    executor = Executor(ExecutorSettings(max_retries=0), clock=clock)
    seen: list[tuple[int, int, str | None]] = []
    while answers:
        clock.current = NOW.replace(hour=len(answers))
        await executor.execute(provider, action)
        summary = executor.line(provider).calls.summary()
        seen.append((summary.attempts, summary.successes, summary.last_code))
    assert seen == [
        (1, 1, None),
        (2, 2, None),
        (3, 2, "CONNECTION"),
        (4, 2, "FAILURE"),
        (5, 3, "FAILURE"),
    ]
    summary = executor.line(provider).calls.summary()
    assert summary.last_failure == NOW.replace(hour=2)
    assert summary.success_rate == pytest.approx(0.6)
