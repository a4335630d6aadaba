"""Operators whose right side is a constant, which most have: the cheapest function for each."""

import operator as python
from collections.abc import Callable, Mapping
from typing import Any, Final

from acteon.rules import values
from acteon.rules.context import Context, Evaluate
from acteon.rules.expression import BinaryOperator
from acteon.rules.kinds import is_list
from acteon.rules.regex import compile_regex

_COMPARED: Final[Mapping[BinaryOperator, Callable[[Any, Any], bool]]] = {
    BinaryOperator.LESS: python.lt,
    BinaryOperator.LESS_OR_EQUAL: python.le,
    BinaryOperator.GREATER: python.gt,
    BinaryOperator.GREATER_OR_EQUAL: python.ge,
}


def with_constant(
    left: Evaluate, operator: BinaryOperator, right: Any, general: Callable[[Any, Any], Any]
) -> Evaluate | None:
    """Return what gives the same as `general` on `left` and the constant, faster; None if nothing.

    Raises:
        InvalidRegexError: The constant is a pattern, and no regular expression.
    """
    match operator, right:
        case BinaryOperator.EQUAL, str():
            return lambda context: left(context) == right
        case BinaryOperator.NOT_EQUAL, str():
            return lambda context: left(context) != right
        case BinaryOperator.EQUAL, None | bool():
            return lambda context: left(context) is right
        case BinaryOperator.NOT_EQUAL, None | bool():
            return lambda context: left(context) is not right
        case BinaryOperator.EQUAL, int() if values.from_json(right) is right:
            return _equal_to(left, right)
        case BinaryOperator.MATCHES, str():
            return _if_text(left, compile_regex(right), right, general)
        case BinaryOperator.CONTAINS, str():
            return _if_text(left, lambda text: right in text, right, general)
        case BinaryOperator.STARTS_WITH, str():
            return _if_text(left, lambda text: text.startswith(right), right, general)
        case BinaryOperator.ENDS_WITH, str():
            return _if_text(left, lambda text: text.endswith(right), right, general)
        case BinaryOperator.IN, _ if is_list(right):
            return _in_texts(left, right)
        case _ if operator in _COMPARED and right.__class__ is int:
            return _compared(left, _COMPARED[operator], right, general)
        case _:
            return None


def _equal_to(left: Evaluate, number: int) -> Evaluate:
    def compare(context: Context) -> bool:
        value = left(context)
        return value == number if value.__class__ is int else values.equal(value, number)

    return compare


def _compared(
    left: Evaluate,
    compare: Callable[[Any, Any], bool],
    number: int,
    general: Callable[[Any, Any], Any],
) -> Evaluate:
    def evaluate(context: Context) -> Any:
        value = left(context)
        return compare(value, number) if value.__class__ is int else general(value, number)

    return evaluate


def _if_text(
    left: Evaluate,
    holds: Callable[[str], bool],
    right: str,
    general: Callable[[Any, Any], Any],
) -> Evaluate:
    def evaluate(context: Context) -> Any:
        value = left(context)
        return holds(value) if value.__class__ is str else general(value, right)

    return evaluate


def _in_texts(left: Evaluate, items: list[Any]) -> Evaluate | None:
    if not all(item.__class__ is str for item in items):
        return None
    texts = frozenset(items)

    def in_texts(context: Context) -> bool:
        text = left(context)
        return text in texts if text.__class__ is str else values.is_in(text, items)

    return in_texts
