"""The values of CEL, and what its operators do with them.

They are Python's own wherever Python has them: None, bool, int (64 bits), float, str, bytes, list,
dict, aware datetimes and timedeltas (microseconds); besides there are unsigned integers and types.
Strict as the standard wants it: int and double do not mix in arithmetic, and only equal types and
numbers are ordered. Numbers are equal by value, whatever their types.
"""

import math
import operator as python
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from attrs import define, field, frozen

from acteon.rules import Context, EvaluationError, TypeMismatchError

INT64: Final = range(-(2**63), 2**63)
UINT64: Final = range(2**64)
BUDGET: Final = 30_000
"""Steps that an evaluation may take: a node of a loop's body, an item, 256 characters each."""
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
    """One evaluation.

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


def is_number(value: Any) -> bool:
    """Return whether `value` is an int, a uint or a double; a bool is none."""
    kind = value.__class__
    return kind is int or kind is float or kind is Uint


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
        return bool(left == right)
    if is_number(left) and is_number(right):
        return bool(number(from_json(left)) == number(from_json(right)))
    if isinstance(left, list) and isinstance(right, list):
        return _equal_lists(frame, left, right)
    if isinstance(left, dict) and isinstance(right, dict):
        return _equal_maps(frame, left, right)
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return bool(kind is other and left == right)


def _equal_lists(frame: Frame, left: list[Any], right: list[Any]) -> bool:
    if len(left) != len(right):
        return False
    frame.spend(2 * len(left))
    for item, other in zip(left, right, strict=True):  # noqa: SIM110 - a generator is slower
        if not equal(frame, item, other):
            return False
    return True


def _equal_maps(frame: Frame, left: dict[Any, Any], right: dict[Any, Any]) -> bool:
    if len(left) != len(right):
        return False
    frame.spend(2 * len(left))
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


_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "<": python.lt,
    "<=": python.le,
    ">": python.gt,
    ">=": python.ge,
}
_ORDERED: Final = (str, bool, bytes, datetime, timedelta)


def ordering(operator: str) -> Callable[[Frame, Any, Any], bool]:
    """Return what compares two values by `operator`."""
    holds = _ORDERINGS[operator]

    def compare(_: Frame, left: Any, right: Any) -> bool:
        kind = left.__class__
        if kind is right.__class__ and (kind is int or kind is str or kind is float):
            return holds(from_json(left), from_json(right)) if kind is int else holds(left, right)
        if is_number(left) and is_number(right):
            return holds(number(from_json(left)), number(from_json(right)))
        for each in _ORDERED:
            if isinstance(left, each) and isinstance(right, each):
                return bool(holds(left, right))
        raise no_overload(operator, left, right)

    return compare


def add(frame: Frame, left: Any, right: Any) -> Any:
    """Return the sum of two numbers of one type, or two texts, bytes or lists joined."""
    match left, right:
        case (bool(), _) | (_, bool()):
            raise no_overload("+", left, right)
        case (str(), str()) | (bytes(), bytes()):
            frame.spend((len(left) + len(right)) // 256)
            if len(left) + len(right) > MAX_TEXT:
                raise EvaluationError(f"a text grows beyond {MAX_TEXT} characters")
            return left + right
        case list(), list():
            frame.spend((len(left) + len(right)) // 4)
            return [*left, *right]
        case (datetime(), timedelta()) | (timedelta(), datetime()):
            return _instant(left, right)
        case timedelta(), timedelta():
            return duration(left + right)
        case _:
            return _arithmetic("+", python.add, left, right)


def subtract(_: Frame, left: Any, right: Any) -> Any:
    """Return the difference of two numbers of one type, or of instants and durations."""
    match left, right:
        case datetime(), timedelta():
            return _instant(left, -right)
        case (datetime(), datetime()) | (timedelta(), timedelta()):
            return duration(left - right)
        case _:
            return _arithmetic("-", python.sub, left, right)


def multiply(_: Frame, left: Any, right: Any) -> Any:
    """Return the product of two numbers of one type."""
    return _arithmetic("*", python.mul, left, right)


def divide(_: Frame, left: Any, right: Any) -> Any:
    """Return the quotient; that of integers is cut towards zero, and not by zero."""
    return _arithmetic("/", _quotient, left, right)


def modulo(_: Frame, left: Any, right: Any) -> Any:
    """Return the remainder of two integers, with the sign of the left one."""
    if left.__class__ is float or right.__class__ is float:
        raise no_overload("%", left, right)
    return _arithmetic("%", _remainder, left, right)


def _quotient(left: Any, right: Any) -> Any:
    if left.__class__ is float:
        if right == 0:
            if left == 0 or math.isnan(left):
                return math.nan
            return math.copysign(math.inf, left) * math.copysign(1, right)
        return left / right
    if right == 0:
        raise EvaluationError("division by zero")
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _remainder(left: int, right: int) -> int:
    if right == 0:
        raise EvaluationError("modulus by zero")
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def _arithmetic(operator: str, apply: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    kind = left.__class__
    if kind is not right.__class__:
        raise no_overload(operator, left, right)
    if kind is int:
        left, right = from_json(left), from_json(right)
        if left.__class__ is float or right.__class__ is float:
            return apply(float(left), float(right))
        result = apply(left, right)
        if result not in INT64 or (operator == "%" and left == INT64[0] and right == -1):
            raise EvaluationError("integer overflow")
        return result
    if kind is float:
        try:
            return apply(left, right)
        except OverflowError:
            return math.inf
    if kind is Uint:
        result = apply(left.value, right.value)
        if result not in UINT64:
            raise EvaluationError("unsigned integer overflow")
        return Uint(result)
    raise no_overload(operator, left, right)


def negate(value: Any) -> Any:
    """Return a number with the other sign."""
    value = from_json(value)
    if value.__class__ is float:
        return -value
    if value.__class__ is int:
        if value == INT64[0]:
            raise EvaluationError("integer overflow")
        return -value
    if isinstance(value, timedelta):
        return duration(-value)
    raise no_overload("-", value)


def duration(value: timedelta) -> timedelta:
    """Return `value`, a duration that CEL can have.

    Raises:
        EvaluationError: It is longer.
    """
    if abs(value) > MAX_DURATION:
        raise EvaluationError("duration out of range")
    return value


def _instant(left: Any, right: Any) -> datetime:
    try:
        result: datetime = left + right
        return result.astimezone(UTC)
    except OverflowError:
        raise EvaluationError("timestamp out of range") from None


def is_in(frame: Frame, value: Any, container: Any) -> bool:
    """Return whether `value` is an item of a list, or a key of a map."""
    if isinstance(container, list):
        frame.spend(len(container))
        for item in container:  # noqa: SIM110 - a generator is slower
            if equal(frame, item, value):
                return True
        return False
    if isinstance(container, dict):
        try:
            return entry(container, value)[0]
        except EvaluationError:
            return False
    raise no_overload("in", value, container)


OPERATORS: Final[Mapping[str, Callable[[Frame, Any, Any], Any]]] = {
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "%": modulo,
    "==": equal,
    "!=": lambda frame, left, right: not equal(frame, left, right),
    "in": is_in,
    **{operator: ordering(operator) for operator in _ORDERINGS},
}


def select(value: Any, member: str) -> Any:
    """Return the member of a map.

    Raises:
        EvaluationError: It has none, or is no map.
    """
    if isinstance(value, dict):
        try:
            return from_json(value[member])
        except KeyError:
            raise EvaluationError(f"no such key: {member}") from None
    raise no_overload(f"member {member}", value)


def item(value: Any, index: Any) -> Any:
    """Return an item of a list, or a member of a map.

    Raises:
        EvaluationError: There is none, or `value` is neither.
    """
    if isinstance(value, list):
        at = number(index)
        if not is_number(index) or at != at or at in (math.inf, -math.inf) or int(at) != at:
            raise no_overload("index", value, index)
        if 0 <= at < len(value):
            return from_json(value[int(at)])
        raise EvaluationError(f"index out of bounds: {int(at)}")
    if isinstance(value, dict):
        found, member = entry(value, index)
        if found:
            return from_json(member)
        raise EvaluationError(f"no such key: {number(key_value(index))}")
    raise no_overload("index", value, index)
