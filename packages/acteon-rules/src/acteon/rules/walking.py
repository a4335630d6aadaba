"""Looking at all parts of an expression."""

from collections.abc import Iterator, Sequence
from typing import assert_never

from acteon.rules.expression import (
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Exists,
    Expression,
    Field,
    Foreign,
    Index,
    ListOf,
    Literal,
    MapOf,
    Name,
    StateCounter,
    StateGet,
    StateTimeSince,
    Unary,
)


def parts(expression: Expression) -> Iterator[Expression]:
    """Yield `expression` and all that it is made of, from left to right, however deep it is."""
    pending = [expression]
    while pending:
        current = pending.pop()
        yield current
        pending.extend(reversed(_children(current)))


def operands(expression: Expression, operator: BinaryOperator) -> list[Expression]:
    """Return what a tree of one logical operator joins, from left to right."""
    found: list[Expression] = []
    pending = [expression]
    while pending:
        current = pending.pop()
        if isinstance(current, Binary) and current.operator is operator:
            pending += (current.right, current.left)
        else:
            found.append(current)
    return found


def _children(expression: Expression) -> Sequence[Expression]:
    match expression:
        case StateGet(id) | StateCounter(id) | StateTimeSince(id):
            return () if isinstance(id, str) else (id,)
        case Literal() | Name() | Foreign():
            return ()
        case Exists(operand):
            return (operand,)
        case Field(base, _):
            return (base,)
        case Index(base, index):
            return (base, index)
        case Unary(_, operand):
            return (operand,)
        case Binary(_, left, right):
            return (left, right)
        case Conditional(condition, then, otherwise):
            return (condition, then, otherwise)
        case Call(_, arguments):
            return arguments
        case All(items) | AnyOf(items) | ListOf(items):
            return items
        case MapOf(entries):
            return [value for _, value in entries]
        case _:
            assert_never(expression)
