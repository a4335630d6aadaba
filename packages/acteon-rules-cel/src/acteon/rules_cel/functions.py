"""The functions of CEL's standard library, and the few of its string extension that rules want."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from acteon.core import parse_instant
from acteon.rules import EvaluationError, cached_regex
from acteon.rules_cel.values import (
    INT64,
    MAX_TEXT,
    UINT64,
    CelType,
    Frame,
    Uint,
    duration,
    from_json,
    no_overload,
    type_name,
)

Function = Callable[..., Any]
"""Takes the frame and the arguments."""


def size(_: Frame, value: Any) -> int:
    """Count characters, bytes, items or members."""
    if isinstance(value, str | bytes | list | dict):
        return len(value)
    raise no_overload("size", value)


def contains(frame: Frame, text: Any, part: Any) -> bool:
    """Return whether a text has a part."""
    _check_texts(frame, "contains", text, part)
    return part in text


def starts_with(frame: Frame, text: Any, start: Any) -> bool:
    """Return whether a text begins with another."""
    _check_texts(frame, "startsWith", text, start)
    return bool(text.startswith(start))


def ends_with(frame: Frame, text: Any, end: Any) -> bool:
    """Return whether a text ends with another."""
    _check_texts(frame, "endsWith", text, end)
    return bool(text.endswith(end))


def matches(frame: Frame, text: Any, pattern: Any) -> bool:
    """Return whether a text has a part that matches a regular expression."""
    _check_texts(frame, "matches", text, pattern)
    frame.spend(len(text) // 64)
    return cached_regex(pattern)(text)


def lower_ascii(frame: Frame, text: Any) -> str:
    """Return a text with its ASCII letters lower-case."""
    _check_texts(frame, "lowerAscii", text)
    return str(text.translate(_LOWER))


def upper_ascii(frame: Frame, text: Any) -> str:
    """Return a text with its ASCII letters upper-case."""
    _check_texts(frame, "upperAscii", text)
    return str(text.translate(_UPPER))


def trim(frame: Frame, text: Any) -> str:
    """Return a text without white space at its ends."""
    _check_texts(frame, "trim", text)
    return str(text.strip())


def replace(frame: Frame, text: Any, old: Any, new: Any) -> str:
    """Return a text with one part of it replaced, wherever it is."""
    _check_texts(frame, "replace", text, old, new)
    if len(text) + (text.count(old) if old else len(text) + 1) * len(new) > MAX_TEXT:
        raise EvaluationError(f"a text grows beyond {MAX_TEXT} characters")
    return str(text.replace(old, new))


def split(frame: Frame, text: Any, separator: Any) -> list[str]:
    """Return the pieces of a text between separators; without one, its characters."""
    _check_texts(frame, "split", text, separator)
    frame.spend(text.count(separator) if separator else len(text))
    return list(text.split(separator)) if separator else list(text)


def join(frame: Frame, items: Any, separator: Any = "") -> str:
    """Return texts joined."""
    if not isinstance(items, list) or not isinstance(separator, str):
        raise no_overload("join", items, separator)
    frame.spend(len(items))
    if not all(isinstance(item, str) for item in items):
        raise no_overload("join", items)
    if sum(len(item) for item in items) + len(separator) * len(items) > MAX_TEXT:
        raise EvaluationError(f"a text grows beyond {MAX_TEXT} characters")
    return separator.join(items)


def _check_texts(frame: Frame, function: str, *values: Any) -> None:
    for value in values:
        if not isinstance(value, str):
            raise no_overload(function, *values)
        frame.spend(len(value) // 256)


_LOWER: Final = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_UPPER: Final = {code: code - 32 for code in range(ord("a"), ord("z") + 1)}


def to_bool(_: Frame, value: Any) -> bool:
    """Convert to a bool."""
    if value.__class__ is bool:
        return bool(value)
    if isinstance(value, str) and value in _BOOLS:
        return _BOOLS[value]
    raise _unconvertible("bool", value)


_BOOLS: Final = {
    **dict.fromkeys(("1", "t", "true", "TRUE", "True"), True),
    **dict.fromkeys(("0", "f", "false", "FALSE", "False"), False),
}
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)
_DOUBLE: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)


def to_int(_: Frame, value: Any) -> int:
    """Convert to an int; doubles are cut towards zero, timestamps are seconds since 1970."""
    value = from_json(value)
    found: int | None = None
    match value:
        case bool():
            pass
        case int():
            return value
        case Uint():
            found = value.value
        case float() if math.isfinite(value):
            # The largest of these doubles is beyond what 64 bits hold.
            found = int(value) if abs(value) < 2.0**63 else None
        case str() if _INTEGER.fullmatch(value):
            found = int(value)
        case datetime():
            found = (value - _EPOCH) // timedelta(seconds=1)
        case _:
            pass
    if found is None or found not in INT64:
        raise _unconvertible("int", value)
    return found


def to_uint(_: Frame, value: Any) -> Uint:
    """Convert to a uint; doubles are cut towards zero."""
    value = from_json(value)
    found: int | None = None
    match value:
        case bool():
            pass
        case int():
            found = value
        case Uint():
            return value
        case float() if math.isfinite(value):
            found = int(value) if value < 2.0**64 else None
        case str() if _INTEGER.fullmatch(value) and value[0] not in "+-":
            found = int(value)
        case _:
            pass
    if found is None or found not in UINT64:
        raise _unconvertible("uint", value)
    return Uint(found)


def to_double(_: Frame, value: Any) -> float:
    """Convert to a double."""
    match value:
        case bool():
            pass
        case int() | float():
            return float(from_json(value))
        case Uint():
            return float(value.value)
        case str():
            if _DOUBLE.fullmatch(value) and len(value) < _LONG:
                return float(value)
            if value in _NOT_FINITE:
                return float(value)
        case _:
            pass
    raise _unconvertible("double", value)


_LONG: Final = 1_000
_NOT_FINITE: Final = frozenset({"NaN", "nan", "inf", "Infinity", "+inf", "-inf", "-Infinity"})


def to_string(frame: Frame, value: Any) -> str:
    """Convert to a text."""
    value = from_json(value)
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case Uint():
            return str(value.value)
        case float():
            return _double_text(value)
        case bytes():
            frame.spend(len(value) // 256)
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise EvaluationError("bytes that are no UTF-8 have no text") from None
        case datetime():
            return _instant_text(value)
        case timedelta():
            return _duration_text(value)
        case _:
            raise _unconvertible("string", value)


def _double_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    text = repr(value).removesuffix(".0")
    return text.replace("e+0", "e+").replace("e-0", "e-") if "e" in text else text


def _instant_text(value: datetime) -> str:
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def _duration_text(value: timedelta) -> str:
    microseconds = value // timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    seconds, rest = divmod(abs(microseconds), 1_000_000)
    fraction = f".{rest:06}".rstrip("0") if rest else ""
    return f"{sign}{seconds}{fraction}s"


def to_bytes(frame: Frame, value: Any) -> bytes:
    """Convert to bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        frame.spend(len(value) // 256)
        return value.encode(errors="surrogatepass")
    raise _unconvertible("bytes", value)


def to_type(_: Frame, value: Any) -> CelType:
    """Return the type of a value."""
    return CelType(type_name(from_json(value)))


def dyn(_: Frame, value: Any) -> Any:
    """Return the value itself: its type is not checked before it is evaluated."""
    return value


_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,20})?(?:Z|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_timestamp(_: Frame, value: Any) -> datetime:
    """Convert RFC 3339, or seconds since 1970, to an instant."""
    value = from_json(value)
    if isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _RFC3339.fullmatch(value):
            return parse_instant(value).astimezone(UTC)
        if value.__class__ is int:
            return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        pass
    raise _unconvertible("timestamp", value)


_UNITS: Final = {
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "µs": 1_000,
    "ns": 1,
}
_PART: Final = re.compile(r"([0-9]{0,20})(?:\.([0-9]{0,20}))?(h|ms|m|us|µs|ns|s)", re.ASCII)


def to_duration(_: Frame, value: Any) -> timedelta:
    """Convert a text such as `1h30m`, `-1.5s` or `100ms`."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str) and len(value) <= _LONG:
        nanoseconds = _nanoseconds(value)
        if nanoseconds is not None:
            try:
                cut = abs(nanoseconds) // 1000
                return duration(timedelta(microseconds=cut if nanoseconds >= 0 else -cut))
            except OverflowError:
                raise EvaluationError("duration out of range") from None
    if value.__class__ is int:
        try:
            return duration(timedelta(seconds=value))
        except OverflowError:
            raise EvaluationError("duration out of range") from None
    raise _unconvertible("duration", value)


def _nanoseconds(text: str) -> int | None:
    body = text[1:] if text[:1] in {"+", "-"} else text
    if body == "0":
        return 0
    total = 0
    end = 0
    for part in _PART.finditer(body):
        whole, fraction, unit = part.groups()
        if part.start() != end or not (whole or fraction):
            return None
        total += int(whole or 0) * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        end = part.end()
    if not body or end != len(body):
        return None
    return -total if text.startswith("-") else total


def _unconvertible(kind: str, value: Any) -> EvaluationError:
    shown = f" {value[:40]!r}" if isinstance(value, str) else ""
    return EvaluationError(f"cannot convert {type_name(value)}{shown} to {kind}")


def _part_of_instant(
    name: str, part: Callable[[datetime], int], of_duration: Callable[[timedelta], int] | None
) -> Function:
    def get(_: Frame, value: Any, zone: Any = "UTC") -> int:
        if isinstance(value, datetime) and isinstance(zone, str):
            try:
                return part(value.astimezone(_zone(zone)))
            except OverflowError:
                raise EvaluationError("timestamp out of range") from None
        if isinstance(value, timedelta) and of_duration is not None:
            return of_duration(value)
        raise no_overload(name, value)

    return get


_OFFSET: Final = re.compile(r"([+-]?)(\d\d):(\d\d)", re.ASCII)


def _zone(name: str) -> tzinfo:
    offset = _OFFSET.fullmatch(name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3])
        if minutes < 24 * 60:
            return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"unknown time zone: {name[:60]!r}") from None


def _cut(value: timedelta, unit: timedelta) -> int:
    whole = abs(value) // unit
    return whole if value >= timedelta(0) else -whole


_PARTS: Final[Mapping[str, Function]] = {
    name: _part_of_instant(name, part, of_duration)
    for name, part, of_duration in (
        ("getFullYear", lambda at: at.year, None),
        ("getMonth", lambda at: at.month - 1, None),
        ("getDate", lambda at: at.day, None),
        ("getDayOfMonth", lambda at: at.day - 1, None),
        ("getDayOfWeek", lambda at: at.isoweekday() % 7, None),
        ("getDayOfYear", lambda at: at.timetuple().tm_yday - 1, None),
        ("getHours", lambda at: at.hour, lambda span: _cut(span, timedelta(hours=1))),
        ("getMinutes", lambda at: at.minute, lambda span: _cut(span, timedelta(minutes=1))),
        ("getSeconds", lambda at: at.second, lambda span: _cut(span, timedelta(seconds=1))),
        (
            "getMilliseconds",
            lambda at: at.microsecond // 1000,
            lambda span: _cut(span, timedelta(milliseconds=1)) % 1000,
        ),
    )
}

GLOBALS: Final[Mapping[str, tuple[Function, range]]] = {
    "size": (size, range(1, 2)),
    "matches": (matches, range(2, 3)),
    "bool": (to_bool, range(1, 2)),
    "int": (to_int, range(1, 2)),
    "uint": (to_uint, range(1, 2)),
    "double": (to_double, range(1, 2)),
    "string": (to_string, range(1, 2)),
    "bytes": (to_bytes, range(1, 2)),
    "type": (to_type, range(1, 2)),
    "dyn": (dyn, range(1, 2)),
    "timestamp": (to_timestamp, range(1, 2)),
    "duration": (to_duration, range(1, 2)),
}
"""Functions by name, with the numbers of arguments that they take."""

METHODS: Final[Mapping[str, tuple[Function, range]]] = {
    "size": (size, range(1, 2)),
    "contains": (contains, range(2, 3)),
    "startsWith": (starts_with, range(2, 3)),
    "endsWith": (ends_with, range(2, 3)),
    "matches": (matches, range(2, 3)),
    "lowerAscii": (lower_ascii, range(1, 2)),
    "upperAscii": (upper_ascii, range(1, 2)),
    "trim": (trim, range(1, 2)),
    "replace": (replace, range(3, 4)),
    "split": (split, range(2, 3)),
    "join": (join, range(1, 3)),
    **{name: (part, range(1, 3)) for name, part in _PARTS.items()},
}
"""Methods by name, with the numbers of arguments that they take, the target included."""
