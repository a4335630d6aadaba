"""The arithmetic of windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.server.ratelimit.windows import carried, window_start

LENGTHS = st.integers(1, 400 * 86_400)
NOW = st.integers(0, 2**40)
COUNTS = st.integers(0, 2**70)


@given(now=NOW, length=LENGTHS)
def test_a_moment_is_in_its_window(now: int, length: int) -> None:
    start = window_start(now, length)
    assert start <= now < start + length
    assert start % length == 0


@given(now=NOW, length=LENGTHS)
def test_windows_follow_one_another(now: int, length: int) -> None:
    start = window_start(now, length)
    assert window_start(start, length) == start
    assert window_start(start + length - 1, length) == start
    assert window_start(start + length, length) == start + length


@given(data=st.data(), length=LENGTHS, before=COUNTS)
def test_what_was_before_counts_less_and_less(
    data: st.DataObject, length: int, before: int
) -> None:
    left = data.draw(st.integers(1, length))
    assert carried(before, length, length) == before
    assert carried(before, 0, length) == 0
    assert carried(before, left - 1, length) <= carried(before, left, length) <= before
    step = carried(before, left, length) - carried(before, left - 1, length)
    assert step <= before // length + 1


@pytest.mark.parametrize(
    ("elapsed", "counts_for"), [(0, 10), (1, 9), (6, 9), (7, 8), (30, 5), (59, 0)]
)
def test_parts_of_a_request_do_not_count(elapsed: int, counts_for: int) -> None:
    assert window_start(1_700_000_040 + elapsed, 60) == 1_700_000_040
    assert carried(10, 60 - elapsed, 60) == counts_for
