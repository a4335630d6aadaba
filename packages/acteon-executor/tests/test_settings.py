"""How often, how long and how many at once."""

from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.executor import Backoff, ExecutorSettings

spans = st.timedeltas(timedelta(microseconds=1), timedelta(days=1))


@st.composite
def backoffs(draw: st.DrawFn) -> Backoff:
    first, longest = sorted([draw(spans), draw(spans)])
    return Backoff(
        first_delay=first,
        factor=draw(st.floats(1.0, 1e6)),
        max_delay=longest,
        jitter=draw(st.floats(0.0, 1.0)),
    )


@given(backoffs(), st.integers(1, 10_000), st.randoms(use_true_random=False))
def test_a_pause_lies_within_its_limits(backoff: Backoff, attempt: int, random: Random) -> None:
    limit = backoff.limit_after(attempt)
    rounding = timedelta(microseconds=1)
    assert backoff.first_delay - rounding <= limit <= backoff.max_delay
    pause = backoff.delay_after(attempt, random)
    assert limit * (1 - backoff.jitter) - rounding <= pause <= limit


@given(backoffs(), st.integers(1, 5_000))
def test_the_limit_never_shrinks(backoff: Backoff, attempt: int) -> None:
    assert backoff.limit_after(attempt) <= backoff.limit_after(attempt + 1)


def test_without_jitter_the_pauses_are_the_limits() -> None:
    backoff = Backoff(jitter=0)
    pauses = [backoff.delay_after(attempt) / timedelta(seconds=1) for attempt in range(1, 11)]
    assert pauses == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30]


def test_two_callers_do_not_pause_alike() -> None:
    backoff = Backoff()
    assert len({backoff.delay_after(4) for _ in range(50)}) > 40


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        (ExecutorSettings, {"max_retries": -1}),
        (ExecutorSettings, {"timeout": timedelta(0)}),
        (ExecutorSettings, {"max_concurrent": 0}),
        (Backoff, {"first_delay": timedelta(0)}),
        (Backoff, {"factor": 0.9}),
        (Backoff, {"max_delay": timedelta(milliseconds=99)}),
        (Backoff, {"jitter": 1.1}),
        (Backoff, {"jitter": -0.1}),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(kind: type[Any], keys: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(keys))):
        kind(**keys)
