"""Instants as texts: RFC 3339 as clients of gateways write it, and as we write it.

What is taken is a little wider than RFC 3339, as clients in the field send it: one blank for
the `T`, fields of one digit, blanks around numbers, `UTC` for `Z`, offsets without a colon,
years of more than four digits with a sign. A zone is always needed.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_ACCEPTED = re.compile(
    r"""\s*
    (?P<year>\d{4}|[+-]\d{4,6})\s*-\s*(?P<month>\d{1,2})\s*-\s*(?P<day>\d{1,2})
    (?:\s*[Tt]\s*|\s+)
    (?P<hour>\d{1,2})\s*:\s*(?P<minute>\d{1,2})\s*:\s*(?P<second>\d{1,2})
    (?:\.(?P<fraction>\d+))?
    \s*(?:(?P<utc>[Zz]|[Uu][Tt][Cc])|(?P<sign>[+\-\u2212])(?P<off_h>\d{2})(?:\s*:\s*|\s*)(?P<off_m>\d{2}))
    \s*""",
    re.VERBOSE | re.ASCII,
)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(?:\d{3}|\d{6}|\d{9}))?Z", re.ASCII)
_SHORTEST = len("2025-01-01T00:00:00Z")
_MAX_LENGTH = 128


def format_instant(instant: datetime) -> str:
    """Return `instant` in UTC with 0, 3 or 6 digits of fraction, the fewest that are exact."""
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    micros = instant.microsecond
    if micros and not micros % 1000:
        return instant.isoformat(timespec="milliseconds")[:-6] + "Z"
    return instant.isoformat()[:-6] + "Z"


@lru_cache(maxsize=4096)
def canonical_timestamp(text: str) -> str:
    """Return the instant that `text` names, in UTC, ending in `Z`, nanoseconds and `:60` kept.

    Raises:
        ValueError: `text` is no timestamp with a zone.
    """
    if _CANONICAL.fullmatch(text) and (len(text) == _SHORTEST or not text.endswith("0Z")):
        # Only the values of its fields are left to check; what datetime does not know is rare.
        with suppress(ValueError):
            datetime.fromisoformat(text[:19])
            return text
    local, offset, second, nanos = _fields(text)
    whole = _moved(local, -offset)
    shown = f"{_year(whole[0])}-{whole[1]}:{second:02}"
    return f"{shown}{_fraction(nanos)}Z"


def parse_instant(text: str) -> datetime:
    """Return the instant that `text` names, aware and in UTC, cut to whole microseconds.

    A second of 60 is taken for the last microsecond of its minute.

    Raises:
        ValueError: `text` is no timestamp with a zone, or lies outside the years 1 to 9999.
    """
    (year, rest), offset, second, nanos = _fields(text)
    if not 1 <= year <= 9999:
        raise ValueError(f"timestamp {text!r} lies outside the years 0001 to 9999")
    micros = 999_999 if second == 60 else nanos // 1000
    month, day, hour, minute = rest
    zone = timezone(offset)
    local = datetime(year, month, day, hour, minute, min(second, 59), micros, tzinfo=zone)
    try:
        return local.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"timestamp {text!r} lies outside the years 0001 to 9999") from None


_Fields = tuple[tuple[int, tuple[int, int, int, int]], timedelta, int, int]


def _fields(text: str) -> _Fields:
    """Return year, (month, day, hour, minute), offset, second and nanoseconds of `text`."""
    match = _ACCEPTED.fullmatch(text) if len(text) <= _MAX_LENGTH else None
    if match is None:
        raise ValueError(
            f"{text[:40]!r} is no timestamp; write it like 2025-01-31T13:30:00Z, with its zone"
        )
    year = int(match["year"])
    month, day, hour, minute, second = (
        int(match[name]) for name in ("month", "day", "hour", "minute", "second")
    )
    if not -262143 <= year <= 262142 or hour > 23 or minute > 59 or second > 60:
        raise ValueError(f"timestamp {text[:40]!r} has a field out of range")
    try:
        datetime(_like(year), month, day)  # noqa: DTZ001 - only asks whether there is such a day
    except ValueError as error:
        raise ValueError(f"timestamp {text[:40]!r}: {error}") from None
    offset = timedelta(0)
    if match["sign"]:
        hours, minutes = int(match["off_h"]), int(match["off_m"])
        if hours > 23 or minutes > 59:
            raise ValueError(f"timestamp {text[:40]!r} has an offset out of range")
        offset = timedelta(hours=hours, minutes=minutes)
        if match["sign"] != "+":
            offset = -offset
    nanos = int((match["fraction"] or "")[:9].ljust(9, "0"))
    return (year, (month, day, hour, minute)), offset, second, nanos


def _like(year: int) -> int:
    """Return a year that `datetime` knows with the calendar of `year`: it repeats in 400 years."""
    return 2000 + year % 400


def _moved(local: tuple[int, tuple[int, int, int, int]], by: timedelta) -> tuple[int, str]:
    year, (month, day, hour, minute) = local
    moved = datetime(_like(year), month, day, hour, minute) + by  # noqa: DTZ001 - an offset is taken off
    return year + moved.year - _like(year), moved.strftime("%m-%dT%H:%M")


def _year(year: int) -> str:
    if 0 <= year <= 9999:
        return f"{year:04}"
    return f"{'-' if year < 0 else '+'}{abs(year):04}"


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    if nanos % 1_000_000 == 0:
        return f".{nanos // 1_000_000:03}"
    if nanos % 1000 == 0:
        return f".{nanos // 1000:06}"
    return f".{nanos:09}"
