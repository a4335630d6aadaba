"""Expressions as people write them, for explanations and lists of rules."""

import json
import re
from collections.abc import Iterable
from typing import Final, assert_never

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
    UnaryOperator,
)

MAX_LENGTH: Final = 1_000
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_WORDS: Final = {
    BinaryOperator.STARTS_WITH: "starts with",
    BinaryOperator.ENDS_WITH: "ends with",
}


def describe(expression: Expression) -> str:
    """Return `expression` as text: `all(action.provider == "sms", action.payload.n > 5)`.

    Texts of more than `MAX_LENGTH` characters are cut off.
    """
    text = _text(expression)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def _text(expression: Expression) -> str:
    match expression:
        case Literal(value):
            return json.dumps(value, ensure_ascii=False)
        case ListOf(items):
            return f"[{_joined(items)}]"
        case MapOf(entries):
            members = (f"{json.dumps(name)}: {_text(value)}" for name, value in entries)
            return f"{{{', '.join(members)}}}"
        case Name(name):
            return name
        case Field(base, name):
            return _member(base, name)
        case Index(base, index):
            return f"{_operand(base)}[{_text(index)}]"
        case Unary(UnaryOperator.NOT, operand):
            return f"not({_text(operand)})"
        case Unary(_, operand):
            return f"-{_operand(operand)}"
        case Binary():
            return _chain(expression)
        case Conditional(condition, then, otherwise):
            return f"{_operand(condition)} ? {_operand(then)} : {_operand(otherwise)}"
        case Call(function, arguments):
            return f"{function}({_joined(arguments)})"
        case All(items):
            return f"all({_joined(items)})"
        case AnyOf(items):
            return f"any({_joined(items)})"
        case Exists(operand):
            return f"exists({_text(operand)})"
        case StateGet(id):
            return f"state.get({_id(id)})"
        case StateCounter(id):
            return f"state.counter({_id(id)})"
        case StateTimeSince(id):
            return f"state.since({_id(id)})"
        case Foreign(program):
            return program.source
        case _:
            assert_never(expression)


def _joined(items: Iterable[Expression]) -> str:
    return ", ".join(_text(item) for item in items)


def _operand(expression: Expression) -> str:
    """Return the text of a part, in brackets if it would fall apart without them."""
    text = _text(expression)
    return f"({text})" if isinstance(expression, Binary | Conditional | Foreign) else text


def _member(base: Expression, name: str) -> str:
    """Return the text of a chain of members, which may be long."""
    names = [name]
    while isinstance(base, Field):
        names.append(base.name)
        base = base.base
    steps = (
        f".{each}" if _PLAIN_NAME.fullmatch(each) else f"[{json.dumps(each, ensure_ascii=False)}]"
        for each in reversed(names)
    )
    return _operand(base) + "".join(steps)


def _chain(expression: Expression) -> str:
    """Return the text of operators that nest to the left, which may be many."""
    steps: list[str] = []
    while isinstance(expression, Binary):
        operator = _WORDS.get(expression.operator, expression.operator.value)
        steps.append(f" {operator} {_operand(expression.right)}")
        left = expression.left
        if isinstance(left, Binary) and left.operator is not expression.operator:
            return _operand(left) + "".join(reversed(steps))
        expression = left
    return _operand(expression) + "".join(reversed(steps))


def _id(id: str | Expression) -> str:
    return json.dumps(id, ensure_ascii=False) if isinstance(id, str) else _text(id)
