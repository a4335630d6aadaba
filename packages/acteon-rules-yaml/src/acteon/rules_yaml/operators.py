"""The operators of a comparison: what stands beside `field` and `state_counter`."""

import re
from collections.abc import Callable, Mapping
from typing import Final

from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Exists,
    Expression,
    Unary,
    UnaryOperator,
)
from acteon.rules_yaml.nodes import Node, Sequence
from acteon.rules_yaml.oddities import tell_odd_pattern, tell_odd_texts
from acteon.rules_yaml.plain import read_operand
from acteon.rules_yaml.reading import (
    given,
    in_quotes,
    keys_of,
    named,
    read_bool,
    scalar_of,
    text_of,
    wrong_kind,
)
from acteon.rules_yaml.report import Place
from acteon.rules_yaml.templates import text_or_template

_WITHIN: Final = re.compile(r"[=<>~]|\s(?:eq|ne|gt|lt|gte|lte|in|contains|matches|is)\s")
Read = Callable[[Expression, Node, Place], Expression | None]
"""Reads what stands beside an operator, and applies it to the left side of the comparison."""

ONE_EACH: Final = "write a condition for each, under `any`"


def _equal_operand(node: Node, place: Place) -> Expression | None:
    if isinstance(node, Sequence):
        place.advice("the field is compared with the whole list; for one of it write `in`", node)
    elif (keys := keys_of(node)) and keys <= FIELD_OPERATORS.keys():
        place.advice("this is a map to compare with; write the operators beside `field`", node)
    tell_odd_texts(node, place)
    return read_operand(node, place)


def _ordered_operand(node: Node, place: Place) -> Expression | None:
    tell_odd_texts(node, place, ordered=True)
    return read_operand(node, place)


def _text_operand(node: Node, place: Place) -> Expression | None:
    text = text_of(node)
    if text is None:
        hint = ONE_EACH if isinstance(node, Sequence) else in_quotes(node)
        place.error(wrong_kind(node, "a text", hint), node)
        return None
    tell_odd_texts(node, place)
    return text_or_template(text, node, place)


def _pattern_operand(node: Node, place: Place) -> Expression | None:
    text = text_of(node)
    if text is None:
        return _text_operand(node, place)
    tell_odd_pattern(text, node, place)
    return text_or_template(text, node, place)


def _part_operand(node: Node, place: Place) -> Expression | None:
    """Read what a text or a list may contain."""
    if isinstance(scalar_of(node), bool | int | float):
        return read_operand(node, place)
    text = text_of(node)
    if text is None:
        hint = ONE_EACH if isinstance(node, Sequence) else ""
        place.error(wrong_kind(node, "a text, a number, true or false", hint), node)
        return None
    tell_odd_texts(node, place)
    return text_or_template(text, node, place)


def _list_operand(node: Node, place: Place) -> Expression | None:
    if isinstance(node, Sequence):
        tell_odd_texts(node, place)
        return read_operand(node, place)
    text = text_of(node)
    if text is not None and "{{" in text and place.report.version >= 2:
        template = text_or_template(text, node, place)
        if template is None or not isinstance(template, Binary):
            return template
    hint = f"write [{text}]" if text and len(text) <= 100 else ""
    place.error(wrong_kind(node, "a list, such as [a, b]", hint), node)
    return None


def _comparing(
    operator: BinaryOperator, operand: Callable[[Node, Place], Expression | None]
) -> Read:
    def read(left: Expression, node: Node, place: Place) -> Expression | None:
        right = operand(node, place)
        return None if right is None else Binary(operator, left, right)

    return read


def _not_in(left: Expression, node: Node, place: Place) -> Expression | None:
    items = _list_operand(node, place)
    return None if items is None else negated(Binary(BinaryOperator.IN, left, items))


def _exists(left: Expression, node: Node, place: Place) -> Expression | None:
    return _whether_it_exists(left, node, place, wanted=True)


def _is_null(left: Expression, node: Node, place: Place) -> Expression | None:
    return _whether_it_exists(left, node, place, wanted=False)


def _whether_it_exists(
    left: Expression, node: Node, place: Place, *, wanted: bool
) -> Expression | None:
    value = read_bool(node, place.path, place.report)
    if value is None:
        return None
    return Exists(left) if value is wanted else negated(Exists(left))


def negated(condition: Expression) -> Expression:
    """Return the condition that is true when `condition` is not."""
    return Unary(UnaryOperator.NOT, condition)


_FIRST: Final[Mapping[str, Read]] = {"exists": _exists, "is_null": _is_null}
_CLASSIC: Final[Mapping[str, Read]] = {
    "eq": _comparing(BinaryOperator.EQUAL, _equal_operand),
    "ne": _comparing(BinaryOperator.NOT_EQUAL, _equal_operand),
    "gt": _comparing(BinaryOperator.GREATER, _ordered_operand),
    "lt": _comparing(BinaryOperator.LESS, _ordered_operand),
    "gte": _comparing(BinaryOperator.GREATER_OR_EQUAL, _ordered_operand),
    "lte": _comparing(BinaryOperator.LESS_OR_EQUAL, _ordered_operand),
    "contains": _comparing(BinaryOperator.CONTAINS, _part_operand),
    "starts_with": _comparing(BinaryOperator.STARTS_WITH, _text_operand),
    "ends_with": _comparing(BinaryOperator.ENDS_WITH, _text_operand),
    "matches": _comparing(BinaryOperator.MATCHES, _pattern_operand),
    "in_list": _comparing(BinaryOperator.IN, _list_operand),
}
_LAST: Final[Mapping[str, Read]] = {
    "in": _comparing(BinaryOperator.IN, _list_operand),
    "not_in": _not_in,
}
NUMBER_OPERATORS: Final[Mapping[str, Read]] = {**_CLASSIC, **_LAST}
"""Those that suit what is never missing, in the order in which several of one are evaluated."""
FIELD_OPERATORS: Final[Mapping[str, Read]] = {**_FIRST, **NUMBER_OPERATORS}
"""All, in that order: whether there is a field comes before what is asked of it."""


def read_comparison(
    left: Expression,
    key: Node,
    found: Mapping[str, Node],
    place: Place,
    operators: Mapping[str, Read],
) -> Expression | None:
    """Read the operators beside `key`, which all must hold; None if one is wrong, which is noted.

    Before version 2 the operators that came later do not count beside those of the first hour, as
    files were read before.
    """
    asked = {name: node for name in operators if (node := given(found, name)) is not None}
    for name in operators:
        if name in found and name not in asked:
            message = f"`{name}: null` counts as not given; `is_null: true` finds null"
            place.warning(message, found[name])
    if not asked:
        names = named(operators)
        if _WITHIN.search(text_of(key) or ""):
            message = (
                "an operator is a key beside `field`, such as `eq: 5`; or write `cel: …` for all"
            )
            place.error(message, key)
            return None
        place.error(f"field operation has no comparison operator; add one of {names}", key)
        return None
    classic = next((name for name in asked if name in _CLASSIC), None)
    if classic is not None and place.report.version < 2:
        for name in [name for name in asked if name not in _CLASSIC]:
            place.warning(
                f"ignored key: `{name}` does not count beside `{classic}`; write `version: 2` at "
                "the top of the file, or two conditions under `all`",
                asked.pop(name),
            )
    read = [operators[name](left, node, place.at(name)) for name, node in asked.items()]
    comparisons = [comparison for comparison in read if comparison is not None]
    if len(comparisons) < len(read):
        return None
    if len(comparisons) == 1:
        return comparisons[0]
    return All(tuple(comparisons))
