"""Rules whose conditions are written in CEL, as the gateway evaluates them, with either engine."""

import gc
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from acteon.core import Action
from acteon.rules import (
    Allow,
    Deny,
    EvaluationError,
    Modify,
    OnRuleError,
    Rule,
    RuleResult,
    RuleSet,
    StateNotReadError,
    StateRead,
    Suppress,
    explain,
)

MakeRule = Callable[..., Rule]
MakeAction = Callable[..., Action]

NOW = datetime(2026, 1, 5, 22, 30, tzinfo=UTC)
ABSENT = StateRead("state", "absent")
PAYLOAD: dict[str, Any] = {
    "amount": 700,
    "to": "ada@example.com",
    "big": 2**70,
    "items": [{"price": 10, "sku": "A-1"}, {"price": 2_000, "sku": "B-2", "rare": True}],
    "nothing": None,
    "a b": "c",
}


def decided(rule: Rule, action: Action, **parts: Any) -> bool:
    environment = {"REGION": "eu"}
    rules = RuleSet.compile([rule], environment=environment)
    return rules.decide(action, now=NOW, **parts).rule == rule.name


@pytest.mark.parametrize(
    "condition",
    [
        'action.namespace == "shop" && action.tenant == "acme"',
        'action.provider == "email" && action.action_type == "order"',
        'action.payload.amount > 500 && action.payload.to.endsWith("@example.com")',
        "action.payload.items.exists(i, i.price > 1000 && has(i.rare))",
        "action.payload.items.map(i, i.sku) == ['A-1', 'B-2']",
        "!has(action.payload.urgent) && action.payload.nothing == null",
        'action.payload["a b"] == "c"',
        "action.payload.big > 1e20 && action.payload.big == 1180591620717411303424.0",
        'action.metadata.team == "blue" && "team" in action.metadata',
        'action.dedup_key == null && action.id != ""',
        'timestamp(action.created_at) <= now + duration("1h")',
        'now == timestamp("2026-01-05T22:30:00Z")',
        "now.getHours() == 22 && now.getHours('Europe/Berlin') == 23",
        'time.hour == 22 && time.weekday == "Monday" && time.weekday_num == 1',
        "time.year == 2026 && time.month == 1 && time.day == 5 && time.minute == 30",
        "time.timestamp == int(now)",
        'env.REGION == "eu" && has(env.REGION) && !has(env.NOPE) && size(env) == 1',
        "size(action.payload) == 6 && size(action) == 9 && size(time) == 9",
        'action["payload"]["amount"] == 700',
        "[action.payload].exists(action, action.amount == 700)",
        "true",
    ],
)
def test_a_condition_sees_the_action_and_the_moment(
    rule: MakeRule, action: MakeAction, condition: str
) -> None:
    seen = action(PAYLOAD, metadata={"team": "blue"}, created_at="2026-01-05T22:30:00Z")
    assert decided(rule(condition), seen)
    assert not decided(rule(f"!({condition})"), seen)


def test_time_is_told_in_the_zone_of_the_rule(rule: MakeRule, action: MakeAction) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    condition = "time.hour == 7 && time.day == 6"
    assert decided(rule(condition, timezone=tokyo), action())
    assert not decided(rule(condition), action())


@pytest.mark.parametrize(
    ("condition", "start"),
    [
        ("action.payload.nope == 1", "evaluation error: no such key: nope"),
        (
            "action.payload.to.domain == 'x'",
            "type error: no such overload: member domain of action.payload.to, which is string",
        ),
        ("action.payload.amount", "type error: the condition gives int; it must be true or false"),
        ("action.payload.items[0]", "type error: the condition gives map; it must be true"),
        ("action.payload.amount / 0 == 1", "evaluation error: divi"),
        ("action.payload.to > 5", "type error: no such overload: > on string, int"),
        ("action.payload.to.matches(action.payload.to + '[')", "invalid regex: missing ]"),
        ("env.NOPE == 'x'", "evaluation error: no such key: NOPE"),
    ],
)
def test_a_condition_without_a_value_fails(
    rule: MakeRule, action: MakeAction, condition: str, start: str
) -> None:
    with pytest.raises(EvaluationError) as caught:
        decided(rule(condition), action(PAYLOAD))
    assert str(caught.value).startswith(start)
    assert str(caught.value).endswith("(rule 'r')")
    skipping = RuleSet.compile([rule(condition, on_error=OnRuleError.SKIP)])
    decision = skipping.decide(action(PAYLOAD), now=NOW)
    ((failed, message),) = decision.errors
    assert (failed, decision.rule) == ("r", None)
    assert message.startswith(start)


def test_state_with_literal_keys_is_read_beforehand(rule: MakeRule, action: MakeAction) -> None:
    asking = rule(
        'state.get("a") == "x" && state.counter("b") > 2 && state.since("c") < duration("1h")'
    )
    rules = RuleSet.compile([asking])
    wanted = (StateRead("state", "a"), StateRead("counter", "b"), StateRead("state", "c"))
    assert rules.reads == wanted
    with pytest.raises(StateNotReadError) as caught:
        rules.decide(action(), now=NOW)
    assert caught.value.reads == wanted
    since = (NOW - timedelta(minutes=5)).isoformat()
    state: dict[StateRead, str | None] = dict(zip(wanted, ("x", "3", since), strict=True))
    assert rules.decide(action(), now=NOW, state=state).rule == "r"
    state[wanted[1]] = "2"
    assert rules.decide(action(), now=NOW, state=state).rule is None


def test_state_with_computed_keys_is_asked_for_when_it_is_met(
    rule: MakeRule, action: MakeAction
) -> None:
    asking = rule('state.counter("to:" + action.payload.to) >= 3')
    rules = RuleSet.compile([asking])
    assert rules.reads == ()
    sent = action({"to": "ada"})
    with pytest.raises(StateNotReadError) as caught:
        rules.decide(sent, now=NOW)
    read = StateRead("counter", "to:ada")
    assert caught.value.reads == (read,)
    assert rules.decide(sent, now=NOW, state={read: "3"}).rule == "r"
    assert rules.decide(sent, now=NOW, state={read: None}).rule is None


def test_a_number_may_be_the_key_of_an_entry(rule: MakeRule, action: MakeAction) -> None:
    asking = rule("state.get(action.payload.id) == 'x'")
    state = {StateRead("state", "7"): "x"}
    assert decided(asking, action({"id": 7}), state=state)
    with pytest.raises(EvaluationError, match=r"no such overload: .* on bool"):
        decided(asking, action({"id": True}), state=state)


def test_what_is_not_there_is_null_and_long_ago(rule: MakeRule, action: MakeAction) -> None:
    state: dict[StateRead, str | None] = {ABSENT: None, StateRead("counter", "absent"): None}
    condition = (
        'state.get("absent") == null && state.counter("absent") == 0'
        ' && state.since("absent") > duration("87600h")'
    )
    assert decided(rule(condition), action(), state=state)


@pytest.mark.parametrize(
    ("condition", "entry"),
    [
        ('state.counter("x") > 1', StateRead("counter", "x")),
        ('state.since("x") > duration("1s")', StateRead("state", "x")),
        ('state.counter("x") > 1 || false', StateRead("counter", "x")),
    ],
)
def test_an_entry_that_holds_something_else_fails(
    rule: MakeRule, action: MakeAction, condition: str, entry: StateRead
) -> None:
    with pytest.raises(EvaluationError) as caught:
        decided(rule(condition), action(), state={entry: "no such thing"})
    assert str(caught.value).startswith("state access error: ")


@pytest.mark.parametrize(
    "condition",
    [
        'action.action_type == "refund" && action.payload.nope > 1',
        'action.payload.nope > 1 && "refund" == action.action_type',
        'action.tenant in ["x", "y"] && action.payload.nope',
        'action.payload.nope && (action.provider == "sms" && true)',
    ],
)
def test_a_rule_for_other_actions_is_skipped_and_does_not_fail(
    rule: MakeRule, action: MakeAction, condition: str
) -> None:
    assert not decided(rule(condition), action())
    (explained,) = explain(RuleSet.compile([rule(condition)]), action(), now=NOW).rules
    assert explained.result is RuleResult.NOT_MATCHED


def test_what_a_condition_requires_is_told_to_the_index(rule: MakeRule) -> None:
    both = rule('action.tenant == "a" && action.provider in ["b", "c"] && action.payload.x')
    (either,) = [rule('action.tenant == "a" || action.provider == "b"')]
    assert len(both.condition.program.requires) == 2  # type: ignore[union-attr]
    assert either.condition.program.requires == ()  # type: ignore[union-attr]


def test_an_explanation_shows_what_the_condition_looked_at(
    rule: MakeRule, action: MakeAction
) -> None:
    condition = (
        'has(action.payload.to) && action.payload.items[1]["sku"] == "B-2"'
        ' && state.get("k") == null && now > timestamp(0) && action.payload.nope == 1'
    )
    state: dict[StateRead, str | None] = {StateRead("state", "k"): None}
    (explained,) = explain(
        RuleSet.compile([rule(condition)]), action(PAYLOAD), now=NOW, state=state
    ).rules
    assert explained.result is RuleResult.FAILED
    assert explained.error == "evaluation error: no such key: nope"
    assert explained.clause == condition
    assert {seen.field: seen.value for seen in explained.seen} == {
        "has(action.payload.to)": True,
        "action.payload.items[1]['sku']": "B-2",
        'state.get("k")': None,
        "now": "2026-01-05T22:30:00Z",
    }


def test_a_condition_sees_what_rules_before_it_changed(rule: MakeRule, action: MakeAction) -> None:
    rules = RuleSet.compile(
        [
            rule(
                "action.payload.amount == 700",
                Modify(changes={"amount": 1}),
                name="a",
                continues=True,
            ),
            rule(
                "action.payload.amount == 1",
                Modify(changes={"amount": 2}),
                name="b",
                continues=True,
            ),
            rule("action.payload.amount == 2", Suppress(), name="c"),
            rule("true", Allow(), name="d"),
        ]
    )
    decision = rules.decide(action({"amount": 700}), now=NOW)
    assert [match.rule for match in decision.matched] == ["a", "b", "c"]
    results = [each.result for each in explain(rules, action({"amount": 700}), now=NOW).rules]
    assert results == [RuleResult.MATCHED] * 3 + [RuleResult.NOT_REACHED]


def test_rules_with_one_condition_are_equal_and_hash_alike(rule: MakeRule) -> None:
    one, same, other = rule("1 < 2"), rule("1 < 2"), rule("1 < 3")
    assert one.condition == same.condition != other.condition
    assert hash(one.condition) == hash(same.condition)
    assert RuleSet.compile([one]).version == RuleSet.compile([same]).version
    assert RuleSet.compile([one]).version != RuleSet.compile([other]).version


class Payload(dict[str, Any]):
    """A payload that can be watched."""

    __slots__ = ("__weakref__",)


@pytest.mark.parametrize(
    "condition",
    [
        "action.payload.nope == 1",
        "action.payload.nope == 1 || action.payload.to == 1",
        "action.payload.nope || action.payload.to == 'x'",
        "action.payload.list.exists(x, x.nope) || action.payload.list.all(x, x > 'a')",
        "action.payload.list.exists(x, x.nope || x == 2)",
        "action.payload.to.matches(action.payload.to + '[')",
        "action.payload.list.map(x, x.nope) == []",
        "action.payload.list.all(x, action.payload.list.all(y, x.nope))",
        "state.counter(action.payload.to) > 1",
    ],
)
def test_an_evaluation_leaves_nothing_to_the_collector(
    rule: MakeRule, action: MakeAction, condition: str
) -> None:
    rules = RuleSet.compile([rule(condition)])
    payload = Payload(to="x", list=[1, 2])
    held = weakref.ref(payload)
    gc.collect()
    gc.disable()
    try:
        with suppress(EvaluationError):
            rules.decide(action(payload), now=NOW, state={StateRead("counter", "x"): "no number"})
        del payload
        assert held() is None
    finally:
        gc.enable()


def test_rules_can_be_asked_by_many_threads_at_once(rule: MakeRule, action: MakeAction) -> None:
    rules = RuleSet.compile(
        [
            rule('action.payload.to.matches("^a+" + action.payload.end)', Deny(), name="a"),
            rule('state.counter("n") == action.payload.n', Suppress(), name="b"),
        ]
    )

    def ask(number: int) -> str | None:
        ends = "b" if number % 2 else "c"
        payload = {"to": "aaab", "end": ends, "n": number}
        state = {StateRead("counter", "n"): str(number)}
        return rules.decide(action(payload), now=NOW, state=state).rule

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(2_000)))
    assert found == ["b", "a"] * 1_000


@pytest.mark.parametrize(
    "condition",
    [
        "1. + 1.5 == 2.5",
        "(" * 45 + "true" + ")" * 45,
        "[" * 40 + "]" * 40 + " != []",
        "1 == 1.0 && dyn('a') != 1 && [1] == [1.0]",
        "action.payload.`a b` == 'c' && has(action.payload.`a b`)",
        "action.payload.items.exists(namespace_, namespace_.sku == 'B-2')",
        "'é' != 'x' && 'äöü'.contains('ö') && action.payload.to.contains(action.payload.to)",
        "'é'.matches('é') ||\n'ü'.matches('x') && action.payload.to.matches('@')",
    ],
    ids=lambda each: each[:40],
)
def test_what_one_engine_takes_the_other_takes_too(
    rule: MakeRule, action: MakeAction, condition: str
) -> None:
    assert decided(rule(condition), action(PAYLOAD))


@pytest.mark.parametrize("items", [1, 20, 149, 151, 1_000, 2_500])
def test_long_lists_are_seen_alike(rule: MakeRule, action: MakeAction, items: int) -> None:
    payload = {"items": [{"n": number} for number in range(items)], "last": items - 1}
    seen = action(payload)
    assert decided(rule("action.payload.items.exists(i, i.n == action.payload.last)"), seen)
    assert decided(rule("action.payload.items.all(i, i.n >= 0)"), seen)
    filtered = "action.payload.items.filter(i, i.n > 0)"
    assert decided(rule(f"size({filtered}) == action.payload.last"), seen)


@pytest.mark.parametrize(
    ("items", "fails"), [(4_000, False), (4_001, True)], ids=["as many", "one more"]
)
def test_a_macro_goes_over_as_many_items_as_the_readme_says(
    rule: MakeRule, action: MakeAction, items: int, fails: bool
) -> None:
    seen = action({"items": [{"price": 1}] * items})
    decision = RuleSet.compile(
        [rule("action.payload.items.exists(i, i.price > 100)", on_error=OnRuleError.SKIP)]
    ).decide(seen, now=NOW)
    assert bool(decision.errors) is fails


def test_a_variable_that_is_not_defined_is_told(rule: MakeRule) -> None:
    rules = [rule('env.STAGE == "production" && env.region == "eu"')]
    told = [problem.message for problem in RuleSet.compile(rules, environment=ENV).warnings]
    assert told == ["fails when it is evaluated: env has no 'STAGE'; did you mean 'stage'?"]
    asked = [rule('has(env.STAGE) && env.STAGE == "production"')]
    assert RuleSet.compile(asked, environment=ENV).warnings == ()
    assert RuleSet.compile(rules).warnings == (), "nothing is known of the variables"


ENV = {"stage": "production", "region": "eu"}
