from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import canonical_timestamp, format_instant, parse_instant

GOOD = {
    "2025-01-01T00:00:00Z": "2025-01-01T00:00:00Z",
    "2025-01-01t00:00:00z": "2025-01-01T00:00:00Z",
    "2025-01-01 02:00:00+02:00": "2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00 utc": "2025-01-01T00:00:00Z",
    "2025-1-1T0:0:0Z": "2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00-0130": "2025-01-01T01:30:00Z",
    "2025-01-01T00:00:00\u221201:30": "2025-01-01T01:30:00Z",
    "2025-01-01T00:00:00+02 00": "2024-12-31T22:00:00Z",
    " 2025 - 01 - 01 T 00 : 00 : 00 Z ": "2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00.5Z": "2025-01-01T00:00:00.500Z",
    "2025-01-01T00:00:00.120000000Z": "2025-01-01T00:00:00.120Z",
    "2025-01-01T00:00:00.000Z": "2025-01-01T00:00:00Z",
    "2025-01-01T00:00:00.123456Z": "2025-01-01T00:00:00.123456Z",
    "2025-01-01T00:00:00.1234567891Z": "2025-01-01T00:00:00.123456789Z",
    "2016-12-31T23:59:60Z": "2016-12-31T23:59:60Z",
    "2016-12-31T23:59:60.5+01:00": "2016-12-31T22:59:60.500Z",
    "0000-02-29T00:00:00Z": "0000-02-29T00:00:00Z",
    "-0001-01-01T00:00:00Z": "-0001-01-01T00:00:00Z",
    "+10000-01-01T00:00:00Z": "+10000-01-01T00:00:00Z",
    "9999-12-31T23:00:00-02:00": "+10000-01-01T01:00:00Z",
}
BAD = [
    "",
    "2025-01-01",
    "2025-01-01T00:00:00",
    "2025-01-01T00:00Z",
    "2025-01-01T24:00:00Z",
    "2025-01-01T00:00:61Z",
    "2025-01-01T00:60:00Z",
    "2025-02-29T00:00:00Z",
    "2025-13-01T00:00:00Z",
    "2025-01-01T00:00:00,5Z",
    "2025-01-01T00:00:00.Z",
    "2025-01-01T00:00:00+24:00",
    "2025-01-01T00:00:00+01:60",
    "2025-01-01T00:00:00+1:00",
    "2025-01-01T00:00:00+01",
    "2025-01-01T00:00:00CET",
    "10000-01-01T00:00:00Z",
    "+300000-01-01T00:00:00Z",
    "1735689600",
    "2025-01-01T00:00:0\u0660Z",
    "2025-01-01T00:00:00Zx",
    "2025-01-01T00:00:00." + "1" * 1000 + "Z",
]


@pytest.mark.parametrize(("text", "expected"), GOOD.items())
def test_a_timestamp_is_told_in_utc_and_keeps_its_digits(text: str, expected: str) -> None:
    assert canonical_timestamp(text) == expected


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_timestamp_with_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="timestamp"):
        canonical_timestamp(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_its_text(instant: datetime) -> None:
    text = format_instant(instant)

    assert parse_instant(text) == instant
    assert canonical_timestamp(text) == text


@given(st.text(max_size=40))
def test_any_text_is_a_timestamp_or_refused(text: str) -> None:
    try:
        canonical = canonical_timestamp(text)
    except ValueError:
        return
    assert canonical_timestamp(canonical) == canonical


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1)),  # noqa: DTZ001
    st.integers(-1439, 1439),
)
def test_offsets_are_taken_off(local: datetime, minutes: int) -> None:
    local = local.replace(microsecond=0)
    hours, rest = divmod(abs(minutes), 60)
    text = f"{local.isoformat()}{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"

    assert parse_instant(text) == (local - timedelta(minutes=minutes)).replace(tzinfo=UTC)


def test_a_leap_second_is_the_end_of_its_minute() -> None:
    assert parse_instant("2016-12-31T23:59:60Z") == datetime(2016, 12, 31, 23, 59, 59, 999_999, UTC)


def test_a_year_that_datetime_does_not_know_has_a_text_but_no_instant() -> None:
    with pytest.raises(ValueError, match="outside the years"):
        parse_instant("-0001-01-01T00:00:00Z")
