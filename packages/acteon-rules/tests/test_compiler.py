"""Compiled expressions against the evaluator that walks the tree, without any short cut."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.core import Action
from acteon.rules import Context, EvaluationError, StateNotReadError, StateRead
from acteon.rules.builtins import ARITIES
from acteon.rules.compiler import Compiler
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
from acteon.rules.walker import Walker

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
BERLIN = ZoneInfo("Europe/Berlin")
STATE = {
    StateRead("state", "a"): "2025-01-01T00:00:00Z",
    StateRead("state", "1"): "x",
    StateRead("counter", "a"): "7",
    StateRead("counter", "1"): None,
}


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


STATES = (StateGet, StateCounter, StateTimeSince)


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
        st.builds(Exists, inner),
        st.builds(
            Exists, st.builds(Field, st.builds(Field, st.just(Name("action")), MEMBERS), MEMBERS)
        ),
        *(st.builds(kind, inner | st.sampled_from(["a", "1"])) for kind in STATES),
    )


EXPRESSIONS = st.recursive(LEAVES, compound, max_leaves=12)


@settings(max_examples=700)
@given(EXPRESSIONS)
def test_compiling_changes_no_result_and_no_error(expression: Expression) -> None:
    evaluate = Compiler(ENVIRONMENT, BERLIN).compile(expression)
    walker = Walker(context(), ENVIRONMENT, BERLIN)
    compiled = outcome(lambda: evaluate(context()))
    assert same(compiled, outcome(lambda: walker.evaluate(expression)))


@settings(max_examples=300)
@given(EXPRESSIONS)
def test_the_truth_of_a_condition_is_that_of_its_value(expression: Expression) -> None:
    walker, other = (Walker(context(), ENVIRONMENT, BERLIN) for _ in range(2))
    decided = outcome(lambda: walker.decide(expression))
    assert same(decided, outcome(lambda: bool(other.evaluate(expression))))
    assert walker.clause is not None


def context() -> Context:
    return Context(ACTION, ACTION.payload, NOW, STATE, ())


def outcome(evaluate: Callable[[], Any]) -> Any:
    """Return the value, or the class and the text of the error."""
    try:
        return evaluate()
    except (EvaluationError, StateNotReadError) as error:
        return type(error), str(error)


def same(left: Any, right: Any) -> bool:
    if isinstance(left, float) and isinstance(right, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    return type(left) is type(right) and (left == right or repr(left) == repr(right))
