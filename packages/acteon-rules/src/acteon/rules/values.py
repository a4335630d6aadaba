"""The values of the rule language and what its operators do with them.

Values are those of JSON. Integers have 64 bits: a larger one in a payload is a float. Truth is
Python's: null, false, zero, and empty texts, lists and maps are false, all else is true.
"""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from attrs import define

from acteon.rules.errors import EvaluationError, TypeMismatchError
from acteon.rules.kinds import is_list, is_map

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
FLOAT_TOLERANCE: Final = 2.220446049250313e-16
MAX_TEXT: Final = 1_048_576
"""The longest text that an expression may put together, in characters."""
MAX_ITEMS: Final = 10_000
"""So many items of lists and maps, nested ones included, one operation looks at."""

_TYPE_NAMES: Final = {
    type(None): "null",
    bool: "bool",
    int: "int",
    float: "float",
    str: "string",
    list: "list",
    dict: "map",
}
_COMPARABLE: Final = (int, float)
_ALONE: Final = (str, bool)
"""What equals nothing of another type."""


def type_name(value: Any) -> str:
    """Return what the type of `value` is called in messages."""
    for kind in type(value).__mro__:
        if kind in _TYPE_NAMES:
            return _TYPE_NAMES[kind]
    return type(value).__name__


def from_json(value: Any) -> Any:
    """Return `value`, a member of a payload, as expressions see it: no integer above 64 bits."""
    if value.__class__ is int and not INT_MIN <= value <= INT_MAX:
        return to_float(value)
    return value


def to_float(value: float) -> float:
    """Return `value` as a float; what is too large for one is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_number(value: Any) -> bool:
    """Return whether `value` is an int or a float; a bool is neither."""
    return value.__class__ in _COMPARABLE


def equal(left: Any, right: Any) -> bool:
    """Return whether two values are equal; fails only for very many items.

    Numbers are compared by value, with floats within the tolerance, wherever they stand; an
    infinite one equals nothing. Maps and lists are compared by content. Values of different types
    differ otherwise: true is not 1.
    """
    kind = left.__class__
    other = right.__class__
    if kind is other and (kind is str or kind is bool):
        return bool(left == right)
    if kind is other and kind is int and INT_MIN <= left <= INT_MAX and INT_MIN <= right <= INT_MAX:
        return bool(left == right)
    if isinstance(left, _ALONE) or isinstance(right, _ALONE):
        # A program's payload may hold texts of a class of its own, such as members of a StrEnum.
        return isinstance(left, str) and isinstance(right, str) and left == right
    if kind in _COMPARABLE and other in _COMPARABLE:
        left, right = from_json(left), from_json(right)
        if left.__class__ is int and right.__class__ is int:
            return bool(left == right)
        return abs(float(left) - float(right)) < FLOAT_TOLERANCE
    if (is_list(left) and is_list(right)) or (is_map(left) and is_map(right)):
        return len(left) == len(right) and _same(left, right, Allowance())
    return left is None and right is None


@define(eq=False)
class Allowance:
    """How many items one operation may still look at: so many take some milliseconds."""

    left: int = MAX_ITEMS

    def take(self, count: int) -> None:
        """Look at `count` items.

        Raises:
            EvaluationError: These are too many.
        """
        self.left -= count
        if self.left < 0:
            raise EvaluationError("a list or map holds too many items to look at them all")


def _same(left: Any, right: Any, allowance: Allowance) -> bool:
    """Return whether two values are equal, with all that they hold."""
    if is_list(left) and is_list(right):
        if len(left) != len(right):
            return False
        allowance.take(len(left))
        for item, other in zip(left, right, strict=True):  # noqa: SIM110 - a generator is slower
            if not _same(item, other, allowance):
                return False
        return True
    if is_map(left) and is_map(right):
        if len(left) != len(right):
            return False
        allowance.take(len(left))
        for name, value in left.items():
            if name not in right or not _same(value, right[name], allowance):
                return False
        return True
    return equal(left, right)


def _is_among(value: Any, items: list[Any]) -> bool:
    """Return whether one of `items` is equal to `value`."""
    if value.__class__ is str:
        Allowance(20 * MAX_ITEMS).take(len(items))  # These are compared much faster.
        return value in items
    allowance = Allowance()
    allowance.take(len(items))
    return any(_same(item, value, allowance) for item in items)


def add(left: Any, right: Any) -> Any:
    """Return the sum of two numbers, or two texts joined."""
    if left.__class__ is str and right.__class__ is str:
        return bounded_text(left + right)
    if is_number(left) and is_number(right):
        return int64(left + right)
    raise TypeMismatchError(f"cannot add {type_name(left)} and {type_name(right)}")


def subtract(left: Any, right: Any) -> Any:
    """Return the difference of two numbers."""
    if is_number(left) and is_number(right):
        return int64(left - right)
    raise TypeMismatchError(f"cannot subtract {type_name(left)} and {type_name(right)}")


def multiply(left: Any, right: Any) -> Any:
    """Return the product of two numbers."""
    if is_number(left) and is_number(right):
        return int64(left * right)
    raise TypeMismatchError(f"cannot multiply {type_name(left)} and {type_name(right)}")


def divide(left: Any, right: Any) -> Any:
    """Return the quotient; that of two integers is cut towards zero."""
    if not (is_number(left) and is_number(right)):
        raise TypeMismatchError(f"cannot divide {type_name(left)} by {type_name(right)}")
    if right == 0:
        raise EvaluationError("division by zero")
    if left.__class__ is int and right.__class__ is int:
        quotient = abs(left) // abs(right)
        return int64(quotient if (left < 0) == (right < 0) else -quotient)
    return left / right


def modulo(left: Any, right: Any) -> Any:
    """Return the remainder, with the sign of `left`; NaN where floats have none."""
    if not (is_number(left) and is_number(right)):
        raise TypeMismatchError(f"cannot modulo {type_name(left)} by {type_name(right)}")
    if left.__class__ is int and right.__class__ is int:
        if right == 0:
            raise EvaluationError("modulo by zero")
        if left == INT_MIN and right == -1:
            raise EvaluationError("integer overflow")
        remainder = abs(left) % abs(right)
        return -remainder if left < 0 else remainder
    try:
        return math.fmod(left, right)
    except ValueError:
        return math.nan


def negate(value: Any) -> Any:
    """Return a number with the other sign."""
    if is_number(value):
        return int64(-value)
    raise TypeMismatchError(f"cannot negate {type_name(value)}")


def int64(value: Any) -> Any:
    """Return `value`, a number.

    Raises:
        EvaluationError: It is an integer beyond 64 bits.
    """
    if value.__class__ is int and not INT_MIN <= value <= INT_MAX:
        raise EvaluationError("integer overflow")
    return value


def bounded_text(text: str) -> str:
    """Return `text`.

    Raises:
        EvaluationError: It is too long.
    """
    if len(text) > MAX_TEXT:
        raise _too_long()
    return text


def _too_long() -> EvaluationError:
    return EvaluationError(f"text grows beyond {MAX_TEXT} characters")


def _order(left: Any, right: Any) -> float:
    """Return a number below, at or above zero: which of two values is the larger one.

    NaN counts as equal to every number.
    """
    kind = left.__class__
    other = right.__class__
    if kind is other and (kind is str or kind is int):
        return int(left > right) - int(left < right)
    if kind in _COMPARABLE and other in _COMPARABLE:
        left, right = to_float(left), to_float(right)
        return int(left > right) - int(left < right)
    raise TypeMismatchError(f"cannot compare {type_name(left)} and {type_name(right)}")


def less(left: Any, right: Any) -> bool:
    """Return whether `left` comes before `right`: of two numbers, or of two texts."""
    return _order(left, right) < 0


def less_or_equal(left: Any, right: Any) -> bool:
    """Return whether `left` does not come after `right`; true beside NaN."""
    return _order(left, right) <= 0


def greater(left: Any, right: Any) -> bool:
    """Return whether `left` comes after `right`."""
    return _order(left, right) > 0


def greater_or_equal(left: Any, right: Any) -> bool:
    """Return whether `left` does not come before `right`; true beside NaN."""
    return _order(left, right) >= 0


def contains(left: Any, right: Any) -> bool:
    """Return whether a text has a part, or a list an item."""
    if left.__class__ is str and right.__class__ is str:
        return right in left
    if is_list(left):
        return _is_among(right, left)
    raise _unsupported("contains", left, right)


def starts_with(left: Any, right: Any) -> bool:
    """Return whether one text begins with another."""
    if left.__class__ is str and right.__class__ is str:
        return bool(left.startswith(right))
    raise _unsupported("starts_with", left, right)


def ends_with(left: Any, right: Any) -> bool:
    """Return whether one text ends with another."""
    if left.__class__ is str and right.__class__ is str:
        return bool(left.endswith(right))
    raise _unsupported("ends_with", left, right)


def is_in(left: Any, right: Any) -> bool:
    """Return whether `left` is an item of a list, a key of a map, or a part of a text."""
    if is_list(right):
        return _is_among(left, right)
    if is_map(right):
        if left.__class__ is str:
            return left in right
        raise TypeMismatchError(f"in: map key must be string, got {type_name(left)}")
    if right.__class__ is str:
        if left.__class__ is str:
            return left in right
        raise TypeMismatchError(f"in: cannot check {type_name(left)} membership in string")
    raise TypeMismatchError(
        f"in: right-hand side must be list, map, or string, got {type_name(right)}"
    )


def member(base: Any, name: str) -> Any:
    """Return the member `name` of a map; None if it is missing."""
    if is_map(base):
        return from_json(base.get(name))
    raise TypeMismatchError(f"cannot access field '{name}' on {type_name(from_json(base))}")


def item(base: Any, index: Any) -> Any:
    """Return an item of a list or a member of a map; None if it is missing."""
    if is_list(base) and index.__class__ is int:
        return from_json(base[index]) if -len(base) <= index < len(base) else None
    if is_map(base) and index.__class__ is str:
        return member(base, index)
    raise TypeMismatchError(f"cannot index {type_name(base)} with {type_name(index)}")


def item_or_none(base: Any, index: Any) -> Any:
    """Return what `item` does, and None where it fails."""
    if is_map(base) and index.__class__ is str:
        return base.get(index)
    if is_list(base) and index.__class__ is int:
        return base[index] if -len(base) <= index < len(base) else None
    return None


def _unsupported(operator: str, left: Any, right: Any) -> TypeMismatchError:
    return TypeMismatchError(
        f"{operator}: unsupported types {type_name(left)} and {type_name(right)}"
    )


def display(value: Any) -> str:
    """Return `value` as text.

    Scalars are written as people write them: `null`, `true`, `1`, `2.5`, texts without quotes.
    Lists and maps are compact JSON with sorted keys.
    """
    value = from_json(value)
    writer = _WRITERS.get(value.__class__)
    return writer(value) if writer else _json_text(value)


def _float_text(value: float) -> str:
    """Return the shortest digits that give `value` again: no exponent, no `.0`.

    Of two digit strings equally short and equally near, it is the one larger in magnitude.
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    shortest, exact = Decimal(repr(value)), Decimal(value)
    if abs(shortest) < abs(exact):
        step = Decimal((shortest.is_signed(), (1,), int(shortest.as_tuple().exponent)))
        above = shortest + step
        if above - exact == exact - shortest and float(above) == value:
            shortest = above
    text = f"{shortest:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _json_text(value: Any) -> str:
    if _characters(value, Allowance()) > MAX_TEXT:
        raise _too_long()
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"cannot be written as JSON: {error}") from None


def _characters(value: Any, allowance: Allowance) -> int:
    """Return how many characters the texts have that `value`, a list or a map, holds."""
    allowance.take(len(value))
    count = 0
    for item in (*value, *value.values()) if is_map(value) else value:
        if isinstance(item, str):
            count += len(item)
        elif is_list(item) or is_map(item):
            count += _characters(item, allowance)
    return count


_WRITERS: Final[dict[type, Callable[[Any], str]]] = {
    type(None): lambda _: "null",
    bool: lambda value: "true" if value else "false",
    int: str,
    float: _float_text,
    str: str,
}


def parse_int(text: str) -> int:
    """Return the 64-bit integer that `text` says: ASCII digits after at most one sign.

    Raises:
        ValueError: It says none; the text of the error is the reason.
    """
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not text:
        raise ValueError("cannot parse integer from empty string")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("invalid digit found in string")
    # Beyond 20 significant digits the value is out of range anyway; `int` refuses 5000 of them.
    significant = digits.lstrip("0")[:20] or "0"
    number = -int(significant) if text[0] == "-" else int(significant)
    if number > INT_MAX:
        raise ValueError("number too large to fit in target type")
    if number < INT_MIN:
        raise ValueError("number too small to fit in target type")
    return number


def truncated(value: float) -> int:
    """Return the float `value` cut towards zero, at most as large as 64 bits hold; NaN gives 0."""
    if math.isnan(value):
        return 0
    if value >= INT_MAX:
        return INT_MAX
    return INT_MIN if value <= INT_MIN else int(value)
