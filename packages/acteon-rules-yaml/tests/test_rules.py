"""Conditions and actions as files write them: what they mean and what they refuse."""

from datetime import timedelta
from typing import Any

import pytest

from acteon.rules import (
    Allow,
    Deduplicate,
    Deny,
    Effect,
    Modify,
    Reroute,
    Rule,
    RuleParseError,
    Suppress,
    Throttle,
)
from acteon.rules_yaml import YamlRuleFrontend
from acteon.rules_yaml.conditions import KEYS as CONDITION_KEYS
from acteon.rules_yaml.effects import FORMS as EFFECTS
from acteon.rules_yaml.effects import KEYS as ACTION_KEYS
from acteon.rules_yaml.hints import RULE_KEYS, SPECIAL, SYNONYMS
from acteon.rules_yaml.rules import ON_ERROR


def load(condition: str, action: str = "{type: deny}", more: str = "") -> Rule:
    text = f"rules:\n- name: r\n  {more}\n  condition: {condition}\n  action: {action}"
    (rule,) = YamlRuleFrontend().parse(text.replace("p.", "action.payload.")).rules
    return rule


NO_OPERATOR = "rules[0].condition: field operation has no comparison operator"
NO_FORM = "rules[0].condition: not a condition: wanted a map with one of"


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("{field: p.nul, eq: null}", NO_OPERATOR),
        ("{field: p.n, exist: true}", NO_OPERATOR),
        ("{field: p.n, regex: x}", NO_OPERATOR),
        ("{field: p.n}", NO_OPERATOR),
        ("{field: p.n, state_seen: seen}", NO_OPERATOR),
        ("{state_counter: c}", NO_OPERATOR),
        ('{field: "", eq: 1}', "rules[0].condition.field: empty field path: ''"),
        ("{field: .a, eq: 1}", "empty field path: '.a'"),
        ("{field: a..b, eq: 1}", "empty segment in field path: 'a..b'"),
        ("{unless: {field: p.n, eq: 1}}", NO_FORM),
        ("{}", NO_FORM),
        ("{field: 5, eq: 1}", "condition.field: wanted a field, such as action.payload.to, found"),
        ("{state_seen: 5}", "condition.state_seen: wanted a text, found the number 5"),
        ("{all: {field: p.n, eq: 1}}", "condition.all: wanted a list of conditions, each behind"),
        ('"text"', '`cel`, found the text "text"'),
        ("~", "`cel`, found null"),
        ("[]", "`cel`, found a list"),
        (
            "{field: p.to, starts_with: 5}",
            "rules[0].condition.starts_with: wanted a text, found the number 5; put it in quotes",
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
            "ignored key: `in` does not count beside `eq`; write `version: 2` at the top of",
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


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("equals", "eq"),
        ("!=", "ne"),
        ("Greater-Than", "gt"),
        ("nin", "not_in"),
        ("not_in_list", "not_in"),
        ("one_of", "in"),
        ("exist", "exists"),
        ("present", "exists"),
        ("missing", "is_null"),
        ("is_empty", "is_null"),
        ("unless", "not"),
        ("nor", "none"),
        ("expr", "cel"),
        ("match", "matches"),
        ("cotnains", "contains"),
    ],
)
def test_a_key_of_another_system_is_known_for_what_it_means(word: str, meant: str) -> None:
    with pytest.raises(RuleParseError) as caught:
        load(f'{{field: p.n, "{word}": 1}}')
    assert f"ignored key: `{word}`; did you mean `{meant}`?" in str(caught.value)


def test_hints_name_nothing_that_does_not_exist() -> None:
    known = {*CONDITION_KEYS, *ACTION_KEYS, *RULE_KEYS, *EFFECTS, *ON_ERROR, "rules", "version"}
    assert {name for names in SYNONYMS.values() for name in names} <= known
    assert {text.partition(":")[0] for text in SPECIAL.values()} <= known
    assert not SYNONYMS.keys() & SPECIAL.keys()
