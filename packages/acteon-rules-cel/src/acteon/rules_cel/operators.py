"""What the operators of CEL do with values.

Strict as the standard wants it: int and double do not mix in arithmetic, and only equal types and
numbers are ordered.
"""

import math
import operator as python
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from acteon.rules import EvaluationError, TypeMismatchError
from acteon.rules_cel.values import (
    INT64,
    MAX_TEXT,
    UINT64,
    Frame,
    Uint,
    duration,
    entry,
    equal,
    from_json,
    is_list,
    is_map,
    is_number,
    is_plain,
    no_overload,
    number,
    type_name,
)

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

    def compare(frame: Frame, left: Any, right: Any) -> bool:
        kind, other = left.__class__, right.__class__
        if is_plain(left, kind) and is_plain(right, other):
            return holds(left, right)
        if kind is str and other is str:
            frame.spend(min(len(left), len(right)) // 256)
            return holds(left, right)
        if is_number(left) and is_number(right):
            return holds(number(from_json(left)), number(from_json(right)))
        for each in _ORDERED:
            if isinstance(left, each) and isinstance(right, each):
                return bool(holds(left, right))
        raise no_overload(operator, left, right)

    return compare


def add(frame: Frame, left: Any, right: Any) -> Any:
    """Return the sum of two numbers of one type, or two texts, bytes or lists joined."""
    if is_number(left):
        return _arithmetic("+", python.add, left, right)
    match left, right:
        case (str(), str()) | (bytes(), bytes()):
            frame.spend((len(left) + len(right)) // 256)
            if len(left) + len(right) > MAX_TEXT:
                raise EvaluationError(f"a text grows beyond {MAX_TEXT} characters")
            text: Any = left
            return text + right
        case (datetime(), timedelta()) | (timedelta(), datetime()):
            return _instant(left, right)
        case timedelta(), timedelta():
            return duration(left + right)
        case _ if is_list(left) and is_list(right):
            frame.spend((len(left) + len(right)) // 4)
            return [*left, *right]
        case _:
            return _arithmetic("+", python.add, left, right)


def subtract(_: Frame, left: Any, right: Any) -> Any:
    """Return the difference of two numbers of one type, or of instants and durations."""
    if is_number(left):
        return _arithmetic("-", python.sub, left, right)
    match left, right:
        case datetime(), timedelta():
            return _instant(left, -right)
        case (datetime(), datetime()) | (timedelta(), timedelta()):
            span: Any = left
            return duration(span - right)
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
        if not (is_plain(left, int) and is_plain(right, int)):
            return apply(float(from_json(left)), float(from_json(right)))
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
    raise no_overload("-", value)


def _instant(left: Any, right: Any) -> datetime:
    try:
        result: datetime = left + right
        return result.astimezone(UTC)
    except OverflowError:
        raise EvaluationError("timestamp out of range") from None


def is_in(frame: Frame, value: Any, container: Any) -> bool:
    """Return whether `value` is an item of a list, or a key of a map."""
    if is_list(container):
        frame.spend(3 * len(container))
        for item in container:  # noqa: SIM110 - a generator is slower
            if equal(frame, item, value):
                return True
        return False
    if is_map(container):
        return entry(container, value)[0]
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


def select(value: Any, member: str, of: str) -> Any:
    """Return the member of a map.

    Args:
        value: The map.
        member: The name of the member.
        of: What `value` is, as the condition says it.

    Raises:
        EvaluationError: It has none, or is no map.
    """
    if is_map(value):
        try:
            return from_json(value[member])
        except KeyError:
            raise no_such_key(member) from None
    raise no_map(member, value, of)


def no_map(member: str, value: Any, of: str) -> TypeMismatchError:
    """Return the error for a member of what is no map; see `select`."""
    told = f"{of}, which is" if "…" not in of else "what is"
    of = of if "…" not in of else "x"
    if value is None:
        safe = f"{of} != null && …"
    elif is_list(value):
        safe = f"{of}.exists(i, i.{member} == …)"
    else:
        safe = f"type({of}) == map && …"
    kind = type_name(value)
    return TypeMismatchError(
        f"no such overload: member {member} of {told} {kind} and no map; write {safe}"
    )


def no_such_key(key: Any) -> EvaluationError:
    """Return the error for a map without `key`."""
    if isinstance(key, bool):
        return EvaluationError("no such key: true" if key else "no such key: false")
    return EvaluationError(f"no such key: {number(key)}")


def item(value: Any, index: Any) -> Any:
    """Return an item of a list, or a member of a map.

    Raises:
        EvaluationError: There is none, or `value` is neither.
    """
    if is_list(value):
        at = number(index)
        if not is_number(index) or at != at or at in (math.inf, -math.inf) or int(at) != at:
            raise no_overload("index", value, index)
        if 0 <= at < len(value):
            return from_json(value[int(at)])
        raise EvaluationError(f"index out of bounds: {int(at)}")
    if is_map(value):
        found, member = entry(value, index)
        if found:
            return from_json(member)
        raise no_such_key(index)
    raise no_overload("index", value, index)
