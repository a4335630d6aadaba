"""Operators that are given what they never take: known when rules are loaded."""

from typing import Final

from acteon.rules.described import describe
from acteon.rules.domains import Domain, domain_of
from acteon.rules.expression import Binary, BinaryOperator, Expression, ListOf, Literal, MapOf

_ORDERINGS: Final = frozenset(
    {
        BinaryOperator.LESS,
        BinaryOperator.LESS_OR_EQUAL,
        BinaryOperator.GREATER,
        BinaryOperator.GREATER_OR_EQUAL,
    }
)
_OF_TEXTS: Final = frozenset(
    {BinaryOperator.STARTS_WITH, BinaryOperator.ENDS_WITH, BinaryOperator.MATCHES}
)
_SAID: Final = {
    "text": "a text",
    "number": "a number",
    "bool": "true or false",
    "null": "null",
    "list": "a list",
    "map": "a map",
}


def mismatch(expression: Binary) -> str | None:
    """Return why `expression` fails whatever the action, and how to mend it; None if it may not."""
    operator = expression.operator
    left, right = _kind(expression.left), _kind(expression.right)
    if operator in _ORDERINGS:
        return _ordering(expression, left, right)
    if operator in _OF_TEXTS:
        if left not in (None, "text"):
            return _no_text(expression, "texts")
        return None if right in (None, "text") else f"{operator.value} takes texts"
    if operator is BinaryOperator.CONTAINS:
        if left not in (None, "text", "list"):
            return _no_text(expression, "texts and lists")
        if left == "text" and right not in (None, "text"):
            return f"{describe(expression.left)} is a text, and contains texts only"
        return None
    if operator is BinaryOperator.IN:
        if right in ("number", "bool", "null"):
            return "in takes a list, a map, or a text"
        if right in ("text", "map") and left not in (None, "text"):
            return f"in looks for texts in {_SAID[right]}, not for {_SAID[left]}"
    return None


def _kind(expression: Expression) -> str | None:
    """Return of what kind the value of `expression` is, unless it is missing; None: unknown."""
    match expression:
        case Literal(None):
            return "null"
        case Literal(bool()):
            return "bool"
        case Literal(str()):
            return "text"
        case Literal():
            return "number"
        case ListOf():
            return "list"
        case MapOf():
            return "map"
        case _:
            domain = domain_of(expression)
            return None if domain is None else domain.kind


def _ordering(expression: Binary, left: str | None, right: str | None) -> str | None:
    ordered = (None, "number", "text")
    if left in ordered and right in ordered and (None in (left, right) or left == right):
        return None
    domain = domain_of(expression.left)
    if domain is None or left is None or right is None:
        return f"{expression.operator.value} takes numbers or strings"
    text = f"{describe(expression)} compares {domain.said} with {_SAID[right]}"
    return text + _advice(expression, domain)


def _advice(expression: Binary, domain: Domain) -> str:
    if not isinstance(expression.right, Literal):
        return ""
    value = expression.right.value
    if domain.kind == "text" and isinstance(value, int | float) and not domain.instead:
        if isinstance(value, bool):
            return ""
        number = f"int({describe(expression.left)})"
        return f"; for the number in it write cel: '{number} {expression.operator.value} {value}'"
    return domain.hint(value)


def _no_text(expression: Binary, wanted: str) -> str:
    field = expression.left
    domain = domain_of(field)
    text = f"{expression.operator.value} takes {wanted}"
    if domain is None:
        return text
    instead = domain.instead if domain.kind == "map" else "compare it with eq, or with in"
    return f"{text}, and {describe(field)} is {domain.said}; {instead}"
