"""Decisions of any rules about any action: fast and plain, told and made, are the same."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from acteon.core import Action
from acteon.rules import (
    Allow,
    Decision,
    Deduplicate,
    Deny,
    Effect,
    EvaluationError,
    Modify,
    OnRuleError,
    Reroute,
    Rule,
    RuleResult,
    RuleSet,
    StateNotReadError,
    StateRead,
    Suppress,
    Throttle,
    WantedRoute,
    compile_template,
    describe,
    explain,
    parse_field_path,
)
from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Exists,
    Expression,
    ListOf,
    Literal,
    MapOf,
    Name,
    StateCounter,
    Unary,
    UnaryOperator,
)
from acteon.rules.index import RuleIndex, needed_values

NOW = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ALWAYS: Expression = All(())
BROKEN: Expression = Name("nope")
KIND = "action.payload.kind"
STATE = {StateRead("counter", "c"): "3"}


def action(**changes: Any) -> Action:
    members: dict[str, Any] = {
        "id": "a-1",
        "namespace": "ns",
        "tenant": "a",
        "provider": "email",
        "action_type": "send",
        "payload": {"kind": "a", "n": 5},
    }
    return Action(**(members | changes))


def rule(name: str, effect: Effect, condition: Expression = ALWAYS, **more: Any) -> Rule:
    return Rule(name=name, effect=effect, condition=condition, **more)


def is_equal(path: str, value: Any) -> Expression:
    return Binary(BinaryOperator.EQUAL, parse_field_path(path), Literal(value))


def is_in(path: str, values: list[Any]) -> Expression:
    items = tuple(Literal(value) for value in values)
    return Binary(BinaryOperator.IN, parse_field_path(path), ListOf(items))


def all_of(items: list[Expression]) -> Expression:
    return All(tuple(items))


VALUES = st.sampled_from(["a", "b", "c"])
PATHS = st.sampled_from(
    [
        "action.action_type",
        "action.tenant",
        KIND,
        KIND,
        "action.payload.n",
        "action.metadata.team",
        "action.payload.missing.n",
    ]
)


class Kind(StrEnum):
    """Texts of a class of their own."""

    A = "a"
    SEVEN = "kind-7"


SIMPLE = (
    Binary(BinaryOperator.GREATER, parse_field_path("action.payload.n"), Literal(3)),
    Binary(BinaryOperator.GREATER, StateCounter("c"), Literal(2)),
    Exists(parse_field_path(KIND)),
    BROKEN,
)
# The same fields are compared again and again, so that there are groups.
ALIKE = st.tuples(st.lists(st.sampled_from(SIMPLE), max_size=1), VALUES).map(
    lambda drawn: all_of([*drawn[0], is_equal(KIND, drawn[1])])
)
CONDITIONS = ALIKE | st.recursive(
    st.builds(is_equal, PATHS, VALUES | st.sampled_from([5, True, None]))
    | st.builds(is_in, PATHS, st.lists(VALUES | st.none(), max_size=4))
    | st.builds(Exists, PATHS.map(parse_field_path))
    | st.sampled_from([*SIMPLE, ALWAYS, Literal(False)]),
    lambda inner: (
        st.lists(inner, max_size=3).map(all_of)
        | st.builds(Binary, st.sampled_from([BinaryOperator.AND, BinaryOperator.OR]), inner, inner)
        | st.builds(Unary, st.just(UnaryOperator.NOT), inner)
    ),
    max_leaves=5,
)
EFFECTS: st.SearchStrategy[Effect] = st.sampled_from(
    [
        Allow(),
        Deny(),
        Suppress(),
        Deduplicate(key=compile_template("{{ action.payload.kind }}", display=True)),
        Deduplicate(),
        Throttle(max_count=1, window=MINUTE, key=parse_field_path("action.payload.x.y")),
        Reroute(target="sms"),
        Reroute(target="sms", changes=MapOf((("n", parse_field_path(KIND)),))),
        Modify(changes={"kind": "b"}),
        Modify(changes={"n": 1}),
        Modify(changes=MapOf((("kind", parse_field_path("action.tenant")),))),
        Modify(changes=[1]),
    ]
)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    effect = draw(EFFECTS)
    may_continue = not isinstance(effect, Allow | Deny | Suppress)
    return rule(
        f"r{draw(st.integers(0, 9))}",
        effect,
        draw(CONDITIONS),
        continues=may_continue and draw(st.booleans()),
        shadow=draw(st.integers(0, 3)) == 0,
        enabled=draw(st.integers(0, 5)) > 0,
        priority=draw(st.integers(0, 2)),
        on_error=draw(st.none() | st.sampled_from(OnRuleError)),
    )


ACTIONS = st.builds(
    action,
    action_type=VALUES,
    tenant=VALUES,
    metadata=st.dictionaries(st.just("team"), VALUES),
    payload=st.dictionaries(
        st.sampled_from(["kind", "n"]),
        VALUES | st.sampled_from([5, 5.0, True, None, ["a"], {"a": 1}, Kind.A]),
    )
    | st.sampled_from(["a", None, [1], 5]),
)


def outcome(rules: RuleSet, about: Action) -> Decision | str:
    try:
        return rules.decide(about, now=NOW, state=STATE)
    except EvaluationError as error:
        return str(error)


@settings(max_examples=500)
@given(
    given_rules=st.lists(rules(), max_size=12),
    abouts=st.lists(ACTIONS, min_size=1, max_size=3),
    on_error=st.sampled_from(OnRuleError),
)
def test_leaving_out_rules_that_cannot_match_changes_nothing(
    given_rules: list[Rule], abouts: list[Action], on_error: OnRuleError
) -> None:
    compiled = RuleSet.compile(given_rules, on_error=on_error)
    numbers = [number for number, each in enumerate(compiled.rules) if each.enabled]
    unindexed = evolve(compiled, index=RuleIndex.of({number: {} for number in numbers}))
    for about in abouts:
        assert outcome(compiled, about) == outcome(unindexed, about)


@settings(max_examples=500)
@given(
    given_rules=st.lists(rules(), max_size=10), about=ACTIONS, on_error=st.sampled_from(OnRuleError)
)
def test_what_is_explained_is_what_is_decided(
    given_rules: list[Rule], about: Action, on_error: OnRuleError
) -> None:
    compiled = RuleSet.compile(given_rules, on_error=on_error)
    told = explain(compiled, about, now=NOW, state=STATE)

    assert [each.rule for each in told.rules] == list(compiled.rules)
    matched = [each.rule for each in told.rules if each.result is RuleResult.MATCHED]
    failed = [each for each in told.rules if each.result is RuleResult.FAILED]
    deciding = [each.rule.name for each in told.rules if each.decides]
    if told.error is not None:
        assert outcome(compiled, about) == str(told.error)
        assert [told.error.rule] == deciding
        assert failed[-1].error is not None
        assert f"{failed[-1].error} (rule {told.error.rule!r})" == str(told.error)
        return
    decision = told.decision
    assert decision is not None
    assert decision == outcome(compiled, about)
    assert [name for name, _ in decision.matched] == [r.name for r in matched if not r.shadow]
    assert [name for name, _ in decision.shadowed] == [r.name for r in matched if r.shadow]
    assert list(decision.errors) == [(each.rule.name, each.error) for each in failed]
    if deciding:
        assert deciding == [decision.rule]


@given(given_rules=st.lists(rules(), max_size=4), other=rules())
def test_the_version_is_that_of_the_content(given_rules: list[Rule], other: Rule) -> None:
    here = RuleSet.compile([evolve(each, source="a.yaml", line=1) for each in given_rules])
    there = RuleSet.compile([evolve(each, source="b.yaml", line=9) for each in given_rules])
    more = RuleSet.compile([*given_rules, other])
    assert here.version == there.version != more.version
    if given_rules:
        name = here.rules[0].name
        toggled = here.toggled({name: not here.rules[0].enabled})
        assert toggled.version != here.version
        assert toggled.toggled({name: here.rules[0].enabled}).version == here.version


def test_only_rules_that_are_possible_are_asked() -> None:
    conditions = [
        *(is_equal(KIND, f"kind-{number}") for number in range(50)),
        *(
            all_of([is_equal("action.tenant", tenant), is_equal("action.action_type", kind)])
            for tenant in "abcde"
            for kind in "vwxyz"
        ),
        *(is_in("action.metadata.team", [f"t{number}", "all"]) for number in range(4)),
        ALWAYS,
    ]
    index = RuleIndex.of({n: needed_values(condition) for n, condition in enumerate(conditions)})

    def possible(**changes: Any) -> list[int]:
        about = action(**changes)
        return list(index.possible(about, about.payload))

    assert possible(payload={"kind": "kind-7"}, tenant="b", action_type="x") == [7, 57, 79]
    assert 7 in possible(payload={"kind": Kind.SEVEN})
    assert possible(payload={"kind": 7}, tenant="b", action_type="none") == [79]
    assert possible(payload={}, metadata={"team": "all"}) == [75, 76, 77, 78, 79]
    assert possible(payload=[]) == list(range(80))  # All that look at the payload fail.


def test_no_more_plans_are_kept_than_there_is_room_for() -> None:
    conditions: list[Expression] = [is_equal(KIND, f"{number}") for number in range(2_000)]
    conditions += [ALWAYS] * 300
    index = RuleIndex.of({n: needed_values(condition) for n, condition in enumerate(conditions)})
    first = index.possible(action(), {"kind": "0"})
    assert index.possible(action(), {"kind": "0"}) is first
    for number in range(2_000):
        assert len(index.possible(action(), {"kind": f"{number}"})) == 301
    assert index.possible(action(), {"kind": "0"}) is not first, "it was let go meanwhile"
    assert index.possible(action(), {"kind": "0"}) == first


def test_keys_that_depend_on_the_action_are_asked_for_together() -> None:
    def counts(name: str) -> Expression:
        key = Binary(BinaryOperator.ADD, Literal(f"{name}:"), parse_field_path(KIND))
        return Binary(BinaryOperator.GREATER, StateCounter(key), Literal(5))

    compiled = RuleSet.compile([rule(name, Deny(), counts(name)) for name in "abc"])
    with pytest.raises(StateNotReadError) as needed:
        compiled.decide(action(), now=NOW)
    assert needed.value.reads == tuple(StateRead("counter", f"{name}:a") for name in "abc")


def test_a_rule_that_compares_too_much_fails_whatever_follows() -> None:
    much = list(range(20_000))
    same = Binary(
        BinaryOperator.EQUAL,
        parse_field_path("action.payload.x"),
        parse_field_path("action.payload.y"),
    )
    listed = is_in("action.payload.x", [str(number) for number in much])
    for first, payload in ((same, {"x": much, "y": much}), (listed, {"x": 5})):
        condition = all_of([first, is_equal("action.tenant", "other")])
        compiled = RuleSet.compile([rule(f"{n}", Deny(), condition) for n in range(4)])
        with pytest.raises(EvaluationError, match="too many items"):
            compiled.decide(action(payload=payload), now=NOW)


def test_a_time_that_no_calendar_has_is_an_error_of_the_rule() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    late = Binary(BinaryOperator.GREATER, parse_field_path("time.hour"), Literal(22))
    compiled = RuleSet.compile([rule("r", Deny(), late, timezone=ZoneInfo("America/New_York"))])
    with pytest.raises(EvaluationError, match="no such local time"):
        compiled.decide(action(), now=first)
    (told,) = explain(compiled, action(), now=first).rules
    assert told.result is RuleResult.FAILED


def test_a_pattern_of_a_rule_may_be_larger_than_one_of_an_action() -> None:
    large = Binary(BinaryOperator.MATCHES, parse_field_path(KIND), Literal(r"\w{40}"))
    compiled = RuleSet.compile([rule("r", Deny(), large)])
    about = action(payload={"kind": "a" * 40})
    assert compiled.decide(about, now=NOW).rule == "r"
    (told,) = explain(compiled, about, now=NOW).rules
    assert told.result is RuleResult.MATCHED


def test_the_version_of_long_conditions_can_be_told() -> None:
    chain = is_equal(KIND, "a")
    for _ in range(3_000):
        chain = Binary(BinaryOperator.OR, chain, is_equal(KIND, "a"))
    assert RuleSet.compile([rule("r", Deny(), chain)]).version


def test_a_rule_may_be_possible_only_after_a_change() -> None:
    changed = [rule(f"{n}", Deny(), is_equal(KIND, f"{n}"), priority=1) for n in range(5)]
    compiled = RuleSet.compile(
        [rule("change", Modify(changes={"kind": "3"}), continues=True), *changed]
    )
    assert compiled.decide(action(payload={"kind": "1"}), now=NOW).rule == "3"


def test_a_rule_that_is_tried_changes_nothing() -> None:
    compiled = RuleSet.compile(
        [
            rule("tried", Deny(), shadow=True),
            rule("tried too", Modify(changes={"n": 1}), shadow=True),
            rule("broken", Deny(), BROKEN, shadow=True),
            rule("real", Suppress(), is_equal("action.payload.n", 5)),
        ]
    )
    decision = compiled.decide(action(), now=NOW)
    assert (decision.rule, decision.matched) == ("real", (("real", "suppress"),))
    assert decision.shadowed == (("tried", "deny"), ("tried too", "modify"))
    assert [name for name, _ in decision.errors] == ["broken"]


def test_a_rule_says_itself_what_follows_when_it_fails() -> None:
    compiled = RuleSet.compile(
        [
            rule("passed over", Deny(), BROKEN, on_error=OnRuleError.SKIP),
            rule("refuses", Allow(), BROKEN, on_error=OnRuleError.DENY),
        ]
    )
    decision = compiled.decide(action(), now=NOW)
    assert (decision.verdict, decision.rule, decision.refused) == ("deny", "refuses", True)
    assert [name for name, _ in decision.errors] == ["passed over", "refuses"]


def test_changes_may_be_worked_out_from_the_action() -> None:
    changes = MapOf((("text", compile_template("{{ action.payload.kind }}")), ("n", Literal(None))))
    route = RuleSet.compile([rule("r", Reroute(target="slack", changes=changes))])
    wanted = WantedRoute("r", "slack", {"text": "a", "n": None})
    assert route.decide(action(), now=NOW).route == wanted
    modify = RuleSet.compile([rule("r", Modify(changes=changes))])
    assert modify.decide(action(), now=NOW).payload == {"kind": "a", "text": "a"}


@pytest.mark.parametrize(
    ("condition", "clause", "seen"),
    [
        (
            all_of([is_equal("action.tenant", "a"), is_equal(KIND, "z")]),
            'action.payload.kind == "z"',
            {"action.tenant": "a", KIND: "a"},
        ),
        (
            Binary(BinaryOperator.OR, is_equal(KIND, "z"), is_equal("action.payload.n", 5)),
            "action.payload.n == 5",
            {KIND: "a", "action.payload.n": 5},
        ),
        (
            Unary(UnaryOperator.NOT, is_equal(KIND, "z")),
            'not(action.payload.kind == "z")',
            {KIND: "a"},
        ),
        (
            Binary(BinaryOperator.GREATER, StateCounter("c"), Literal(2)),
            'state.counter("c") > 2',
            {'state.counter("c")': 3},
        ),
        (
            Exists(parse_field_path("action.payload.a.b")),
            "exists(action.payload.a.b)",
            {"action.payload.a.b": None},
        ),
        (
            is_equal("action.payload.a.b", 1),
            "action.payload.a.b == 1",
            {"action.payload.a": None},
        ),
    ],
)
def test_the_clause_that_decided_is_told_with_what_it_saw(
    condition: Expression, clause: str, seen: dict[str, Any]
) -> None:
    compiled = RuleSet.compile([rule("r", Deny(), condition)], on_error=OnRuleError.SKIP)
    (told,) = explain(compiled, action(), now=NOW, state=STATE).rules
    assert told.clause == clause
    assert {each.field: each.value for each in told.seen} == seen


def test_rules_that_were_not_asked_are_told_too() -> None:
    compiled = RuleSet.compile(
        [
            rule("off", Deny(), enabled=False),
            rule("ends", Allow()),
            rule("after", Deny(), is_equal(KIND, "z")),
        ]
    )
    told = explain(compiled, action(), now=NOW).rules
    assert [(each.result.value, each.decides, each.would_match) for each in told] == [
        ("disabled", False, True),
        ("matched", True, None),
        ("not_reached", False, False),
    ]


@given(condition=CONDITIONS)
def test_every_condition_has_a_text(condition: Expression) -> None:
    assert describe(condition)
