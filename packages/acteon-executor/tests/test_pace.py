"""How many calls may begin in a second."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.executor.pace import Pace

FOREVER = float("inf")
RATES = st.integers(1, 50)
BURSTS = st.integers(1, 10)
ARRIVALS = st.lists(st.integers(0, 20_000), min_size=1, max_size=80).map(
    lambda thousandths: [each / 1000 for each in sorted(thousandths)]
)


def begun(pace: Pace, arrivals: Sequence[float], patience: float = FOREVER) -> list[float]:
    """Return when the calls begin that come at `arrivals`, without those that will not wait."""
    waits = [(now, pace.reserve(now, patience)) for now in arrivals]
    return [now + wait for now, wait in waits if wait <= patience]


@given(RATES, BURSTS, ARRIVALS)
def test_in_no_span_do_more_begin_than_its_length_and_one_burst_allow(
    rate: int, burst: int, arrivals: Sequence[float]
) -> None:
    begins = begun(Pace(rate, burst), arrivals)
    for first, start in enumerate(begins):
        for last, end in enumerate(begins[first:], start=first):
            assert last - first + 1 <= (end - start) * rate + burst + 1e-6


@given(RATES, BURSTS, ARRIVALS)
def test_they_begin_in_the_order_in_which_they_came_and_none_early(
    rate: int, burst: int, arrivals: Sequence[float]
) -> None:
    begins = begun(Pace(rate, burst), arrivals)
    assert begins == sorted(begins)
    assert all(begin >= came for begin, came in zip(begins, arrivals, strict=True))


@given(RATES, BURSTS, ARRIVALS, st.floats(0, 2))
def test_who_will_not_wait_takes_nobodys_turn(
    rate: int, burst: int, arrivals: Sequence[float], patience: float
) -> None:
    pace, other = Pace(rate, burst), Pace(rate, burst)
    for now in arrivals:
        wait = pace.reserve(now, patience)
        if wait <= patience:
            assert other.reserve(now, FOREVER) == wait


@given(RATES, BURSTS)
def test_nobody_waits_longer_than_there_is_need(rate: int, burst: int) -> None:
    waits = [Pace.reserve(pace, 100.0, FOREVER) for pace in [Pace(rate, burst)] for _ in range(50)]
    due = [max(0, number - burst + 1) / rate for number in range(50)]
    assert waits == pytest.approx(due)


def test_without_a_burst_they_are_evenly_spread() -> None:
    begins = begun(Pace(4, 1), [0.0] * 9)
    assert {later - earlier for earlier, later in pairwise(begins)} == {0.25}


def test_one_that_does_not_wait_leaves_the_turn_to_the_next() -> None:
    pace = Pace(1, 1)
    assert [pace.reserve(0.0, patience) for patience in (0.5, 0.5, 1, 0.5, 2)] == [0, 1, 1, 2, 2]


def test_a_pause_earns_no_more_than_one_burst() -> None:
    pace = Pace(1, 3)
    assert begun(pace, [0.0] * 4) == [0, 0, 0, 1]
    assert begun(pace, [1000.0] * 4) == [1000, 1000, 1000, 1001]


@given(RATES, BURSTS, ARRIVALS, st.lists(st.booleans(), min_size=80, max_size=80))
def test_turns_that_are_given_back_make_nobody_hurry(
    rate: int, burst: int, arrivals: Sequence[float], leaving: Sequence[bool]
) -> None:
    pace = Pace(rate, burst)
    taken: list[float] = []
    left: list[float] = []
    for now, leaves in zip(arrivals, leaving, strict=False):
        for turn in [turn for turn in left if turn > now]:
            left.remove(turn)
            pace.give_back(turn)
        wait = pace.reserve(now, FOREVER)
        (left if leaves and wait else taken).append(now + wait)
    taken.sort()
    for first, start in enumerate(taken):
        for last, end in enumerate(taken[first:], start=first):
            assert last - first + 1 <= (end - start) * rate + burst + 1e-6


def test_a_turn_that_is_given_back_goes_to_the_next_one() -> None:
    pace = Pace(1, 1)
    assert begun(pace, [0.0] * 4) == [0, 1, 2, 3]
    pace.give_back(2.0)
    pace.give_back(1.0)
    assert pace.reserve(0.5, 0.4) == 0.5  # Too long for that one: it stays for the next.
    assert begun(pace, [0.5] * 3) == [1, 2, 4]
    pace.give_back(4.0)
    assert pace.reserve(4.5, FOREVER) == 0.5  # It went by unused.
