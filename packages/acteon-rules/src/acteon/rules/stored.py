"""Reading state entries in expressions."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from acteon.core import parse_instant
from acteon.rules.context import Context
from acteon.rules.decision import StateNotReadError, StateRead
from acteon.rules.errors import StateAccessError
from acteon.rules.values import INT_MAX, parse_int

STATE: Final = "state"
COUNTER: Final = "counter"
NEVER: Final = INT_MAX
"""The seconds since an instant that is not known."""

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def state_text(id: str) -> Callable[[Context], Any]:
    """Compile `StateGet`."""
    return _reader(StateRead(STATE, id))


def state_counter(id: str) -> Callable[[Context], int]:
    """Compile `StateCounter`."""
    read = _reader(StateRead(COUNTER, id))

    def count(context: Context) -> int:
        text = read(context)
        if text is None:
            return 0
        try:
            return parse_int(text)
        except ValueError as error:
            raise StateAccessError(f"counter is not an integer: {error}") from None

    return count


def state_time_since(id: str) -> Callable[[Context], int]:
    """Compile `StateTimeSince`."""
    read = _reader(StateRead(STATE, id))

    def seconds_since(context: Context) -> int:
        text = read(context)
        if text is None:
            return NEVER
        try:
            if not _RFC3339.fullmatch(text):
                raise ValueError("no RFC 3339 timestamp with an offset")
            passed = context.now - parse_instant(text)
        except ValueError as error:
            raise StateAccessError(
                f"cannot parse stored timestamp '{text[:100]}': {error}"
            ) from None
        seconds = abs(passed) // timedelta(seconds=1)
        return seconds if passed >= timedelta(0) else -seconds

    return seconds_since


def _reader(entry: StateRead) -> Callable[[Context], str | None]:
    def read(context: Context) -> str | None:
        try:
            return context.state[entry]
        except KeyError:
            raise StateNotReadError(context.reads or (entry,)) from None

    return read
