from datetime import timedelta

import pytest

from acteon.core import duration_text


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (timedelta(0), "0ns"),
        (timedelta(microseconds=250), "250µs"),
        (timedelta(microseconds=1500), "1.5ms"),
        (timedelta(milliseconds=500), "500ms"),
        (timedelta(seconds=1.05), "1.05s"),
        (timedelta(seconds=5), "5s"),
        (timedelta(minutes=10), "600s"),
    ],
)
def test_a_duration_is_told_in_its_largest_fitting_unit(duration: timedelta, text: str) -> None:
    assert duration_text(duration) == text
