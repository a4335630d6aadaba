import gc
import weakref
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from acteon.core import Action
from acteon.rules import (
    Allow,
    Decision,
    Deduplicate,
    Deny,
    Effect,
    EvaluationError,
    MatchedRule,
    Modify,
    OnRuleError,
    Reroute,
    Rule,
    RuleParseError,
    RuleSet,
    StateNotReadError,
    StateRead,
    Suppress,
    Throttle,
    WantedClaim,
    WantedQuota,
    WantedRoute,
    compile_template,
    parse_field_path,
)
from acteon.rules.expression import (
    All,
    Binary,
    BinaryOperator,
    Call,
    Expression,
    ListOf,
    Literal,
    Name,
    StateCounter,
    StateGet,
    StateTimeSince,
    Unary,
    UnaryOperator,
)

NOW = datetime(2025, 1, 1, tzinfo=UTC)
ALWAYS: Expression = All(())
NEVER: Expression = Literal(False)
BROKEN: Expression = Name("nope")
MINUTE = timedelta(minutes=1)


def action(**changes: Any) -> Action:
    members: dict[str, Any] = {
        "id": "a-1",
        "namespace": "ns",
        "tenant": "t1",
        "provider": "email",
        "action_type": "send",
        "payload": {"to": "x", "n": 5},
    }
    return Action(**(members | changes))


def rule(name: str, effect: Effect, condition: Expression = ALWAYS, **more: Any) -> Rule:
    return Rule(name=name, effect=effect, condition=condition, **more)


def is_equal(path: str, value: str | int) -> Expression:
    return Binary(BinaryOperator.EQUAL, parse_field_path(path), Literal(value))


def decided(*rules: Rule, on_error: OnRuleError = OnRuleError.FAIL, **changes: Any) -> Decision:
    return RuleSet.compile(rules, on_error=on_error).decide(action(**changes), now=NOW)


def test_without_rules_all_is_allowed() -> None:
    assert decided() == Decision()


def test_the_first_match_decides_in_order_of_priority_and_then_of_loading() -> None:
    decision = decided(
        rule("late", Allow(), priority=100),
        rule("first", Suppress(), priority=5),
        rule("second", Deny(), priority=5),
        rule("other", Deny(), NEVER, priority=-1),
    )
    assert (decision.verdict, decision.rule) == ("suppress", "first")
    assert decision.matched == (MatchedRule("first", "suppress"),)
    assert decision.refused


def test_an_allowing_rule_exempts_from_all_later_ones() -> None:
    decision = decided(rule("yes", Allow()), rule("no", Deny()))
    assert (decision.verdict, decision.rule, decision.refused) == ("allow", "yes", False)


def test_effects_of_rules_that_continue_add_up() -> None:
    decision = decided(
        rule("once", Deduplicate(ttl=MINUTE), continues=True),
        rule("few", Throttle(max_count=3, window=MINUTE), continues=True),
        rule("shape", Modify(changes={"n": None}), continues=True),
        rule("slack", Reroute(target="slack", changes={"text": "hi"})),
        rule("never asked", Deny()),
    )
    assert decision == Decision(
        verdict="reroute",
        rule="slack",
        matched=(
            MatchedRule("once", "deduplicate"),
            MatchedRule("few", "throttle"),
            MatchedRule("shape", "modify"),
            MatchedRule("slack", "reroute"),
        ),
        payload={"to": "x"},
        modified=True,
        claim=WantedClaim("once", None, MINUTE),
        quota=WantedQuota("few", None, 3, MINUTE),
        route=WantedRoute("slack", "slack", {"text": "hi"}),
    )


def test_when_all_matches_continue_the_first_gives_the_verdict() -> None:
    decision = decided(
        rule("few", Throttle(max_count=3, window=MINUTE), continues=True),
        rule("once", Deduplicate(), continues=True),
    )
    assert (decision.verdict, decision.rule) == ("throttle", "few")


def test_of_each_kind_but_modify_the_first_counts() -> None:
    decision = decided(
        rule("a", Deduplicate(ttl=MINUTE), continues=True),
        rule("b", Deduplicate(), continues=True),
        rule("c", Reroute(target="x"), continues=True),
        rule("d", Reroute(target="y"), continues=True),
        rule("e", Modify(changes={"n": 1}), continues=True),
        rule("f", Modify(changes={"m": 2})),
    )
    assert decision.claim == WantedClaim("a", None, MINUTE)
    assert decision.route == WantedRoute("c", "x", {})
    assert decision.payload == {"to": "x", "n": 1, "m": 2}


def test_later_rules_see_what_earlier_ones_changed() -> None:
    decision = decided(
        rule("shape", Modify(changes={"n": "changed"}), continues=True),
        rule("whole", Suppress(), is_equal("action.payload.n", "changed")),
    )
    assert (decision.verdict, decision.rule) == ("suppress", "whole")


def test_nothing_is_taken_for_a_refused_action() -> None:
    decision = decided(
        rule("once", Deduplicate(), continues=True),
        rule("few", Throttle(max_count=3, window=MINUTE), continues=True),
        rule("away", Reroute(target="x"), continues=True),
        rule("no", Deny()),
    )
    assert decision.refused
    assert (decision.claim, decision.quota, decision.route) == (None, None, None)
    assert len(decision.matched) == 4


def test_keys_are_shown_as_text() -> None:
    key = compile_template("{{ action.payload.n }}")
    decision = decided(
        rule("once", Deduplicate(key=key), continues=True),
        rule("few", Throttle(max_count=1, window=MINUTE, key=Literal(2.0))),
    )
    assert decision.claim == WantedClaim("once", "5", None)
    assert decision.quota == WantedQuota("few", "2", 1, MINUTE)


def test_a_rule_that_fails_fails_the_decision_and_is_named() -> None:
    with pytest.raises(EvaluationError) as caught:
        decided(rule("bad", Allow(), BROKEN), rule("good", Deny()))
    assert caught.value.rule == "bad"
    assert str(caught.value) == "undefined variable: nope (rule 'bad')"


def test_a_key_that_fails_fails_the_whole_rule() -> None:
    rules = (rule("bad", Deduplicate(key=BROKEN), continues=True), rule("good", Allow()))
    decision = decided(*rules, on_error=OnRuleError.SKIP)
    assert decision.matched == (MatchedRule("good", "allow"),)
    assert decision.claim is None


def test_a_rule_that_fails_can_be_passed_over() -> None:
    decision = decided(
        rule("bad", Deny(), BROKEN), rule("good", Suppress()), on_error=OnRuleError.SKIP
    )
    assert (decision.verdict, decision.rule) == ("suppress", "good")
    assert decision.errors == (("bad", "undefined variable: nope"),)


def test_passed_over_rules_are_told_even_when_none_matches() -> None:
    decision = decided(rule("bad", Deny(), BROKEN), on_error=OnRuleError.SKIP)
    assert (decision.verdict, decision.rule) == ("allow", None)
    assert decision.errors == (("bad", "undefined variable: nope"),)


def test_a_rule_that_fails_can_refuse_the_action() -> None:
    decision = decided(
        rule("once", Deduplicate(), continues=True),
        rule("bad", Allow(), BROKEN),
        on_error=OnRuleError.DENY,
    )
    assert (decision.verdict, decision.rule, decision.refused) == ("deny", "bad", True)
    assert decision.claim is None
    assert decision.errors == (("bad", "undefined variable: nope"),)


def test_a_payload_that_contains_itself_is_an_error_like_others() -> None:
    loop: list[Any] = []
    loop.append(loop)
    other: list[Any] = []
    other.append(other)
    same = Binary(
        BinaryOperator.EQUAL,
        parse_field_path("action.payload.a"),
        parse_field_path("action.payload.b"),
    )
    with pytest.raises(EvaluationError, match="nested too deeply"):
        decided(rule("bad", Deny(), same), payload={"a": loop, "b": other})


def test_disabled_rules_are_not_asked() -> None:
    assert decided(rule("bad", Deny(), BROKEN, enabled=False)).verdict == "allow"


def test_toggling_switches_the_first_rule_of_a_name_and_keeps_the_set() -> None:
    pristine = RuleSet.compile(
        [rule("a", Deny(), priority=2), rule("a", Suppress(), priority=1), rule("b", Allow())]
    )
    toggled = pristine.toggled({"a": False, "b": False, "unknown": True})
    assert [r.enabled for r in toggled.rules] == [False, False, True]
    assert toggled.decide(action(), now=NOW).verdict == "deny"
    assert pristine.decide(action(), now=NOW).verdict == "allow"
    assert toggled.toggled({"b": True}).decide(action(), now=NOW).verdict == "allow"


def test_what_is_read_are_the_entries_of_enabled_rules() -> None:
    rules = RuleSet.compile(
        [
            rule("a", Deny(), StateGet("x")),
            rule("b", Deny(), All((StateTimeSince("x"), StateCounter("c")))),
            rule("c", Deny(), StateGet("off"), enabled=False),
            rule("d", Deduplicate(key=StateGet("y"))),
        ]
    )
    state, counter = StateRead("state", "x"), StateRead("counter", "c")
    assert rules.reads == (state, counter, StateRead("state", "y"))
    assert StateRead("state", "off") in rules.toggled({"c": True}).reads
    with pytest.raises(StateNotReadError) as caught:
        rules.decide(action(), now=NOW)
    assert caught.value.reads == rules.reads
    values: Mapping[StateRead, str | None] = dict.fromkeys(rules.reads) | {state: "here"}
    assert rules.decide(action(), now=NOW, state=values).rule == "a"


def test_a_decision_that_needs_no_state_reads_none() -> None:
    assert decided(rule("a", Deny()), rule("b", Deny(), StateGet("x"))).rule == "a"


def test_variables_of_the_environment_are_seen() -> None:
    rules = RuleSet.compile(
        [rule("eu", Deny(), is_equal("region", "eu"))], environment={"region": "eu"}
    )
    assert rules.decide(action(), now=NOW).rule == "eu"
    assert not rules.warnings


def test_rules_that_are_nested_too_deeply_are_refused_together() -> None:
    deep = ALWAYS
    for _ in range(200):
        deep = Unary(UnaryOperator.NOT, deep)
    with pytest.raises(RuleParseError, match="nested more than") as caught:
        RuleSet.compile([rule("a", Deny(), deep), rule("b", Deny(), deep, source="b.yaml")])
    assert [(p.rule, p.file) for p in caught.value.problems] == [("a", ""), ("b", "b.yaml")]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (Name("nope"), "undefined variable: nope"),
        (parse_field_path("action.kind"), "action has no member 'kind'"),
        (parse_field_path("time.our"), "time has no member 'our'"),
        (Call("nope", ()), "undefined function: nope"),
        (Call("len", ()), "len() expects 1 argument(s), got 0"),
        (
            Binary(BinaryOperator.MATCHES, parse_field_path("action.id"), Literal("(")),
            "invalid regex",
        ),
        (
            Binary(BinaryOperator.LESS, Name("now"), Literal(None)),
            "the seconds since 1970 with null",
        ),
        (Binary(BinaryOperator.LESS, ListOf(()), Name("now")), "takes numbers or strings"),
    ],
)
def test_what_will_fail_is_told_when_rules_are_loaded(condition: Expression, message: str) -> None:
    (problem,) = RuleSet.compile([rule("odd", Deny(), condition, line=7)]).warnings
    assert message in problem.message
    assert (problem.rule, problem.line) == ("odd", 7)


def test_equal_names_and_unreachable_rules_are_told() -> None:
    warnings = RuleSet.compile([rule("a", Deny()), rule("b", Allow()), rule("a", Allow())]).warnings
    assert [(w.rule, w.message.partition(":")[0]) for w in warnings] == [
        ("b", "never asked"),
        (
            "a",
            "another rule has the same name; only the first can be switched off and on; "
            "rename one of them",
        ),
        ("a", "never asked"),
    ]


class Payload(dict[str, object]):
    """A payload that can be seen to go."""


def test_a_rule_that_fails_leaves_nothing_to_the_collector() -> None:
    rules = RuleSet.compile([rule("bad", Deny(), is_equal("action.payload.to.what", 1))])
    payload = Payload(to="x")
    held = weakref.ref(payload)
    gc.disable()
    try:
        with pytest.raises(EvaluationError):
            rules.decide(action(payload=payload), now=NOW)
        del payload
        assert held() is None
    finally:
        gc.enable()
