"""What conditions can look at: the action, the moment, the environment and the state."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any, Final

from acteon.rules import Context, StateRead
from acteon.rules.context import ACTION_MEMBERS, TIME_MEMBERS, local_time
from acteon.rules.stored import NEVER, counter_of, seconds_since
from acteon.rules_cel.operators import no_such_key
from acteon.rules_cel.values import MAX_DURATION, Frame, is_number, no_overload, number

Evaluate = Callable[[Frame], Any]

ROOTS: Final[Mapping[str, Evaluate]] = {
    "action": lambda frame: {
        name: member(frame.context) for name, member in ACTION_MEMBERS.items()
    },
    "env": lambda frame: frame.environment,
    "now": lambda frame: frame.context.now,
    "time": lambda frame: {
        name: part(local_time(frame.context, frame.timezone)) for name, part in TIME_MEMBERS.items()
    },
}
"""The variables of rules."""


def action_member(name: str) -> Evaluate:
    """Return what reads a member of `action`, without making a map of it."""
    read = ACTION_MEMBERS.get(name)

    def member(frame: Frame) -> Any:
        if read is None:
            raise no_such_key(name)
        return read(frame.context)

    return member


def time_member(name: str) -> Evaluate:
    """Return what reads a member of `time`, without making a map of it."""
    part = TIME_MEMBERS.get(name)

    def member(frame: Frame) -> Any:
        if part is None:
            raise no_such_key(name)
        return part(local_time(frame.context, frame.timezone))

    return member


def state_key(value: Any) -> str:
    """Return the key of a state entry, which may be a number."""
    if isinstance(value, str):
        return value
    if is_number(value):
        return str(number(value))
    raise no_overload("the key of a state entry", value)


def _get(context: Context, key: str) -> str | None:
    return context.read(StateRead("state", key))


def _counter(context: Context, key: str) -> int:
    return counter_of(context.read(StateRead("counter", key)))


def _since(context: Context, key: str) -> timedelta:
    seconds = seconds_since(context.read(StateRead("state", key)), context.now)
    return MAX_DURATION if seconds == NEVER else timedelta(seconds=seconds)


STATE: Final[Mapping[str, Callable[[Context, str], Any]]] = {
    "get": _get,
    "counter": _counter,
    "since": _since,
}
"""What `state.get(key)` and its siblings give."""
