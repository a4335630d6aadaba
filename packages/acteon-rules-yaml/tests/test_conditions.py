"""Conditions as files write them: whether they match, fail, or cannot be loaded."""

from datetime import UTC, datetime
from typing import Any

import pytest

from acteon.core import Action
from acteon.rules import (
    EvaluationError,
    Modify,
    Reroute,
    Rule,
    RuleParseError,
    RuleSet,
    StateRead,
    describe,
    merge_patch,
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
        "items": [{"sku": "x"}, {"sku": "y"}],
    },
)
NOW = datetime(2025, 1, 1, 0, 1, 0, 900_000, tzinfo=UTC)
STATE = {
    StateRead("state", "seen"): "2025-01-01T00:00:00+00:00",
    StateRead("state", "junk"): "xyz",
    StateRead("state", "none"): None,
    StateRead("state", "to:user@example.com"): "2025-01-01T00:00:00+00:00",
    StateRead("counter", "c"): "7",
    StateRead("counter", "bad"): "x",
    StateRead("counter", "none"): None,
    StateRead("counter", "n:5"): "7",
    StateRead("counter", "5"): "8",
}
MATCH, NO, FAILS, REFUSED = "matches", "does not match", "fails", "cannot be loaded"


def load(condition: str, *, action: str = "{type: deny}", start: str = "") -> Rule:
    text = f"{start}rules:\n- name: r\n  condition: {condition}\n  action: {action}"
    (rule,) = YamlRuleFrontend().parse(text.replace("p.", "action.payload.")).rules
    return rule


def outcome(condition: str, start: str = "") -> str:
    try:
        rule = load(condition, start=start)
    except RuleParseError:
        return REFUSED
    rules = RuleSet.compile([rule], environment={"region": "eu", "now": "E"})
    try:
        decision = rules.decide(ACTION, now=NOW, state=STATE)
    except EvaluationError:
        return FAILS
    return MATCH if decision.verdict == "deny" else NO


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("{field: action.action_type, eq: send_email}", MATCH),
        ("{field: p.n, eq: 5.0}", MATCH),
        ('{field: p.n, eq: "5"}', NO),
        ("{field: p.s, eq: 3}", NO),
        ('{field: p.n, in_list: ["5"]}', NO),
        ("{field: p.n, in_list: []}", NO),
        ("{field: p.f, in_list: [2.5]}", MATCH),
        ("{field: p.l, in_list: [[1, 2, 3]]}", MATCH),
        ("{field: p.nul, in_list: [null]}", MATCH),
        ("{field: p.missing, in_list: [null]}", MATCH),
        ("{field: p.nul, eq: null}", REFUSED),
        ("{field: p.nul, ne: null, eq: 1}", NO),
        ("{field: p.n, regex: x}", REFUSED),
        ("{field: p.n}", REFUSED),
        ("{field: p.n, gt: 1, lt: 10}", MATCH),
        ("{field: p.n, gt: 1, lte: 4}", NO),
        ("{field: p.n, eq: 6, matches: x}", NO),
        ("{field: p.n, eq: 5, matches: x}", FAILS),
        ("{field: p.missing, ne: 1}", MATCH),
        ("{field: p.missing, in_list: [1]}", NO),
        ("{field: p.missing, gt: 1}", FAILS),
        ("{field: p.missing, contains: x}", FAILS),
        ("{field: p.missing, matches: x}", FAILS),
        ("{field: p.missing.x, eq: 1}", FAILS),
        ("{field: p.l.0, eq: 1}", FAILS),
        ("{field: nope, eq: 1}", FAILS),
        ('{field: "p.l[0]", eq: 1}', NO),
        ('{field: "p.n ", eq: 5}', NO),
        ('{field: p.l, contains: "1"}', NO),
        ("{field: p.l, eq: [1, 2, 3]}", MATCH),
        ("{field: p.t, eq: True}", MATCH),
        ("{field: p.t, eq: yes}", NO),
        ("{field: p.big, gt: 9223372036854775807}", MATCH),
        ("{field: p.big, eq: 18446744073709551615}", MATCH),
        ('{field: p.to, contains: ""}', MATCH),
        ("{field: p.to, matches: ~, eq: user@example.com}", MATCH),
        ('{field: p.to, eq: "{{ action.payload.to }}"}', NO),
        ("{field: now, gte: 1735689660}", MATCH),
        ("{field: region, eq: eu}", MATCH),
        ("{field: env.PATH, ne: zz}", MATCH),
        ('{field: "", eq: 1}', REFUSED),
        ("{field: .a, eq: 1}", REFUSED),
        ("{field: a..b, eq: 1}", REFUSED),
        ("{all: []}", MATCH),
        ("{any: []}", NO),
        ("{any: [{field: nope, eq: 1}, {field: p.n, eq: 5}]}", FAILS),
        ("{any: [{field: p.n, eq: 5}, {field: nope, eq: 1}]}", MATCH),
        ("{all: [{field: p.n, eq: 6}, {field: nope, eq: 1}]}", NO),
        ("{field: p.n, eq: 6, all: []}", MATCH),
        ("{all: [{all: [], field: p.n, eq: 6}]}", NO),
        ("{state_seen: seen}", MATCH),
        ("{state_seen: seen, within_seconds: 61}", MATCH),
        ("{state_seen: seen, eq: 1}", MATCH),
        ("{state_seen: seen, within_seconds: 60}", NO),
        ("{state_seen: none}", NO),
        ("{state_counter: c, state_seen: none, eq: 7}", NO),
        ("{state_seen: junk}", FAILS),
        ("{state_counter: bad, eq: 0}", FAILS),
        ("{state_counter: c, gte: 7}", MATCH),
        ("{state_counter: none, eq: 0}", MATCH),
        ("{state_counter: c}", REFUSED),
        ("{all: x, field: p.n, eq: 5}", MATCH),
        ("{any: [{field: p.to, starts_with: user, ends_with: .com}]}", MATCH),
        ("{state_seen: seen, within_seconds: ~}", MATCH),
        ("{}", REFUSED),
        ('"text"', REFUSED),
        ("{all: {field: p.n, eq: 5}}", REFUSED),
    ],
)
def test_files_mean_what_they_always_meant(condition: str, expected: str) -> None:
    assert outcome(condition) == expected


@pytest.mark.parametrize(
    ("condition", "expected", "reason"),
    [
        ("{field: p.n, in_list: [5.0]}", MATCH, "5 and 5.0 are equal in lists as elsewhere"),
        ("{field: p.m, eq: {a: 1}}", MATCH, "maps with equal members are equal"),
        ("{field: p.n, in: [5]}", MATCH, "there was no such operator, so no file had it"),
        ("{not: {field: p.n, eq: 1}}", MATCH, "nor such a form"),
        ("{field: p.to, contains: 5}", FAILS, "numbers are for lists; a text has none"),
    ],
)
def test_some_mean_more_than_they_did(condition: str, expected: str, reason: str) -> None:
    assert outcome(condition) == expected, reason


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        # Whether it exists.
        ("{field: p.to, exists: true}", MATCH),
        ("{field: p.to, exists: false}", NO),
        ("{field: p.nul, exists: true}", NO),
        ("{field: p.missing, exists: false}", MATCH),
        ("{field: p.missing.x.y, exists: true}", NO),
        ("{field: p.n.x, exists: true}", NO),
        ("{field: p.nul, is_null: true}", MATCH),
        ("{field: p.missing, is_null: true}", MATCH),
        ("{field: p.missing.x, is_null: false}", NO),
        ("{field: p.to, is_null: true}", NO),
        # Lists.
        ("{field: p.n, in: [4, 5]}", MATCH),
        ("{field: p.n, not_in: [4, 5]}", NO),
        ("{field: p.missing, not_in: [4, 5]}", MATCH),
        ("{field: p.n, in: [4, 5], not_in: [5]}", NO),
        ("{state_counter: c, in: [7]}", MATCH),
        ("{state_counter: c, not_in: [7]}", NO),
        ("{field: p.l, contains: 1}", MATCH),
        ("{field: p.l, contains: 4}", NO),
        ("{field: p.l, contains: true}", NO),
        ("{field: p.l, contains: 2.0}", MATCH),
        # Opposites.
        ("{not: {field: p.n, eq: 5}}", NO),
        ("{not: {all: []}}", NO),
        ("{not: {not: {field: p.n, eq: 5}}}", MATCH),
        ("{none: []}", MATCH),
        ("{none: [{field: p.n, eq: 5}, {field: nope, eq: 1}]}", NO),
        ("{none: [{field: p.n, eq: 6}, {field: p.to, eq: x}]}", MATCH),
        ("{all: [{none: [{any: []}]}, {not: {any: []}}]}", MATCH),
        ("{not: {field: nope, eq: 1}}", FAILS),
    ],
)
def test_the_later_operators_and_forms_need_no_version(condition: str, expected: str) -> None:
    assert outcome(condition) == expected
    assert outcome(condition, "version: 2\n") == expected


@pytest.mark.parametrize(
    ("condition", "first", "second"),
    [
        ("{field: p.n, eq: 5, in: [6]}", MATCH, NO),
        ("{field: p.n, eq: 5, not_in: [5]}", MATCH, NO),
        ("{field: p.n, eq: 5, exists: false}", MATCH, NO),
        ("{field: p.missing, gt: 5, exists: true}", FAILS, NO),
        ("{field: p.missing, gt: 5, is_null: false}", FAILS, NO),
        ("{field: p.n, eq: null, in: [5]}", MATCH, REFUSED),
        ("{field: p.n, eq: 5, not: {any: []}}", MATCH, REFUSED),
        ("{all: [], none: [{all: []}]}", MATCH, REFUSED),
        ("{not: {all: []}, none: []}", NO, REFUSED),
        ("{field: p.n, eq: 5, regex: x}", MATCH, REFUSED),
        ('{field: "p.items[0].sku", eq: x}', FAILS, MATCH),
        ('{field: "p.items[-1].sku", eq: y}', FAILS, MATCH),
        ('{field: "p.items[7].sku", exists: true}', NO, NO),
        ('{field: "p.l[0]", eq: 1}', NO, MATCH),
        ('{field: "p.to[0]", eq: u}', NO, FAILS),
        ('{field: " p.n ", eq: 5}', FAILS, MATCH),
        ('{field: p.to, eq: "{{ p.to }}"}', NO, MATCH),
        ('{field: p.n, eq: "{{ p.n }}"}', NO, MATCH),
        ('{field: p.n, eq: "{{ p.s }}"}', NO, NO),
        ('{field: p.n, lt: "{{ p.big }}"}', FAILS, MATCH),
        ('{field: p.to, contains: "{{ p.missing }}"}', NO, FAILS),
        ('{field: p.to, starts_with: "{{ action.metadata.tier }}"}', NO, NO),
        ('{field: p.to, ends_with: "{{ p.n }}.com"}', NO, NO),
        ('{field: p.to, ne: "{{ p.n }}/{{ p.missing }}"}', MATCH, MATCH),
        ('{field: p.n, in: [1, "{{ p.n }}"]}', NO, MATCH),
        ('{field: p.n, not_in: [1, "{{ p.n }}"]}', MATCH, NO),
        ('{field: p.n, in_list: [1, "{{ p.n }}"]}', NO, MATCH),
        ('{field: p.n, in: "{{ p.l }}"}', REFUSED, NO),
        ('{field: p.n, in: "x{{ p.l }}"}', REFUSED, REFUSED),
        ('{field: p.m, eq: {a: "{{ p.l[0] }}"}}', NO, MATCH),
        ('{state_counter: "n:{{ p.n }}", eq: 7}', None, MATCH),
        ('{state_counter: "{{ p.n }}", eq: 8}', None, MATCH),
        ('{state_seen: "to:{{ p.to }}", within_seconds: 61}', None, MATCH),
        ('{state_seen: "to:{{ p.to"}', None, REFUSED),
    ],
)
def test_version_2_gives_more_keys_a_meaning(
    condition: str, first: str | None, second: str
) -> None:
    assert outcome(condition, "version: 2\n") == second
    if first is not None:  # Without the version, the entries with braces in their names are asked.
        assert outcome(condition) == first


def test_state_keys_are_literal_before_version_2() -> None:
    rule = load('{state_counter: "n:{{ p.n }}", eq: 7}')
    rules = RuleSet.compile([rule])
    assert rules.reads == (StateRead("counter", "n:{{ action.payload.n }}"),)


def test_operators_are_evaluated_in_a_fixed_order() -> None:
    text = (
        "{not_in: [1], in: [2], in_list: [3], matches: d, ends_with: c, starts_with: b, "
        "contains: a, lte: 6, gte: 5, lt: 4, gt: 3, ne: 2, eq: 1, is_null: false, exists: true, "
        "field: p.n}"
    )
    assert describe(load(text, start="version: 2\n").condition) == (
        "all(exists(action.payload.n), exists(action.payload.n), action.payload.n == 1, "
        "action.payload.n != 2, action.payload.n > 3, action.payload.n < 4, action.payload.n >= 5, "
        'action.payload.n <= 6, action.payload.n contains "a", action.payload.n starts with "b", '
        'action.payload.n ends with "c", action.payload.n matches "d", action.payload.n in [3], '
        "action.payload.n in [2], not(action.payload.n in [1]))"
    )


CHANGES = (
    '{type: TYPE, changes: {text: "{{ p.to }} has {{ p.n }}", n: "{{ p.n }}", gone: '
    '"{{ p.missing }}", deep: [{l: "{{ p.l }}"}, "{{ p.items[1].sku }}!"], '
    'big: 18446744073709551615, same: "}} x", not: null}}'
)


@pytest.mark.parametrize("kind", ["modify", "reroute, target_provider: sms"])
def test_changes_are_templates_in_version_2(kind: str) -> None:
    rule = load("{all: []}", action=CHANGES.replace("TYPE", kind), start="version: 2\n")
    decision = RuleSet.compile([rule]).decide(ACTION, now=NOW)
    wanted: dict[str, Any] = {
        "text": "user@example.com has 5",
        "n": 5,
        "gone": None,
        "deep": [{"l": [1, 2, 3]}, "y!"],
        "big": 18446744073709551615,
        "same": "}} x",
        "not": None,
    }
    if decision.route:
        assert decision.route.changes == wanted
    else:
        assert decision.payload == merge_patch(ACTION.payload, wanted)


@pytest.mark.parametrize("start", ["", "version: 2\n"])
def test_changes_without_templates_are_plain_values(start: str) -> None:
    changes = "{type: modify, changes: {a: [1, {b: x}], c: null}}"
    assert load("{all: []}", action=changes, start=start).effect == Modify(
        changes={"a": [1, {"b": "x"}], "c": None}
    )


def test_changes_are_literal_before_version_2() -> None:
    action = '{type: reroute, target_provider: sms, changes: {a: "{{ p.to }}"}}'
    assert load("{all: []}", action=action).effect == Reroute(
        target="sms", changes={"a": "{{ action.payload.to }}"}
    )


def test_rules_are_asked_by_priority() -> None:
    text = """
rules:
  - {name: late, priority: 100, condition: {all: []}, action: {type: deny}}
  - {name: t1, priority: 5, condition: {all: []}, action: {type: deny}}
  - {name: t2, priority: 5, condition: {all: []}, action: {type: suppress}}
  - {name: first, priority: -1, condition: {any: []}, action: {type: deny}}
"""
    rules = RuleSet.compile(YamlRuleFrontend().parse(text).rules)
    assert rules.decide(ACTION, now=NOW).rule == "t1"


@pytest.mark.parametrize("enabled", [True, False])
def test_a_rule_that_fails_fails_the_action_unless_it_is_disabled(enabled: bool) -> None:
    text = f"""
rules:
  - name: broken
    priority: 1
    enabled: {str(enabled).lower()}
    condition: {{field: nope, eq: 1}}
    action: {{type: deny}}
  - {{name: other, priority: 5, condition: {{all: []}}, action: {{type: suppress}}}}
"""
    rules = RuleSet.compile(YamlRuleFrontend().parse(text).rules)
    if enabled:
        with pytest.raises(EvaluationError, match="'broken'"):
            rules.decide(ACTION, now=NOW)
    else:
        assert rules.decide(ACTION, now=NOW).verdict == "suppress"
