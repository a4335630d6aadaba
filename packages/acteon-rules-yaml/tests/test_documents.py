"""What is a rule file, and what is refused."""

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from acteon.core import RULES, load_plugin
from acteon.rules import OnRuleError, ParsedRules, RuleFrontend, RuleParseError, RuleSet
from acteon.rules_yaml import YamlRuleFrontend

RULE = "{name: r, condition: {all: []}, action: {type: deny}}"


def parsed(text: str, *, strict: bool = False) -> ParsedRules:
    return YamlRuleFrontend().parse(text, file="r.yaml", strict=strict)


def refused(text: str) -> str:
    with pytest.raises(RuleParseError) as caught:
        parsed(text)
    return str(caught.value)


@pytest.mark.parametrize("extension", ["yaml", "yml"])
def test_it_is_found_under_its_extensions(extension: str) -> None:
    assert load_plugin(RULES, extension, RuleFrontend) is YamlRuleFrontend


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("rules: []", 0),
        ("rules:", 0),
        ("rules:\n", 0),
        (f"rules: [{RULE}]\n...\n", 1),
        (f"\ufeffrules:\r\n- {RULE}\r\n- {RULE}\r\n", 2),
        ('{"rules": [{"name": "r", "condition": {"all": []}, "action": {"type": "deny"}}]}', 1),
        (f"rules: !x [!y {RULE}]", 1),
        (f"rules: [&a {RULE}, *a]", 2),
    ],
)
def test_it_holds_so_many_rules(text: str, count: int) -> None:
    found = parsed(text)
    assert len(found.rules) == count
    assert not found.warnings


def test_rules_know_where_they_come_from() -> None:
    (rule,) = parsed(f"# a comment\nrules:\n  - {RULE}").rules
    assert (rule.source, rule.line) == ("r.yaml", 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "missing field `rules`"),
        ("# nothing\n", "missing field `rules`"),
        ("other: 1", "missing field `rules`"),
        ("[]", "wanted a map with `rules`, found a list; write `rules:` above the list at line 1"),
        (
            "rules: ~",
            "rules: wanted a list of rules, each behind a dash, found null at line 1 column 8",
        ),
        ("rules: {}", "rules: wanted a list of rules, each behind a dash, found a map"),
        ("rules: []\n---\n", "more than one document is not supported; take out the line ---"),
        ("rules: []\nrules: []", "duplicate field `rules`; keep one of them at line 2 column 1"),
        ("rules: [5]", "rules[0]: wanted a map with the keys of a rule, found the number 5"),
        ("rules: [[r]]", "rules[0]: wanted a map with the keys of a rule, found a list"),
        ("rules: [{}]", "rules[0]: missing field `name`"),
        ("rules: [{}]", "rules[0]: missing field `condition`"),
        ("rules: [{}]", "rules[0]: missing field `action`"),
        ("rules: [{name: a, name: b}]", "rules[0]: duplicate field `name`"),
        ("? [a]\n: 1\nrules: []", "wanted a name as a key, found a list"),
        (
            "a: [",
            "a bracket or brace is opened and not closed, or a comma is missing at line 1",
        ),
        ("rules: *a", "alias 'a' is not known"),
        ("rules: &a [*a]", "alias 'a' refers to what it is part of"),
        ('rules: "\\UFFFFFFFF"', "not understood"),
        ('rules: "\\ud800"', "surrogate characters are not allowed"),
        ("rules: \x00", "there is a NUL character"),
        ("[" * 200 + "]" * 200, "recursion limit exceeded"),
        ("x" * 1_100_000, "file too large"),
    ],
)
def test_it_is_refused(text: str, message: str) -> None:
    error = refused(text)
    assert error.startswith("parse error: YAML parse error in r.yaml: ")
    assert message in error


def test_a_text_without_a_name_is_refused_without_one() -> None:
    with pytest.raises(RuleParseError, match=r"^parse error: YAML parse error: missing field"):
        YamlRuleFrontend().parse("{}")


def test_aliases_cannot_blow_up() -> None:
    lines = ["a0: &a0 [1, 1]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    assert "repetition limit exceeded" in refused("\n".join(lines))


def test_aliases_cannot_nest_beyond_the_limit() -> None:
    lines = ["a0: &a0 [1]"]
    lines += [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 140)]
    assert "recursion limit exceeded" in refused("\n".join(lines))


def test_conditions_may_nest_about_sixty_times() -> None:
    condition = "{all: [" * 60 + "]}" * 60
    assert len(
        parsed(f"rules: [{{name: r, action: {{type: deny}}, condition: {condition}}}]").rules
    )
    condition = "{all: [" * 64 + "]}" * 64
    text = f"rules: [{{name: r, action: {{type: deny}}, condition: {condition}}}]"
    assert "recursion limit exceeded" in refused(text)


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = """
rules:
  - name: first
    priority: "5"
    condition: {nor: {}}
    action: {type: throttle, max_count: 1}
  - name: second
    enabled: yes
    condition: {all: [{field: a, contains: [5]}, {field: a..b, eq: 1}]}
    action: {type: Allow}
"""
    with pytest.raises(RuleParseError) as caught:
        parsed(text)
    assert [(p.rule, p.path, p.line) for p in caught.value.problems] == [
        ("first", "rules[0].priority", 4),
        ("first", "rules[0].condition", 5),
        ("first", "rules[0].condition", 5),
        ("first", "rules[0].action", 6),
        ("second", "rules[1].enabled", 8),
        ("second", "rules[1].condition.all[0].contains", 9),
        ("second", "rules[1].condition.all[1].field", 9),
        ("second", "rules[1].action.type", 10),
    ]
    assert {problem.file for problem in caught.value.problems} == {"r.yaml"}


def test_the_number_of_problems_told_is_bounded() -> None:
    with pytest.raises(RuleParseError) as caught:
        parsed("rules: [" + "5, " * 1000 + "]")
    assert len(caught.value.problems) == 201
    assert caught.value.problems[-1].message == "and 800 more problems"


def test_the_number_of_warnings_told_is_bounded() -> None:
    keys = "".join(f"nmae{number}: 1\n" for number in range(1000))
    warnings = parsed(f"{keys}rules: []").warnings
    assert (len(warnings), warnings[-1].message) == (201, "and 800 more problems")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a" + ".b" * 10_000, "a path of more than 128 steps: 'a.b.b.b"),
        ("a" + "[0]" * 10_000, "a path of more than 128 steps: 'a[0][0]"),
    ],
)
def test_paths_are_bounded(text: str, message: str) -> None:
    start = "version: 2\nrules: [{name: r, action: {type: deny}, condition: "
    assert message in refused(f'{start}{{field: "{text}", eq: 1}}}}]')
    assert message in refused(f'{start}{{field: a, eq: "{{{{ {text} }}}}"}}}}]')


def test_templates_are_bounded() -> None:
    start = "version: 2\nrules: [{name: r, action: {type: deny}, condition: {field: a, eq: "
    assert parsed(f'{start}"{"{{ a.b }}." * 100}"}}}}]').rules
    assert "more than 100 fields in one text" in refused(f'{start}"{"{{ a.b }}." * 101}"}}}}]')


ODD = f"extra: 1\n<<: {{a: 1}}\nrules: [{RULE}]"


def test_what_is_ignored_is_a_warning() -> None:
    assert [warning.message for warning in parsed(ODD).warnings] == [
        "ignored key: `extra`",
        "ignored key: `<<` (maps are not merged)",
    ]
    (warning,) = parsed(f"rules: [{RULE[:-1]}, <<: {{a: 1}}}}]").warnings
    assert warning.message == "ignored key: `<<` (maps are not merged)"


def test_the_strict_take_warnings_for_errors() -> None:
    with pytest.raises(RuleParseError, match="ignored key"):
        parsed(ODD, strict=True)
    with pytest.raises(RuleParseError, match="ignored key"):
        parsed(f"version: 2\n{ODD}")
    assert len(parsed(f"version: 1\n{ODD}").warnings) == 2
    assert parsed(f"version: 2\nrules: [{RULE}]").rules
    assert "unknown version" in parsed(f"version: '1.0'\nrules: [{RULE}]").warnings[0].message


@pytest.mark.parametrize(
    "rule",
    [
        "{name: r, condition: {field: action.payload.n, gt: '500'}, action: {type: deny}}",
        "{name: r, condition: {field: action.payload.n, eq: [a]}, action: {type: deny}}",
        "{name: r, condition: {all: []}, action: {type: deduplicate, key: all}}",
        "{name: r, condition: {all: []}, action: {type: modify, changes: {payload: {a: 1}}}}",
        "{name: r, timezone: EST, condition: {all: []}, action: {type: deny}}",
    ],
)
def test_what_is_odd_and_may_be_meant_stays_a_warning_for_the_strict(rule: str) -> None:
    (warning,) = parsed(f"version: 2\nrules: [{rule}]", strict=True).warnings
    assert (warning.code, warning.rule) == ("file", "r")


def test_warnings_of_a_broken_file_have_a_code_and_its_errors_have_none() -> None:
    text = f"extra: 1\nrules: [{RULE[:-1]}, enabled: maybe, timezone: EST}}]"
    with pytest.raises(RuleParseError) as caught:
        parsed(text)
    assert [(problem.path, problem.code) for problem in caught.value.problems] == [
        ("", "file"),
        ("rules[0].enabled", ""),
        ("rules[0].timezone", "file"),
    ]
    with pytest.raises(RuleParseError) as caught:
        parsed(text, strict=True)
    assert [problem.code for problem in caught.value.problems] == ["", "", "file"]


WHOLE = """\
version: 2
rules:
  - name: whole
    priority: 5
    description: "all of it"
    enabled: true
    shadow: false
    on_error: skip
    timezone: Europe/Berlin
    continue: true
    condition:
      all:
        - {field: "action.payload.items[0].sku", exists: true, eq: "{{ action.payload.sku }}"}
        - {field: action.tenant, in: [a, "{{ action.payload.t }}"], not_in: [], matches: '^a+$'}
        - not: {any: [{state_seen: "x:{{ action.id }}", within_seconds: 60}, {all: []}]}
        - none:
            - {state_counter: c, gte: 0x10, lt: 1e3}
            - field: action.payload.l
              contains: 2.5
    action:
      type: reroute
      target_provider: sms
      changes: {text: "{{ action.payload.to }}!", n: [1, null, {deep: ~}]}
  - {name: b, condition: {all: []}, action: {type: throttle, max_count: 1, window_seconds: 5}}
  - {name: c, condition: {any: []}, action: {type: deduplicate, ttl_seconds: 5, key: "{{ a }}"}}
"""
PIECES = st.sampled_from(
    [
        *("rules", "name", "all", "field", "eq", "type", "deny", "version", "a.b", "~", "1e999"),
        *(
            "not: ",
            "none: ",
            "cel",
            "exists: ",
            "in: ",
            "{{",
            "}}",
            "[0]",
            "[x]",
            "2",
            "-1",
            "true",
        ),
        *(":", " ", "\n", "- ", "  ", "{", "}", "[", "]", ",", "&a ", "*a", "!x ", "!!int ", "|"),
        *(">", "'", '"', "#", "? ", "---\n", "...\n", "%YAML 1.1\n", "\\u", "\t", "0x", "\x85"),
    ]
)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    text = WHOLE
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        until = draw(st.sampled_from([at, at + 1, at + 3, at + 20]))
        other = draw(st.integers(0, len(text)))
        put = draw(PIECES | st.text(max_size=3) | st.just(text[other : other + 15]))
        text = text[:at] + put + text[until:]
    return text


TEXTS = (
    st.text(max_size=60)
    | st.binary(max_size=60).map(lambda data: data.decode(errors="replace"))
    | st.lists(PIECES, max_size=40).map("".join)
    | mutated()
)


@settings(max_examples=500, deadline=None)
@given(TEXTS)
@example(WHOLE)
@example('"\\UFFFFFFFF"')
@example("%YAML 9.9\n---\nrules: []")
@example("!!binary x: 1")
@example("rules: [{name: r, condition: {field: a, eq: !!int x}, action: {type: !!null ''}}]")
def test_any_text_is_read_or_refused_with_places_inside_of_it(text: str) -> None:
    try:
        problems = parsed(text).warnings
    except RuleParseError as error:
        problems = error.problems
    lines = re.split(r"\r\n|\r|\n", text)
    for problem in problems:
        assert problem.message
        assert 0 <= problem.line <= len(lines)
        assert problem.column <= len(lines[problem.line - 1]) + 1
    if text == WHOLE:
        assert problems == ()


def test_rules_that_could_be_loaded_could_be_compiled_whatever_their_depth() -> None:
    condition = "{not: " * 64 + "{field: a, not_in: [[[1]]], is_null: true}" + "}" * 64
    (rule,) = parsed(f"rules: [{{name: r, action: {{type: deny}}, condition: {condition}}}]").rules
    assert RuleSet.compile([rule]).rules == (rule,)
    condition = f"{{not: {condition}}}"
    text = f"rules: [{{name: r, action: {{type: deny}}, condition: {condition}}}]"
    assert "nested too deep: at most 64 conditions inside each other" in refused(text)


def test_a_rule_may_be_tried_and_may_say_what_follows_when_it_fails() -> None:
    (rule,) = parsed(
        "rules: [{name: r, shadow: true, on_error: deny, condition: {all: []}, "
        "action: {type: deny}}]"
    ).rules
    assert (rule.shadow, rule.on_error) == (True, OnRuleError.DENY)
    (rule,) = parsed(f"rules: [{RULE}]").rules
    assert (rule.shadow, rule.on_error) == (False, None)


def test_values_that_are_missing_are_where_their_keys_are() -> None:
    with pytest.raises(RuleParseError) as caught:
        parsed("rules:\n- name: r\n  priority:\n  condition: # nothing\n\n  action:\n")
    assert [(p.path, p.line, p.column) for p in caught.value.problems] == [
        ("rules[0].priority", 3, 3),
        ("rules[0].condition", 4, 3),
        ("rules[0].action", 6, 3),
    ]
