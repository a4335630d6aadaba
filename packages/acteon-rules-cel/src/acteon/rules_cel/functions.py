"""The functions of CEL's standard library, and the few of its string extension that rules want."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from acteon.rules import EvaluationError, InvalidRegexError, cached_regex
from acteon.rules.searching import Search
from acteon.rules_cel.conversions import (
    dyn,
    to_bool,
    to_bytes,
    to_double,
    to_duration,
    to_int,
    to_string,
    to_timestamp,
    to_type,
    to_uint,
)
from acteon.rules_cel.times import PARTS
from acteon.rules_cel.values import MAX_TEXT, Frame, is_list, is_map, no_overload

Function = Callable[..., Any]
"""Takes the frame and the arguments."""
MATCH: Final = 20
"""Steps that a search takes at least."""
_MAX_PATTERN: Final = 4_000
LONG: Final = 10**9
"""The nanoseconds that anything may take of which no more is known."""
_SLOWEST: Final = 25
"""The nanoseconds that RE2 takes for an instruction of a pattern and a character at most."""


def size(_: Frame, value: Any) -> int:
    """Count characters, bytes, items or members."""
    if isinstance(value, str | bytes) or is_list(value) or is_map(value):
        return len(value)
    raise no_overload("size", value)


def contains(frame: Frame, text: Any, part: Any) -> bool:
    """Return whether a text has a part."""
    _check_texts(frame, "contains", text, part)
    return bool(frame.timed(len(text) * len(part), str.__contains__, text, part))


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
    frame.spend(MATCH)
    if len(pattern) > _MAX_PATTERN:
        raise InvalidRegexError(
            f"a pattern that the condition puts together has at most {_MAX_PATTERN} characters"
        )
    search = frame.timed(LONG, cached_regex, pattern)
    return bool(frame.timed(longest_search(search, text), search, text))


def longest_search(search: Callable[[str], bool], text: str) -> int:
    """Return the nanoseconds that searching `text` may take."""
    owner = getattr(search, "__self__", None)
    size = owner.size if isinstance(owner, Search) else LONG
    return _SLOWEST * size * len(text)


def lower_ascii(frame: Frame, text: Any) -> str:
    """Return a text with its ASCII letters lower-case."""
    _check_texts(frame, "lowerAscii", text)
    return str(frame.timed(LONG, _of_ascii, text, str.lower, bytes.lower))


def upper_ascii(frame: Frame, text: Any) -> str:
    """Return a text with its ASCII letters upper-case."""
    _check_texts(frame, "upperAscii", text)
    return str(frame.timed(LONG, _of_ascii, text, str.upper, bytes.upper))


def trim(frame: Frame, text: Any) -> str:
    """Return a text without white space at its ends."""
    _check_texts(frame, "trim", text)
    return str(text.strip())


def replace(frame: Frame, text: Any, old: Any, new: Any) -> str:
    """Return a text with one part of it replaced, wherever it is."""
    _check_texts(frame, "replace", text, old, new)
    if len(text) + frame.timed(LONG, str.count, text, old) * len(new) > MAX_TEXT:
        raise EvaluationError(f"a text grows beyond {MAX_TEXT} characters")
    return str(frame.timed(LONG, str.replace, text, old, new))


def split(frame: Frame, text: Any, separator: Any) -> list[str]:
    """Return the pieces of a text between separators; without one, its characters."""
    _check_texts(frame, "split", text, separator)
    frame.spend(frame.timed(LONG, str.count, text, separator))
    return list(frame.timed(LONG, str.split, text, separator)) if separator else list(text)


def join(frame: Frame, items: Any, separator: Any = "") -> str:
    """Return texts joined."""
    if not is_list(items) or not isinstance(separator, str):
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


def _of_ascii(text: str, change: Callable[[str], str], of_bytes: Callable[[bytes], bytes]) -> str:
    if text.isascii():
        return change(text)
    # Bytes have letters of ASCII only, and the others of UTF-8 are no ASCII.
    return of_bytes(text.encode(errors="surrogatepass")).decode(errors="surrogatepass")


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
    **{name: (part, range(1, 3)) for name, part in PARTS.items()},
}
"""Methods by name, with the numbers of arguments that they take, the target included."""
