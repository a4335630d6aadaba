"""What single values of a rule file are taken for."""

import pytest

from acteon.rules_yaml.reading import seconds_in


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("5m", 300),
        ("1 hour", 3600),
        ("hour", 3600),
        ("Day", 86400),
        ("2 weeks", 1209600),
        ("1h30m", 5400),
        ("1h 30 min", 5400),
    ],
)
def test_a_duration_is_so_many_seconds(text: str, seconds: int) -> None:
    assert seconds_in(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "m", "5", "m5", "five minutes", "1 month", "1h-", "-1h", "5 mx"]
)
def test_what_is_no_duration_is_none(text: str) -> None:
    assert seconds_in(text) is None
