"""Conditions and actions as files write them: what they mean and what they refuse."""

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
    Modify,
    Reroute,
    Rule,
    RuleParseError,
    RuleSet,
    StateRead,
    Suppress,
    Throttle,
)
from acteon.rules_yaml import YamlRuleFrontend

ACTION = Action(
    id="a-1",
    namespace="ns",
    tenant="t1",
    provider="email",
    action_type="send_email",
    created_at="2025-01-01T00:00:00Z",
    metadata={"tier": "free"},
    payload={
        "to": "user@example.com",
        "n": 5,
        "f": 2.5,
        "big": 18446744073709551615,
        "nul": None,
        "s": "3",
        "l": [1, 2, 3],
        "m": {"a": 1},
        "t": True,
    },
)
NOW = datetime(2025, 1, 1, 0, 1, 0, 900_000, tzinfo=UTC)
STATE = {
    StateRead("state", "seen"): "2025-01-01T00:00:00+00:00",
    StateRead("state", "junk"): "xyz",
    StateRead("state", "none"): None,
    StateRead("counter", "c"): "7",
    StateRead("counter", "bad"): "x",
    StateRead("counter", "none"): None,
}


def load(condition: str, action: str = "{type: deny}", more: str = "") -> Rule:
    text = f"rules:\n- name: r\n  {more}\n  condition: {condition}\n  action: {action}"
    (rule,) = YamlRuleFrontend().parse(text.replace("p.", "action.payload.")).rules
    return rule


def decided(*rules: Rule) -> Decision:
    environment = {"region": "eu", "now": "E"}
    return RuleSet.compile(rules, environment=environment).decide(ACTION, now=NOW, state=STATE)


@pytest.mark.parametrize(
    "condition",
    [
        "{field: action.action_type, eq: send_email}",
        "{field: p.n, eq: 5.0}",
        "{field: p.n, in_list: [5.0]}",
        "{field: p.f, in_list: [2.5]}",
        "{field: p.l, in_list: [[1, 2, 3]]}",
        "{field: p.nul, in_list: [null]}",
        "{field: p.missing, in_list: [null]}",
        "{field: p.n, gt: 1, lt: 10}",
        "{field: p.missing, ne: 1}",
        "{field: p.l, eq: [1, 2, 3]}",
        "{field: p.m, eq: {a: 1}}",
        "{field: p.t, eq: True}",
        "{field: p.big, gt: 9223372036854775807}",
        "{field: p.big, eq: 18446744073709551615}",
        '{field: p.to, contains: ""}',
        "{field: p.to, matches: ~, eq: user@example.com}",
        "{field: now, gte: 1735689660}",
        "{field: region, eq: eu}",
        "{field: env.PATH, ne: zz}",
        "{all: []}",
        "{any: [{field: p.n, eq: 5}, {field: nope, eq: 1}]}",
        "{field: p.n, eq: 6, all: []}",
        "{all: x, field: p.n, eq: 5}",
        "{any: [{field: p.to, starts_with: user, ends_with: .com}]}",
        "{state_seen: seen}",
        "{state_seen: seen, within_seconds: 61}",
        "{state_seen: seen, within_seconds: ~}",
        "{state_seen: seen, eq: 1}",
        "{state_counter: c, gte: 7}",
        "{state_counter: none, eq: 0}",
    ],
)
def test_it_matches(condition: str) -> None:
    assert decided(load(condition)).verdict == "deny"


@pytest.mark.parametrize(
    "condition",
    [
        '{field: p.n, eq: "5"}',
        "{field: p.s, eq: 3}",
        '{field: p.n, in_list: ["5"]}',
        "{field: p.n, in_list: []}",
        "{field: p.nul, ne: null, eq: 1}",
        "{field: p.n, gt: 1, lte: 4}",
        "{field: p.n, eq: 6, matches: x}",
        "{field: p.missing, in_list: [1]}",
        '{field: "p.l[0]", eq: 1}',
        '{field: "p.n ", eq: 5}',
        '{field: p.l, contains: "1"}',
        "{field: p.t, eq: yes}",
        '{field: p.to, eq: "{{ action.payload.to }}"}',
        "{any: []}",
        "{all: [{field: p.n, eq: 6}, {field: nope, eq: 1}]}",
        "{all: [{all: [], field: p.n, eq: 6}]}",
        "{state_seen: seen, within_seconds: 60}",
        "{state_seen: none}",
        "{state_counter: c, state_seen: none, eq: 7}",
    ],
)
def test_it_does_not_match(condition: str) -> None:
    assert decided(load(condition)).verdict == "allow"


@pytest.mark.parametrize(
    "condition",
    [
        "{field: p.n, eq: 5, matches: x}",
        "{field: p.missing, gt: 1}",
        "{field: p.missing, contains: x}",
        "{field: p.missing, matches: x}",
        "{field: p.missing.x, eq: 1}",
        "{field: p.l.0, eq: 1}",
        "{field: nope, eq: 1}",
        "{any: [{field: nope, eq: 1}, {field: p.n, eq: 5}]}",
        "{state_seen: junk}",
        "{state_counter: bad, eq: 0}",
    ],
)
def test_it_fails_when_it_is_evaluated(condition: str) -> None:
    with pytest.raises(EvaluationError):
        decided(load(condition))


NO_OPERATOR = "rules[0].condition: field operation has no comparison operator"
NO_FORM = "rules[0].condition: not a condition: wanted a map with one of"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{field: p.nul, eq: null}", NO_OPERATOR),
        ("{field: p.n, in: [5]}", NO_OPERATOR),
        ("{field: p.n, regex: x}", NO_OPERATOR),
        ("{field: p.n}", NO_OPERATOR),
        ("{field: p.n, state_seen: seen}", NO_OPERATOR),
        ("{state_counter: c}", NO_OPERATOR),
        ('{field: "", eq: 1}', "rules[0].condition.field: empty field path: ''"),
        ("{field: .a, eq: 1}", "empty field path: '.a'"),
        ("{field: a..b, eq: 1}", "empty segment in field path: 'a..b'"),
        ("{not: {field: p.n, eq: 1}}", NO_FORM),
        ("{}", NO_FORM),
        ("{field: 5, eq: 1}", "condition.field: wanted a field, such as action.payload.to, found"),
        ("{state_seen: 5}", "condition.state_seen: wanted a text, found the number 5"),
        ("{all: {field: p.n, eq: 1}}", "condition.all: wanted a list of conditions, each behind"),
        ('"text"', '`state_counter`, found the text "text"'),
        ("~", "`state_counter`, found null"),
        ("[]", "`state_counter`, found a list"),
        (
            "{field: p.to, contains: 5}",
            "rules[0].condition.contains: wanted a text, found the number 5; put it in quotes",
        ),
        (
            "{field: p.to, in_list: 5}",
            "rules[0].condition.in_list: wanted a list, such as [a, b], found the number 5",
        ),
        ("{all: [5]}", "rules[0].condition.all[0]: wanted a map with one of"),
        ("{all: [{any: [{x: 1}]}]}", "rules[0].condition.all[0].any[0]: not a condition"),
        ("{field: p.n, eq: 1, eq: 2}", "rules[0].condition: duplicate field `eq`"),
        (
            "{field: p.n, eq: {1: 2}}",
            "rules[0].condition.eq: wanted a text as a key, found the number 1",
        ),
        ("{field: p.n, eq: 1, true: 2}", "rules[0].condition: wanted a name as a key, found true"),
        (
            "{field: p.n, eq: 1, -1: 2}",
            "rules[0].condition: wanted a name as a key, found the number -1",
        ),
        (
            "{state_seen: a, within_seconds: -1}",
            "rules[0].condition.within_seconds: wanted a whole number, 0",
        ),
        (
            '{state_seen: a, within_seconds: "5"}',
            '0 or more, found the text "5"; write it without quotes',
        ),
        ("{state_seen: a, within_seconds: 1.5}", "0 or more, found the number 1.5"),
        ("{state_seen: a, within_seconds: 9223372036854775808}", "within_seconds overflow: "),
        (
            "!x {all: []}",
            "rules[0].condition: wanted a condition without a tag of its own; take out",
        ),
        ("{all: [!x {all: []}]}", "rules[0].condition.all[0]: wanted a condition without a tag"),
        (
            "{field: p.n, eq: !x [1]}",
            "rules[0].condition.eq: wanted a value without a tag of its own",
        ),
    ],
)
def test_a_condition_is_refused(condition: str, message: str) -> None:
    with pytest.raises(RuleParseError) as caught:
        load(condition)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("action", "effect"),
    [
        ("{type: allow}", Allow()),
        ("{type: deny}", Deny()),
        ("{type: suppress}", Suppress()),
        ("{type: deduplicate}", Deduplicate()),
        ("{type: deduplicate, ttl_seconds: ~}", Deduplicate()),
        ("{type: deduplicate, ttl_seconds: 900}", Deduplicate(ttl=timedelta(seconds=900))),
        ("{type: deduplicate, ttl_seconds: 0x10}", Deduplicate(ttl=timedelta(seconds=16))),
        ("{type: reroute, target_provider: sms}", Reroute(target="sms")),
        ('{type: reroute, target_provider: ""}', Reroute(target="")),
        (
            "{type: throttle, max_count: 0, window_seconds: +60}",
            Throttle(max_count=0, window=timedelta(minutes=1)),
        ),
        (
            "{type: modify, changes: {footer: sent, debug: null}}",
            Modify(changes={"footer": "sent", "debug": None}),
        ),
        ("{type: modify, changes: ~}", Modify(changes=None)),
        ("{type: modify, changes: [1, {a: b}]}", Modify(changes=[1, {"a": "b"}])),
        ("{type: modify, changes: {<<: {a: 1}}}", Modify(changes={"<<": {"a": 1}})),
    ],
)
def test_an_action_means(action: str, effect: Effect) -> None:
    assert load("{all: []}", action).effect == effect


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("{}", "rules[0].action: missing field `type`"),
        ("allow", 'action: wanted a map, found the text "allow"; write {type: allow}'),
        ("[deny]", "rules[0].action: wanted a map with `type`, such as {type: deny}, found a list"),
        (
            "{type: x}",
            "rules[0].action.type: unknown action type `x`; write one of `allow`, `deny`, "
            "`deduplicate`, `suppress`, `reroute`, `throttle`, `modify`",
        ),
        ("{type: custom}", "unknown action type `custom`"),
        ("{type: Allow}", "unknown action type `Allow`; did you mean `allow`?"),
        ("{type: 5}", "rules[0].action.type: wanted a text, found the number 5"),
        ("{type: reroute}", "rules[0].action: missing field `target_provider`"),
        (
            "{type: reroute, target_provider: 5}",
            "target_provider: wanted a text, found the number 5",
        ),
        ("{type: throttle, max_count: 1}", "missing field `window_seconds`"),
        ("{type: throttle, window_seconds: 1}", "missing field `max_count`"),
        (
            "{type: throttle, max_count: -1, window_seconds: 1}",
            "wanted a whole number, 0 or more, found the number -1",
        ),
        ("{type: throttle, max_count: 60.0, window_seconds: 1}", "found the number 60.0"),
        (
            '{type: throttle, max_count: "60", window_seconds: 1}',
            'found the text "60"; write it without quotes',
        ),
        (
            "{type: throttle, max_count: 1, window_seconds: 0}",
            "window_seconds: wanted a whole number of seconds above 0",
        ),
        (
            "{type: deduplicate, ttl_seconds: 0}",
            "seconds above 0 and below 2^63, found the number 0",
        ),
        ("{type: deduplicate, ttl_seconds: 9223372036854775808}", "below 2^63"),
        ("{type: modify}", "missing field `changes`"),
        ("{type: modify, changes: {1: 2}}", "changes: wanted a text as a key, found the number 1"),
        ("{type: modify, changes: {a: !x 1}}", "changes.a: wanted a value without a tag, found !x"),
        ("!x {type: deny}", "rules[0].action: wanted an action without a tag of its own"),
        ("{type: deny, type: allow}", "rules[0].action: duplicate field `type`"),
    ],
)
def test_an_action_is_refused(action: str, message: str) -> None:
    with pytest.raises(RuleParseError) as caught:
        load("{all: []}", action)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('priority: "5"', 'to 2147483647, found the text "5"; write it without quotes'),
        (
            "priority: 1.5",
            "rules[0].priority: wanted a whole number from -2147483648 to 2147483647, found",
        ),
        ("priority:", "2147483647, found null"),
        ("priority: 2147483648", "2147483647, found the number 2147483648"),
        ("enabled: yes", 'wanted true or false, found the text "yes"; write true'),
        ("enabled: 0", "wanted true or false, found the number 0"),
        ("enabled: ~", "wanted true or false, found null"),
        ("description: [a]", "rules[0].description: wanted a text, found a list"),
    ],
)
def test_a_member_of_a_rule_is_refused(line: str, message: str) -> None:
    with pytest.raises(RuleParseError) as caught:
        load("{all: []}", more=line)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("priority: -5", "priority", -5),
        ("enabled: false", "enabled", False),
        ("description: 5", "description", "5"),
        ("description: ~", "description", None),
        ("description:", "description", None),
        ('description: "~"', "description", "~"),
    ],
)
def test_a_member_of_a_rule_is(line: str, name: str, value: Any) -> None:
    assert getattr(load("{all: []}", more=line), name) == value


@pytest.mark.parametrize(
    ("condition", "action", "message"),
    [
        (
            "{field: p.n, eq: 1, in: [2]}",
            "{type: deny}",
            "ignored key: `in`; did you mean `in_list`?",
        ),
        ("{field: p.n, eq: 1, ne: null}", "{type: deny}", "`ne: null` counts as not given"),
        ("{any: [], field: p.n, eq: 1}", "{type: deny}", "`field` does not go with `any`"),
        ("{state_seen: a, eq: 1}", "{type: deny}", "`eq` does not go with `state_seen`"),
        ("{all: []}", "{type: deny, reason: x}", "ignored key: `reason`"),
        ("{all: []}", "{type: deny, 5: x}", "ignored key: the number 5"),
        ("{all: []}", "{type: deny, changes: x}", "`changes` does not go with `type: deny`"),
        ("{all: []}", "{type: modify, changes: {a: 1, a: 2}}", "key `a` is given twice"),
        (
            "{all: []}",
            "{type: deduplicate, ttl_seconds: 99999999999}",
            "99999999999 seconds are taken for a thousand years",
        ),
    ],
)
def test_what_does_not_count_is_a_warning(condition: str, action: str, message: str) -> None:
    text = f"rules:\n- name: r\n  condition: {condition}\n  action: {action}"
    messages = [warning.message for warning in YamlRuleFrontend().parse(text).warnings]
    assert any(message in found for found in messages)
    with pytest.raises(RuleParseError):
        YamlRuleFrontend().parse(text, strict=True)


def test_operators_of_one_check_are_evaluated_in_a_fixed_order() -> None:
    rule = load("{field: p.missing, gt: 1, eq: 5}")
    assert decided(rule).verdict == "allow"
