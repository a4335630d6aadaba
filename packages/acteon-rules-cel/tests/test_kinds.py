"""What is said of kinds before there is an action holds for every action."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.core import Action
from acteon.rules import ConditionError, Context, EvaluationError, StateRead
from acteon.rules_cel.closures import Closures
from acteon.rules_cel.kinds import NUMBERS, Kind, kind_of
from acteon.rules_cel.mismatches import check_operands
from acteon.rules_cel.reading import read_condition
from acteon.rules_cel.syntax import Chain, Node, children
from acteon.rules_cel.values import CelType, Frame, Uint

FIELDS = [
    *("action.payload.x", "action.payload.x.y", "action.payload.x[0]", "action.payload"),
    *("action.tenant", "action.dedup_key", "action.created_at", "action.metadata"),
    *("action.metadata.n", "action.metadata['n']", "env.N", "time.hour", "time.weekday", "now"),
    *("state.get('k')", "state.counter('k')", "state.since('k')", "1", "2u", "1.5", "'7'", "''"),
    *("true", "null", "[1]", "['a']", "{'a': 1}", "b'a'", "int", "duration('1h')"),
    *("timestamp('2026-01-31T09:00:00Z')", "dyn(now)", "dyn(duration('1h'))"),
]
OPERATORS = ("+", "-", "*", "/", "%", "<", ">=", "in")
FORMS = [
    *(f"({{}} {operator} {{}})" for operator in OPERATORS),
    *("(!{})", "(-{})", "{}.a", "{}[0]", "has({}.a)", "size({})", "int({})", "uint({})"),
    *("double({})", "string({})", "bool({})", "bytes({})", "timestamp({})", "duration({})"),
    *("type({})", "dyn({})", "{}.contains({})", "{}.startsWith({})", "{}.endsWith({})"),
    *("{}.lowerAscii()", "{}.trim()", "{}.replace({}, {})", "{}.split({})", "{}.join({})"),
    *("{}.getHours()", "{}.getFullYear()", "[{}]", "{}.map(v, v)", "{}.all(v, true)"),
]


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    """Return an expression in which nothing overrules that something fails."""
    if not depth or draw(st.integers(0, 2)) == 0:
        return draw(st.sampled_from(FIELDS))
    form = draw(st.sampled_from(FORMS))
    return form.format(*[f"({draw(expressions(depth - 1))})" for _ in range(form.count("{}"))])


VALUES = st.one_of(
    st.sampled_from([None, True, 0, 3, -1, 1.5, 2**70, "", "7", "true", "1h", "x", [], ["a"], [1]]),
    st.sampled_from([{}, {"y": 1}, {"a": "b", "y": [2]}, "2026-01-31T09:00:00Z"]),
)
CLASSES: dict[type, Kind] = {
    type(None): "null",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "text",
    bytes: "bytes",
    list: "list",
    dict: "map",
    datetime: "instant",
    timedelta: "duration",
    CelType: "type",
}


NOW = datetime(2026, 3, 2, 21, 30, tzinfo=UTC)
STATE: dict[StateRead, str | None] = {
    StateRead("state", "k"): NOW.isoformat(),
    StateRead("counter", "k"): "3",
}


def parts(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from parts(child)


def check_kind(node: Node, x: Any, text: str) -> None:
    """Check that `node`, unless it fails, is of its kind, and that nothing in it is refused."""
    seen = Action(
        namespace="shop",
        tenant=text,
        provider="email",
        action_type="order",
        payload={"x": x},
        metadata={"n": text},
    )
    frame = Frame(Context(seen, seen.payload, NOW, STATE, ()), {"N": text}, UTC)
    try:
        value = Closures().compile(node)(frame)
    except EvaluationError:
        return
    kind = kind_of(node, ())
    found = next(CLASSES[each] for each in type(value).__mro__ if each in CLASSES)
    may_be_null = found == "null" and kind == "text"  # A dedup_key, or an entry of the state.
    assert kind in {"", found} or (kind == "number" and found in NUMBERS) or may_be_null
    for part in parts(node):
        check_operands(part, ())


@settings(deadline=None, max_examples=500)
@given(expressions(), VALUES, st.sampled_from(["7", "x"]))
def test_what_has_a_value_is_of_its_kind_and_is_never_refused(
    expression: str, x: Any, text: str
) -> None:
    check_kind(read_condition(expression), x, text)


@pytest.mark.parametrize("operator", OPERATORS)
def test_no_operands_are_refused_that_give_something(operator: str) -> None:
    fields = [read_condition(field) for field in FIELDS]
    for left, right, x in product(fields, fields, (3, "7", 1.5, {"y": 1}, [1])):
        check_kind(Chain(left, ((operator, right),)), x, "7")


@pytest.mark.parametrize(
    "condition",
    [
        "[time].exists(time, time.hour > '22')",
        "[action].exists(action, action.tenant > 5)",
        "action.payload.items.all(now, now > 'x')",
        "[env].exists(env, env.N > 5)",
    ],
)
def test_variables_of_macros_hide_what_is_known(condition: str) -> None:
    node = read_condition(condition)
    for part in parts(node):
        check_operands(part, {"time", "action", "now", "env"})


@pytest.mark.parametrize("condition", ["time.hour > '22'", "action.tenant > 5", "now > 'x'"])
def test_without_such_a_variable_it_is_refused(condition: str) -> None:
    with pytest.raises(ConditionError):
        check_operands(read_condition(condition), ())
