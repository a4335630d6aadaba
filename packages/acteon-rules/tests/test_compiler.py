"""Compiled expressions against an evaluator that walks the tree, without any short cut."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, assert_never

from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.core import Action
from acteon.rules import EvaluationError
from acteon.rules import values as v
from acteon.rules.builtins import ARITIES, FUNCTIONS, check_call
from acteon.rules.compiler import Compiler
from acteon.rules.context import Context
from acteon.rules.errors import TypeMismatchError, UndefinedVariableError
from acteon.rules.expression import (
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Call,
    Conditional,
    Expression,
    Field,
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
from acteon.rules.regex import compile_regex

ENVIRONMENT = {"region": "eu"}
ACTION = Action(
    id="1",
    namespace="ns",
    tenant="t",
    provider="email",
    action_type="send",
    created_at="2025-01-01T00:00:00Z",
    metadata={"tier": "free"},
    payload={"n": 5, "s": "a", "l": [1, "a", None], "m": {"a": 1.5}, "big": 2**70},
)
NOW = datetime(2025, 1, 1, 12, 30, tzinfo=UTC)
SECONDS = int(NOW.timestamp())


def walked(expression: Expression) -> Any:
    """Return the value of `expression`."""
    match expression:
        case Literal(value):
            return value
        case ListOf(items):
            return [walked(item) for item in items]
        case MapOf(entries):
            return {name: walked(value) for name, value in entries}
        case Name("action"):
            return ACTION.as_json()
        case Name("env" | "environment"):
            return ENVIRONMENT
        case Name("now"):
            return SECONDS
        case Name("time"):
            return {
                "hour": 12,
                "minute": 30,
                "second": 0,
                "day": 1,
                "month": 1,
                "year": 2025,
                "weekday": "Wednesday",
                "weekday_num": 3,
                "timestamp": SECONDS,
            }
        case Name(name):
            if name in ENVIRONMENT:
                return ENVIRONMENT[name]
            raise UndefinedVariableError(name)
        case Field(base, name):
            return v.member(walked(base), name)
        case Index(base, index):
            return v.item(walked(base), walked(index))
        case Unary(operator, operand):
            value = walked(operand)
            return not value if operator is UnaryOperator.NOT else v.negate(value)
        case Binary(BinaryOperator.AND, left, right):
            return bool(walked(left)) and bool(walked(right))
        case Binary(BinaryOperator.OR, left, right):
            return bool(walked(left)) or bool(walked(right))
        case Binary(operator, left, right):
            return applied(operator, walked(left), walked(right))
        case Conditional(condition, then, otherwise):
            return walked(then if walked(condition) else otherwise)
        case Call(function, arguments):
            given_values = [walked(argument) for argument in arguments]
            check_call(function, len(arguments))
            return SECONDS if function == "now" else FUNCTIONS[function](*given_values)
        case All(items):
            return all(walked(item) for item in items)
        case AnyOf(items):
            return any(walked(item) for item in items)
        case StateGet() | StateCounter() | StateTimeSince():
            raise AssertionError("none are made here")
        case _:
            assert_never(expression)


def applied(operator: BinaryOperator, left: Any, right: Any) -> Any:
    if operator is BinaryOperator.MATCHES:
        if isinstance(left, str) and isinstance(right, str):
            return compile_regex(right)(left)
        kinds = f"{v.type_name(left)} and {v.type_name(right)}"
        raise TypeMismatchError(f"matches: unsupported types {kinds}")
    plain = {
        BinaryOperator.ADD: v.add,
        BinaryOperator.SUBTRACT: v.subtract,
        BinaryOperator.MULTIPLY: v.multiply,
        BinaryOperator.DIVIDE: v.divide,
        BinaryOperator.MODULO: v.modulo,
        BinaryOperator.EQUAL: v.equal,
        BinaryOperator.LESS: v.less,
        BinaryOperator.LESS_OR_EQUAL: v.less_or_equal,
        BinaryOperator.GREATER: v.greater,
        BinaryOperator.GREATER_OR_EQUAL: v.greater_or_equal,
        BinaryOperator.CONTAINS: v.contains,
        BinaryOperator.STARTS_WITH: v.starts_with,
        BinaryOperator.ENDS_WITH: v.ends_with,
        BinaryOperator.IN: v.is_in,
    }
    if operator is BinaryOperator.NOT_EQUAL:
        return not v.equal(left, right)
    return plain[operator](left, right)


LITERALS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**63 - 1, -(2**63)]),
    st.floats(allow_infinity=False),
    st.sampled_from(["", "a", "ab", "(", "1", "eu", "n", "free"]),
).map(Literal)
LEAVES = LITERALS | st.sampled_from(
    ["action", "env", "environment", "now", "time", "region", "nope"]
).map(Name)
MEMBERS = st.sampled_from(
    ["payload", "metadata", "tenant", "n", "s", "l", "m", "a", "big", "tier", "region", "hour"]
)


def compound(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(inner, max_size=3).map(tuple)
    return st.one_of(
        st.builds(Field, inner, MEMBERS),
        st.builds(Field, st.builds(Field, st.just(Name("action")), MEMBERS), MEMBERS),
        st.builds(Index, inner, inner),
        st.builds(Unary, st.sampled_from(UnaryOperator), inner),
        st.builds(Binary, st.sampled_from(BinaryOperator), inner, inner),
        st.builds(Conditional, inner, inner, inner),
        st.builds(Call, st.sampled_from([*ARITIES, "nope"]), few),
        few.map(All),
        few.map(AnyOf),
        few.map(ListOf),
        st.lists(st.tuples(MEMBERS, inner), max_size=3).map(tuple).map(MapOf),
    )


EXPRESSIONS = st.recursive(LEAVES, compound, max_leaves=12)


@settings(max_examples=500)
@given(EXPRESSIONS)
def test_compiling_changes_no_result_and_no_error(expression: Expression) -> None:
    context = Context(ACTION, ACTION.payload, NOW, {}, ())
    evaluate = Compiler(ENVIRONMENT).compile(expression)
    assert same(outcome(lambda: evaluate(context)), outcome(lambda: walked(expression)))


def outcome(evaluate: Callable[[], Any]) -> Any:
    """Return the value, or the class and the text of the error."""
    try:
        return evaluate()
    except EvaluationError as error:
        return type(error), str(error)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and (left == right or repr(left) == repr(right))
