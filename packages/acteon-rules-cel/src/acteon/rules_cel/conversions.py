"""Conversions between the types of CEL."""

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from acteon.core import parse_instant
from acteon.rules import EvaluationError
from acteon.rules_cel.values import (
    INT64,
    UINT64,
    CelType,
    Frame,
    Uint,
    duration,
    from_json,
    type_name,
)


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
            if len(value) < _LONG and _DOUBLE.fullmatch(value):
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
            return instant_text(value)
        case timedelta():
            return duration_text(value)
        case _:
            raise _unconvertible("string", value)


def _double_text(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "infinity" if value > 0 else "-infinity"
    text = repr(value).removesuffix(".0")
    return text.replace("e+0", "e+").replace("e-0", "e-") if "e" in text else text


def instant_text(value: datetime) -> str:
    """Return an instant in RFC 3339."""
    text = value.astimezone(UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def duration_text(value: timedelta) -> str:
    """Return a duration in seconds, such as `1.5s`."""
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
        if isinstance(value, int) and not isinstance(value, bool):
            return _EPOCH + timedelta(seconds=value)
    except (ValueError, OverflowError):
        pass
    raise _unconvertible("timestamp", value)


_SHOWN: Final = 40
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


def _front(text: str) -> str:
    # The dots tell those who hide secrets in texts that one may have been cut here.
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _unconvertible(kind: str, value: Any) -> EvaluationError:
    shown = f" {_front(value)!r}" if isinstance(value, str) else ""
    return EvaluationError(f"cannot convert {type_name(value)}{shown} to {kind}")
