"""What is told when rules are loaded is so, whatever the action."""

from datetime import UTC, datetime

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from acteon.core import Action
from acteon.rules import Deny, EvaluationError, Rule, RuleSet, StateRead, parse_field_path
from acteon.rules.domains import domain_of
from acteon.rules.expression import (
    Binary,
    BinaryOperator,
    Exists,
    Expression,
    ListOf,
    Literal,
    MapOf,
    Name,
    StateCounter,
    StateGet,
    StateTimeSince,
)
from acteon.rules.mismatches import mismatch

ENVIRONMENT = {"stage": "test"}
FIELDS: list[Expression] = [
    Name("now"),
    Name("time"),
    Name("action"),
    Name("env"),
    StateGet("text"),
    StateGet("none"),
    StateCounter("count"),
    StateTimeSince("instant"),
    *map(
        parse_field_path,
        [
            *(f"time.{name}" for name in ("hour", "month", "year", "weekday", "weekday_num")),
            "time.timestamp",
            *(f"action.{name}" for name in ("id", "tenant", "dedup_key", "created_at")),
            *(f"action.{name}" for name in ("metadata", "metadata.x", "metadata.none")),
            *("env.stage", "env.none", "environment.stage"),
            *(f"action.payload.{name}" for name in ("text", "number", "list", "map", "none")),
        ],
    ),
]
VALUES: list[str | float | None] = [None, True, 0, 22, 2.5, "", "22", "22:00", "Friday", "test"]
SCALARS = st.sampled_from(VALUES).map(Literal)
OPERANDS: st.SearchStrategy[Expression] = st.one_of(
    st.sampled_from(FIELDS),
    SCALARS,
    st.lists(SCALARS, max_size=2).map(lambda items: ListOf(tuple(items))),
    SCALARS.map(lambda value: MapOf((("a", value),))),
)
OPERATORS = st.sampled_from(
    [
        each
        for each in BinaryOperator
        if each not in (BinaryOperator.AND, BinaryOperator.OR) and each.value not in "+-*/%"
    ]
)
ACTIONS = st.builds(
    Action,
    namespace=st.just("n"),
    tenant=st.sampled_from(["t", "22"]),
    provider=st.just("p"),
    action_type=st.just("a"),
    payload=st.just({"text": "22", "number": 22, "list": [22, "22"], "map": {"22": 1}}),
    metadata=st.sampled_from([{}, {"x": "22"}]),
    dedup_key=st.sampled_from([None, "22"]),
)
INSTANTS = st.integers(0, 4_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
STATE = {
    StateRead("state", "text"): "22",
    StateRead("state", "none"): None,
    StateRead("state", "instant"): "2025-01-01T00:00:00Z",
    StateRead("counter", "count"): "3",
}


def is_true(condition: Expression, action: Action, now: datetime) -> bool:
    rules = RuleSet.compile(
        [Rule(name="x", condition=condition, effect=Deny())], environment=ENVIRONMENT
    )
    return rules.decide(action, now=now, state=STATE).refused


@given(st.builds(Binary, OPERATORS, OPERANDS, OPERANDS), ACTIONS, INSTANTS)
@settings(max_examples=1_000)
def test_what_is_said_to_fail_fails(comparison: Binary, action: Action, now: datetime) -> None:
    if mismatch(comparison) is not None:
        with pytest.raises(EvaluationError):
            is_true(comparison, action, now)


@given(ACTIONS, INSTANTS)
@settings(max_examples=20, deadline=None)
def test_a_field_is_equal_only_to_values_of_its_domain(action: Action, now: datetime) -> None:
    held = 0
    for field in FIELDS:
        domain = domain_of(field)
        for value in (*VALUES, now.hour, now.month, f"{now:%A}", now.isoweekday()):
            equality = Binary(BinaryOperator.EQUAL, field, Literal(value))
            if domain is not None and is_true(equality, action, now):
                assert domain.holds(value)
                held += 1
    assert held > 5


MENDED = [
    (BinaryOperator.GREATER, "time.hour", "22", "a number from 0 to 23 with a text; write 22"),
    (BinaryOperator.LESS, "time.hour", "06:00", "with a text; write 6"),
    (BinaryOperator.LESS, "time.hour", "6:30", "write 6, and compare time.minute with 30"),
    (BinaryOperator.LESS, "time.hour", "10pm", "from 0 to 23 with a text"),
    (BinaryOperator.LESS, "time.minute", "22:30", "from 0 to 59 with a text"),
    (BinaryOperator.LESS, "time.hour", True, "from 0 to 23 with true or false"),
    (BinaryOperator.LESS, "time.weekday", 6, "time.weekday_num is a number from 1 (Monday) to 7"),
    (BinaryOperator.LESS, "time.weekday_num", "Saturday", "with a text; write 6"),
    (BinaryOperator.LESS, "time", 22, "a map with a number; name a member, such as time.hour"),
    (BinaryOperator.LESS, "now", "2025-01-01", "with a text; write 1735689600 for that"),
    (BinaryOperator.LESS, "now", "2025-01-01T01:00:00+01:00", "write 1735689600 for that"),
    (BinaryOperator.LESS, "now", "22:00", "for the time of day there is time.hour"),
    (BinaryOperator.LESS, "action.tenant", 5, "write cel: 'int(action.tenant) < 5'"),
    (BinaryOperator.LESS, "env.stage", 5, "write cel: 'int(env.stage) < 5'"),
    (BinaryOperator.LESS, "action.metadata", 5, "name a member: action.metadata.NAME"),
    (BinaryOperator.LESS, "action.created_at", 5, "it looks like 2025-01-31T13:30:00Z"),
    (BinaryOperator.CONTAINS, "time.hour", 2, "from 0 to 23; compare it with eq, or with in"),
    (BinaryOperator.MATCHES, "time.hour", "2.", "from 0 to 23; compare it with eq, or with in"),
    (BinaryOperator.STARTS_WITH, "time", "2", "time is a map; name a member, such as time.hour"),
    (BinaryOperator.CONTAINS, "action.tenant", 2, "is a text, and contains texts only"),
    (BinaryOperator.ENDS_WITH, "action.tenant", 2, "ends_with takes texts"),
]


@pytest.mark.parametrize(("operator", "path", "value", "told"), MENDED)
def test_how_to_mend_a_comparison_that_fails_is_told(
    operator: BinaryOperator, path: str, value: str | bool | int, told: str
) -> None:
    text = mismatch(Binary(operator, parse_field_path(path), Literal(value)))
    assert text is not None
    assert text.endswith(told)


def test_what_may_hold_is_not_called_wrong() -> None:
    bounds = {"action.payload.a": Literal(5), "action.tenant": Literal("b"), "now": Literal(2.5)}
    for path, bound in bounds.items():
        assert mismatch(Binary(BinaryOperator.LESS, parse_field_path(path), bound)) is None


@pytest.mark.parametrize("environment", [None, {}, {"stage": "a"}])
def test_variables_are_missed_only_where_all_are_known(environment: dict[str, str] | None) -> None:
    stage = parse_field_path("env.stage")
    rules = [
        Rule(name="x", condition=Binary(BinaryOperator.EQUAL, stage, Literal("a")), effect=Deny()),
        Rule(name="y", condition=Exists(stage), effect=Deny()),
    ]
    warnings = RuleSet.compile(rules, environment=environment).warnings
    missed = [each.rule for each in warnings if each.code == "unknown-field"]
    assert missed == (["x"] if environment == {} else [])
