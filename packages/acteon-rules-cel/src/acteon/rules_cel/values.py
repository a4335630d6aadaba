"""The values of CEL, and what its operators do with them.

They are Python's own wherever Python has them: None, bool, int (64 bits), float, str, bytes, list,
dict, aware datetimes and timedeltas (microseconds); besides there are unsigned integers and types.
Numbers are equal by value, whatever their types; other values of different types are not.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from time import perf_counter_ns, thread_time_ns
from typing import Any, Final, TypeGuard

from attrs import define, field, frozen

from acteon.rules import Context, EvaluationError, TypeMismatchError

_EDGE: Final = 2**63
INT64: Final = range(-(2**63), 2**63)
UINT64: Final = range(2**64)
BUDGET: Final = 20_000
"""Steps that an evaluation may take: a node of a loop's body, an item, 256 characters each."""
FAILURE: Final = 20
"""Steps that an error takes which `&&`, `||`, `all` or `exists` may yet overrule."""
_STEP: Final = 150
"""Nanoseconds that a step takes."""
_SHORT: Final = 20_000
MAX_TEXT: Final = 1_048_576
"""The longest text, or bytes, that an expression may put together."""
FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
MAX_DURATION: Final = timedelta(seconds=315_576_000_000)


@frozen
class Uint:
    """An unsigned integer.

    Attributes:
        value: Its value, of 64 bits.
    """

    value: int


@frozen
class CelType:
    """A type as a value.

    Attributes:
        name: What CEL calls it.
    """

    name: str


@define(eq=False)
class Frame:
    """One evaluation, and how much it may still do.

    What it does is counted in steps, so that the same condition fails with the same action
    everywhere; only what searches texts is timed.

    Attributes:
        context: What rules can see.
        environment: The variables of `env`.
        timezone: Where `time` is told.
        variables: Values that are given by name, for evaluations outside of rules.
        locals: What the variables of macros stand for.
        left: How many steps may still be taken.
    """

    context: Context
    environment: Mapping[str, str]
    timezone: tzinfo
    variables: Mapping[str, Any] = field(factory=dict[str, Any])
    locals: list[Any] = field(factory=list[Any])
    left: int = BUDGET

    def spend(self, steps: int) -> None:
        """Take `steps`.

        Raises:
            EvaluationError: These are too many.
        """
        self.left -= steps
        if self.left < 0:
            raise EvaluationError(
                "the condition takes too many steps; look at less, or at shorter lists"
            )

    def timed(self, longest: int, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `function` gives, and take the steps that its time is worth.

        Args:
            longest: The nanoseconds that it may take at most; more are put down to other threads.
            function: What takes longer with some arguments than can be told beforehand.
            arguments: Its arguments.

        Raises:
            EvaluationError: These are too many.
        """
        clock = thread_time_ns if longest > _SHORT else perf_counter_ns  # The first is a slow one.
        began = clock()
        try:
            result = function(*arguments)
        finally:
            self.left -= min(clock() - began, longest) // _STEP
        self.spend(0)
        return result


def type_name(value: Any) -> str:
    """Return what CEL calls the type of `value`."""
    for kind in type(value).__mro__:
        if kind in _TYPES:
            return _TYPES[kind]
    return type(value).__name__


_TYPES: Final[Mapping[type, str]] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    datetime: "google.protobuf.Timestamp",
    timedelta: "google.protobuf.Duration",
    CelType: "type",
}
TYPE_NAMES: Final = frozenset(_TYPES.values())


def no_overload(operation: str, *values: Any) -> TypeMismatchError:
    """Return the error for an operation on values that it does not take."""
    kinds = ", ".join(type_name(value) for value in values)
    return TypeMismatchError(f"no such overload: {operation} on {kinds}")


def without_frames(error: EvaluationError) -> EvaluationError:
    """Return `error`, for keeping it in a variable of a frame that its traceback leads to.

    They would keep each other, and the payload, until the collector comes by.
    """
    error.__context__ = None
    return error.with_traceback(None)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Return whether `value` is a list."""
    return isinstance(value, list)


def is_map(value: Any) -> TypeGuard[dict[Any, Any]]:
    """Return whether `value` is a map."""
    return isinstance(value, dict)


def is_number(value: Any) -> bool:
    """Return whether `value` is an int, a uint or a double; a bool is none."""
    kind = value.__class__
    return kind is int or kind is float or kind is Uint


def is_plain(value: Any, kind: type) -> bool:
    """Return whether a value of the class `kind` is a number as Python has it: the usual case."""
    return kind is float or (kind is int and -_EDGE <= value < _EDGE)


def number(value: Any) -> Any:
    """Return the number that `value` is, for comparisons."""
    return value.value if value.__class__ is Uint else value


def from_json(value: Any) -> Any:
    """Return `value`, a member of a payload: integers beyond 64 bits are doubles."""
    if value.__class__ is int and value not in INT64:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if isinstance(value, str) and value.__class__ is not str:
        return str.__str__(value)
    return value


def equal(frame: Frame, left: Any, right: Any) -> bool:
    """Return whether two values are equal; those of different types are not, but for numbers."""
    kind = left.__class__
    other = right.__class__
    if kind is other and (kind is str or kind is bool or kind is float):
        if kind is str and len(left) == len(right):
            frame.spend(len(left) // 256)
        return bool(left == right)
    if is_plain(left, kind) and is_plain(right, other):
        return bool(left == right)
    if is_number(left) and is_number(right):
        return bool(number(from_json(left)) == number(from_json(right)))
    if is_list(left) and is_list(right):
        return _equal_lists(frame, left, right)
    if is_map(left) and is_map(right):
        return _equal_maps(frame, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return bool(kind is other and left == right)


def _equal_lists(frame: Frame, left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    frame.spend(3 * len(left))
    for item, other in zip(left, right, strict=True):  # noqa: SIM110 - a generator is slower
        if not equal(frame, item, other):
            return False
    return True


def _equal_maps(frame: Frame, left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    frame.spend(4 * len(left))
    for key, value in left.items():
        found, other = entry(right, key)
        if not found or not equal(frame, value, other):
            return False
    return True


def entry(members: dict[Any, Any], key: Any) -> tuple[bool, Any]:
    """Return whether a map has `key`, and what it has there.

    Keys of maps that expressions make are kept as `key_of` gives them.
    """
    wanted = key_of(key)
    if wanted in members:
        return True, members[wanted]
    return False, None


@frozen
class BoolKey:
    """A bool as the key of a map: `true` is not 1 there, as it would be in Python."""

    value: bool


def key_of(value: Any) -> Any:
    """Return `value` as the key of a map: numbers of equal value are equal keys.

    Raises:
        EvaluationError: It cannot be one.
    """
    kind = value.__class__
    if kind is str:
        return value
    if kind is bool:
        return BoolKey(value)
    if is_number(value):
        return number(value)
    raise EvaluationError(f"unsupported key type: {type_name(value)}")


def key_value(key: Any) -> Any:
    """Return what `key_of` was given, for going over the keys of a map."""
    return key.value if key.__class__ is BoolKey else key


def duration(value: timedelta) -> timedelta:
    """Return `value`, a duration that CEL can have.

    Raises:
        EvaluationError: It is longer.
    """
    if abs(value) > MAX_DURATION:
        raise EvaluationError("duration out of range")
    return value
