"""Reading state entries in expressions."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from acteon.core import parse_instant
from acteon.rules.context import Context
from acteon.rules.decision import StateRead
from acteon.rules.errors import StateAccessError
from acteon.rules.values import INT_MAX, parse_int

STATE: Final = "state"
COUNTER: Final = "counter"
NEVER: Final = INT_MAX
"""The seconds since an instant that is not known."""

_RFC3339: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII
)

Id = Callable[[Context], str]
"""Gives the id of an entry."""


def read_text(context: Context, id: str) -> str | None:
    """Return the text of the entry `id` of kind `state`, or None."""
    return context.read(StateRead(STATE, id))


def read_counter(context: Context, id: str) -> int:
    """Return the number in the entry `id` of kind `counter`, or 0."""
    return counter_of(context.read(StateRead(COUNTER, id)))


def read_seconds_since(context: Context, id: str) -> int:
    """Return the whole seconds since the instant in the entry `id` of kind `state`."""
    return seconds_since(context.read(StateRead(STATE, id)), context.now)


def counter_of(text: str | None) -> int:
    """Return the number that a counter's entry says; 0 without an entry.

    Raises:
        StateAccessError: It says none.
    """
    if text is None:
        return 0
    try:
        return parse_int(text)
    except ValueError as error:
        raise StateAccessError(f"counter is not an integer: {error}") from None


def seconds_since(text: str | None, now: datetime) -> int:
    """Return the whole seconds from the instant in an entry to `now`; `NEVER` without an entry.

    Raises:
        StateAccessError: It is no RFC 3339 timestamp with an offset.
    """
    if text is None:
        return NEVER
    try:
        if not _RFC3339.fullmatch(text):
            raise ValueError("no RFC 3339 timestamp with an offset")
        passed = now - parse_instant(text)
    except ValueError as error:
        raise StateAccessError(f"cannot parse stored timestamp '{text[:100]}': {error}") from None
    seconds = abs(passed) // timedelta(seconds=1)
    return seconds if passed >= timedelta(0) else -seconds
