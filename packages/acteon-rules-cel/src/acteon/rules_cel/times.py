"""The parts of instants and durations."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from acteon.rules import EvaluationError
from acteon.rules_cel.values import Frame, no_overload

Part = Callable[[datetime], int]
PartOfDuration = Callable[[timedelta], int]


def _part_of(name: str, part: Part, of_duration: PartOfDuration | None) -> Callable[..., int]:
    def get(frame: Frame, value: Any, zone: Any = None) -> int:
        if isinstance(value, datetime) and (zone is None or isinstance(zone, str)):
            try:
                return part(
                    value.astimezone(UTC if zone is None else frame.timed(_LONGEST, zone_of, zone))
                )
            except OverflowError:
                raise EvaluationError("timestamp out of range") from None
        if isinstance(value, timedelta) and zone is None and of_duration is not None:
            return of_duration(value)
        raise no_overload(name, value, *([] if zone is None else [zone]))

    return get


_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


_LONGEST: Final = 1_000_000
"""The nanoseconds that looking for a time zone may take."""


@lru_cache(maxsize=1024)
def zone_of(name: str) -> tzinfo:
    """Return a time zone by its name, or by how far it is ahead of UTC, as `+02:00`.

    Raises:
        EvaluationError: There is none.
    """
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone: {name[:60]!r}") from None


def _of_duration(unit: timedelta, modulus: int = 0) -> PartOfDuration:
    def part(span: timedelta) -> int:
        whole = abs(span) // unit
        if modulus:
            whole %= modulus
        return whole if span >= timedelta(0) else -whole

    return part


def _parts() -> Iterator[tuple[str, Part, PartOfDuration | None]]:
    yield "getFullYear", lambda at: at.year, None
    yield "getMonth", lambda at: at.month - 1, None
    yield "getDate", lambda at: at.day, None
    yield "getDayOfMonth", lambda at: at.day - 1, None
    yield "getDayOfWeek", lambda at: at.isoweekday() % 7, None
    yield "getDayOfYear", lambda at: at.timetuple().tm_yday - 1, None
    yield "getHours", lambda at: at.hour, _of_duration(timedelta(hours=1))
    yield "getMinutes", lambda at: at.minute, _of_duration(timedelta(minutes=1))
    yield "getSeconds", lambda at: at.second, _of_duration(timedelta(seconds=1))
    milliseconds = _of_duration(timedelta(milliseconds=1), 1000)
    yield "getMilliseconds", lambda at: at.microsecond // 1000, milliseconds


PARTS: Final[Mapping[str, Callable[..., int]]] = {
    name: _part_of(name, part, of_duration) for name, part, of_duration in _parts()
}
"""The methods by name; they take the frame, the value, and a time zone for instants."""
