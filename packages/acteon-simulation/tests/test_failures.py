"""Which calls fail, against a plain account of it."""

import math
from collections.abc import Callable, Sequence

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from acteon.provider import ProviderConnectionError, RateLimitedError
from acteon.simulation import FailureMode

CALLS = 40


def failing(mode: FailureMode) -> list[int]:
    return [number for number in range(1, CALLS + 1) if mode.failure(number) is not None]


@given(st.integers(0, 50), st.integers(1, 50))
def test_the_first_ones_and_every_nth(first: int, every: int) -> None:
    numbers = range(1, CALLS + 1)
    assert failing(FailureMode.first_n(first)) == [n for n in numbers if n <= first]
    assert failing(FailureMode.every_n(every)) == [n for n in numbers if n % every == 0]
    assert failing(FailureMode.first_n(first) | FailureMode.every_n(every)) == [
        n for n in numbers if n <= first or n % every == 0
    ]


@frozen
class Part:
    """A mode, and what it is to do, told plainly."""

    mode: FailureMode
    fails: Callable[[int], bool]
    text: str
    delivered: bool


def part(kind: str, count: int, own_error: bool, delivered: bool) -> Part:
    error = RateLimitedError() if own_error else None
    kinds: dict[str, tuple[FailureMode, Callable[[int], bool]]] = {
        "first": (FailureMode.first_n(count, error=error), lambda n: n <= count),
        "every": (FailureMode.every_n(count, error=error), lambda n: n % count == 0),
        "always": (FailureMode.always(error=error), lambda _: True),
        "never": (FailureMode.never(), lambda _: False),
    }
    mode, fails = kinds[kind]
    text = "rate limited" if own_error else "execution failed: simulated failure on call #{}"
    if delivered:
        mode = mode.delivered_then_lost()
        text = text if own_error else "connection error: the answer to call #{} was lost"
    return Part(mode, fails, text, delivered)


PARTS = st.builds(
    part,
    st.sampled_from(["first", "every", "always", "never"]),
    st.integers(1, 9),
    st.booleans(),
    st.booleans(),
)


def joined(modes: Sequence[FailureMode], draw: Callable[[int], int]) -> FailureMode:
    """Return `modes` joined in their order, with brackets at random."""
    if len(modes) == 1:
        return modes[0]
    middle = draw(len(modes))
    return joined(modes[:middle], draw) | joined(modes[middle:], draw)


@given(parts=st.lists(PARTS, min_size=1, max_size=5), data=st.data())
def test_of_modes_that_are_joined_the_first_that_fails_a_call_counts(
    parts: list[Part], data: st.DataObject
) -> None:
    mode = joined([each.mode for each in parts], lambda count: data.draw(st.integers(1, count - 1)))
    for number in range(1, CALLS + 1):
        failure = mode.failure(number)
        expected = next((each for each in parts if each.fails(number)), None)
        got = None if failure is None else (str(failure.error), failure.delivered)
        assert got == (expected and (expected.text.format(number), expected.delivered))
    assert repr(mode) == " | ".join(repr(each.mode) for each in parts)


@given(parts=st.lists(PARTS, min_size=1, max_size=4))
def test_joined_modes_lose_their_answers_together(parts: list[Part]) -> None:
    mode = joined([each.mode for each in parts], lambda _: 1).delivered_then_lost()
    for number in range(1, CALLS + 1):
        failure = mode.failure(number)
        assert (failure is not None) == any(each.fails(number) for each in parts)
        assert failure is None or failure.delivered


def test_always_and_never() -> None:
    assert failing(FailureMode.never()) == []
    assert len(failing(FailureMode.always())) == CALLS


@given(st.floats(0, 1), st.integers())
def test_chance_is_the_same_for_one_seed(share: float, seed: int) -> None:
    mode = FailureMode.probabilistic(share, seed=seed)
    assert failing(mode) == failing(FailureMode.probabilistic(share, seed=seed))
    if share in (0, 1):
        assert len(failing(mode)) == CALLS * share


def test_chance_is_as_probable_as_it_says() -> None:
    mode = FailureMode.probabilistic(0.3, seed=7)
    count = sum(mode.failure(number) is not None for number in range(1, 10_001))

    # Five standard deviations.
    assert abs(count - 3000) < 5 * math.sqrt(10_000 * 0.3 * 0.7)
    assert failing(mode) != failing(FailureMode.probabilistic(0.3, seed=8))


def test_what_is_raised() -> None:
    usual = FailureMode.always().failure(3)
    assert usual is not None
    assert str(usual.error) == "execution failed: simulated failure on call #3"
    assert not usual.error.retryable

    limited = RateLimitedError()
    both = FailureMode.first_n(1, error=limited) | FailureMode.always(
        error=lambda number: ProviderConnectionError(f"call {number}")
    )
    first, second = both.failure(1), both.failure(2)
    assert first is not None
    assert first.error is limited
    assert second is not None
    assert str(second.error) == "connection error: call 2"


def test_deliveries_whose_answer_is_lost() -> None:
    lost = FailureMode.every_n(2).delivered_then_lost().failure(2)
    assert lost is not None
    assert (lost.delivered, lost.error.delivery) == (True, "unknown")
    assert str(lost.error) == "connection error: the answer to call #2 was lost"
    own = RateLimitedError()
    kept = FailureMode.always(error=own).delivered_then_lost().failure(1)
    assert kept is not None
    assert kept.error is own


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: FailureMode.first_n(-1), "first_n: -1: give 0 or more"),
        (lambda: FailureMode.every_n(0), "every_n: 0: give 1 or more"),
        (lambda: FailureMode.probabilistic(1.1), r"probabilistic: 1\.1: give 0 to 1"),
        (lambda: FailureMode.probabilistic(float("nan")), "probabilistic: nan"),
    ],
)
def test_what_makes_no_sense(make: object, text: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=text):
        make()


def test_a_mode_says_what_it_is() -> None:
    mode = FailureMode.first_n(2) | FailureMode.every_n(3).delivered_then_lost()

    assert repr(mode) == "FailureMode.first_n(2) | FailureMode.every_n(3).delivered_then_lost()"
