"""`acteon-server rules check`: what is found in rules, word for word."""

import json
import time
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from attrs import evolve
from click.testing import CliRunner, Result
from hypothesis import given, settings

from acteon.core import SYSTEM_CLOCK, Action
from acteon.rules import (
    Allow,
    Deny,
    Effect,
    EvaluationError,
    Modify,
    OnRuleError,
    Rule,
    RuleSet,
    Suppress,
    parse_field_path,
)
from acteon.rules.expression import (
    All,
    AnyOf,
    Binary,
    BinaryOperator,
    Expression,
    ListOf,
    Literal,
    Name,
    Unary,
    UnaryOperator,
)
from acteon.server import main
from acteon.server.ruletools import RuleSource, findings_about
from acteon.server.ruletools.findings import CODES
from acteon.server.ruletools.sources import compile_what_can_be


def check(*arguments: str | Path) -> Result:
    return CliRunner().invoke(
        main, ["rules", "check", *map(str, arguments)], prog_name="acteon-server"
    )


def written(folder: Path, rules: str, name: str = "rules.yaml") -> Path:
    file = folder / name
    file.write_text(rules, encoding="utf-8")
    return file


def rule(name: str, condition: str, action: str = "{type: deny}", more: str = "") -> str:
    return f"  - name: {name}\n    condition: {condition}\n    action: {action}\n{more}"


IS_A = "{field: action.action_type, eq: a}"
IS_B = "{field: action.payload.b, eq: 1}"
AND_KEY = "{field: action.dedup_key, exists: true}"
DEDUPLICATE = "{type: deduplicate, ttl_seconds: 60}"
THROTTLE = "{type: throttle, max_count: 1, window_seconds: 60}"
ON = "    continue: true\n"

FOUND: dict[str, tuple[str, list[str]]] = {
    "nothing": (rule("x", IS_A) + rule("y", IS_B), []),
    "nothing of a special rule before a general one": (
        rule("special", f"{{all: [{IS_A}, {IS_B}]}}") + rule("general", IS_A),
        [],
    ),
    "nothing of rules that have something in common": (
        rule("x", f"{{all: [{IS_A}, {IS_B}]}}")
        + rule("y", f"{{all: [{IS_A}, {AND_KEY}]}}")
        + rule("z", f"{{all: [{IS_B}, {AND_KEY}]}}"),
        [],
    ),
    "nothing of a range": (
        rule("x", "{all: [{field: action.payload.a, gte: 5}, {field: action.payload.a, lte: 5}]}"),
        [],
    ),
    "duplicate-name": (
        rule("x", IS_A) + rule("x", IS_B),
        [
            "5: rule 'x': another rule has the same name (rules.yaml:2); only the first can be "
            "switched off and on; rename one of them"
        ],
    ),
    "duplicate-name of throttles": (
        rule("x", IS_A, THROTTLE) + rule("x", IS_B, THROTTLE),
        [
            "5: rule 'x': another rule has the same name (rules.yaml:2); only the first can be "
            "switched off and on, and their throttles share one count; rename one of them"
        ],
    ),
    "duplicate-rule": (
        rule("x", f"{{all: [{IS_A}, {IS_B}]}}") + rule("y", f"{{all: [{IS_B}, {IS_A}]}}"),
        [
            "5: rule 'y': has the same condition as rule 'x' before it, which decides; "
            "give this one a lower priority number, or leave it out"
        ],
    ),
    "unreachable": (
        rule("general", IS_A) + rule("special", f"{{all: [{IS_B}, {IS_A}]}}"),
        [
            "5: rule 'special': never matters: rule 'general' before it decides whenever this "
            "one could match; give this one a lower priority number, or leave it out"
        ],
    ),
    "unreachable after one that matches always": (
        rule("all", "{all: []}") + rule("x", IS_A),
        ["5: rule 'x': never asked: rule 'all' before it matches always"],
    ),
    "no-effect": (
        rule("x", IS_A, THROTTLE, ON) + rule("y", f"{{all: [{IS_A}, {IS_B}]}}", THROTTLE),
        [
            "6: rule 'y': its throttle never counts: rule 'x' before it matches whenever this "
            "one does, and of several that throttle the first counts"
        ],
    ),
    "unknown-name": (
        rule("x", "{field: actoin.tenant, eq: a}"),
        [
            "2: rule 'x': fails when it is evaluated: undefined variable: actoin; "
            "did you mean action?"
        ],
    ),
    "unknown-field": (
        rule("x", "{field: action.tennant, eq: a}"),
        [
            "2: rule 'x': action has no member 'tennant', so it is always null; "
            "did you mean 'tenant'?"
        ],
    ),
    "bad-pattern": (
        rule("x", '{field: action.tenant, matches: "("}'),
        ["2: rule 'x': fails when it is evaluated: invalid regex: missing ): ("],
    ),
    "wrong-type": (
        rule("x", "{field: action.payload.a, gt: true}"),
        ["2: rule 'x': fails when it is evaluated: > takes numbers or strings"],
    ),
    "wrong-type of an instant": (
        rule("x", '{field: now, gte: "2025-01-01"}'),
        [
            "2: rule 'x': fails when it is evaluated: now >= \"2025-01-01\" compares the seconds "
            "since 1970 with a text; write 1735689600 for that"
        ],
    ),
    "wrong-type of metadata": (
        rule("x", "{field: action.metadata.level, gt: 2}"),
        [
            "2: rule 'x': fails when it is evaluated: action.metadata.level > 2 compares a text "
            "with a number; for the number in it write cel: 'int(action.metadata.level) > 2'"
        ],
    ),
    "never-true": (
        rule("x", f"{{all: [{IS_A}, {{field: action.action_type, eq: b}}]}}"),
        [
            '2: rule \'x\': action.action_type == "a" and action.action_type == "b" are never '
            "both true; for one or the other, write them under `any`"
        ],
    ),
    "never-true of an hour after ten and before six": (
        rule("x", "{all: [{field: time.hour, gte: 22}, {field: time.hour, lt: 6}]}"),
        [
            "2: rule 'x': time.hour >= 22 and time.hour < 6 are never both true; "
            "for one or the other, write them under `any`"
        ],
    ),
    "never-true of an hour before six and after ten": (
        rule("x", "{all: [{field: time.hour, lt: 6}, {field: time.hour, gte: 22}]}"),
        [
            "2: rule 'x': time.hour < 6 and time.hour >= 22 are never both true; "
            "for one or the other, write them under `any`"
        ],
    ),
    "never-true of a day that is none": (
        rule("x", "{field: time.weekday, in_list: [saturday, Sun]}"),
        [
            "2: rule 'x': time.weekday is never \"saturday\": it is Monday, Tuesday, …, Sunday; "
            "did you mean 'Saturday'?",
            "2: rule 'x': time.weekday is never \"Sun\": it is Monday, Tuesday, …, Sunday; "
            "did you mean 'Sunday'?",
        ],
    ),
    "never-true of a number where there are texts": (
        rule("x", "{field: action.metadata.level, eq: 1}"),
        ["2: rule 'x': action.metadata.level is never 1: it is a text; write \"1\""],
    ),
    "never-true of an hour that is none": (
        rule("x", "{field: time.hour, gt: 23}"),
        ["2: rule 'x': time.hour > 23 is never true: time.hour is a number from 0 to 23"],
    ),
    "always-true": (
        rule("x", "{any: [{field: action.tenant, ne: a}, {field: action.tenant, ne: b}]}"),
        [
            '2: rule \'x\': action.tenant != "a" or action.tenant != "b" is always true; '
            "for neither of the two, write them under `all`"
        ],
    ),
    "no-dedup-key": (
        rule("x", IS_A, DEDUPLICATE),
        [
            "2: rule 'x': an action without dedup_key is a duplicate of nothing but itself; say "
            "with `key:` what makes two actions the same, or match only actions that have a "
            "dedup_key"
        ],
    ),
    "no key is needed where actions have one": (
        rule("x", f"{{all: [{IS_A}, {AND_KEY}]}}", DEDUPLICATE),
        [],
    ),
    "no key is needed where the rule has one": (
        rule("x", IS_A, '{type: deduplicate, key: "{{ action.tenant }}"}'),
        [],
    ),
    "unknown-provider": (
        rule("x", IS_A, "{type: reroute, target_provider: slak}"),
        [
            "2: rule 'x': reroutes to provider 'slak', which is not configured; "
            "did you mean 'slack'?"
        ],
    ),
    "file": (
        rule("x", IS_A, more="    prio: 1\n"),
        ["5:5: rule 'x': ignored key: `prio`; did you mean `priority`?"],
    ),
}


@pytest.mark.parametrize("title", FOUND)
def test_what_is_odd_is_told_with_its_place(title: str, folder: Path) -> None:
    text, wanted = FOUND[title]
    code = title.split()[0]
    written(folder, f"rules:\n{text}")
    done = check("rules.yaml", "--providers", "email,slack")
    *lines, _ = done.stdout.splitlines()
    assert lines == [f"rules.yaml:{line} [warning {code}]" for line in wanted]
    assert done.exit_code == 0
    assert check("rules.yaml", "--providers", "email,slack", "--strict").exit_code == bool(wanted)


def test_each_kind_of_finding_is_documented() -> None:
    shown = {title.split()[0] for title, (_, wanted) in FOUND.items() if wanted}
    assert shown | {"empty", "load", "unknown-function", "odd"} == set(CODES)


def test_all_problems_of_all_files_are_told_beside_what_is_odd_in_the_others(folder: Path) -> None:
    written(folder, "rules:\n" + rule("x", "{field: action.tenant, eqq: 1}"), "a.yaml")
    written(folder, "rules: [", "b.yml")
    written(folder, "rules:\n" + rule("y", "{field: action.tennant, eq: a}"), "c.yaml")
    done = check(".")
    assert done.exit_code == 1
    *lines, summary = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in lines] == [
        "a.yaml:3:24",
        "a.yaml:3:39",
        "b.yml:1:9",
        "c.yaml:2",
    ]
    assert [line[line.rindex("[") :] for line in lines] == [
        "[error load]",
        "[warning file]",
        "[error load]",
        "[warning unknown-field]",
    ]
    assert summary == "2 errors, 2 warnings"


def test_a_rule_that_cannot_be_compiled_hides_nothing_else(folder: Path) -> None:
    deep: Expression = Literal(True)
    for _ in range(200):
        deep = Unary(UnaryOperator.NOT, deep)
    rules = [
        Rule(name="x", condition=deep, effect=Deny(), source="a", line=1),
        Rule(name="x", condition=Name("nope"), effect=Deny(), source="a", line=2),
    ]
    compiled, problems = compile_what_can_be(rules, RuleSource(path=folder))
    assert [(each.line, "nested more than" in each.message) for each in problems] == [(1, True)]
    assert [(each.line, each.code) for each in compiled.warnings] == [(2, "unknown-name")]


def test_findings_can_be_had_as_json(folder: Path) -> None:
    written(folder, "rules:\n" + rule("x", IS_A, more="    prio: 1\n"))
    done = check(folder / "rules.yaml", "--format", "json")
    assert json.loads(done.stdout) == [
        {
            "severity": "warning",
            "code": "file",
            "file": str(folder / "rules.yaml"),
            "line": 5,
            "column": 5,
            "rule": "x",
            "path": "rules[0]",
            "message": "ignored key: `prio`; did you mean `priority`?",
        }
    ]


def test_the_configuration_names_the_rules_and_the_providers(folder: Path) -> None:
    (folder / "mine").mkdir()
    written(folder / "mine", "rules:\n" + FOUND["unknown-provider"][0])
    written(
        folder,
        '[rules]\ndirectory = "mine"\n[[providers]]\nname = "slack"\ntype = "log"\n',
        "acteon.toml",
    )
    for done in (check(), check("-c", "acteon.toml"), check("mine", "-c", "acteon.toml")):
        assert "did you mean 'slack'? [warning unknown-provider]" in done.stdout
    assert check("mine").stdout == "1 rule: nothing found\n"
    before = CliRunner().invoke(main, ["-c", "acteon.toml", "rules", "check"])
    assert "[warning unknown-provider]" in before.stdout


def test_a_strict_configuration_refuses_what_is_odd_about_files(folder: Path) -> None:
    odd = rule("x", "{field: action.tennant, eq: a}", more="    prio: 1\n")
    written(folder, f"rules:\n{odd}")
    written(folder, '[rules]\ndirectory = "."\nstrict = true\n', "acteon.toml")
    done = check()
    assert done.exit_code == 1
    assert [line[line.rindex("[") :] for line in done.stdout.splitlines()[:-1]] == [
        "[warning unknown-field]",
        "[error load]",
    ]
    done = check("rules.yaml", "--strict")
    assert done.exit_code == 1
    assert done.stdout.endswith("\n1 rule: 2 warnings\n")


def test_no_rules_at_all_are_no_error_where_there_are_files(folder: Path) -> None:
    (folder / "rules").mkdir()
    written(folder / "rules", "rules: []\n", "none.yaml")
    for path in ("rules", "rules/none.yaml"):
        done = check(path)
        assert (done.exit_code, done.stdout) == (
            0,
            f"{path}: there are no rules in it, so every action is allowed [warning empty]\n"
            "0 rules: 1 warning\n",
        )


def test_variables_that_nobody_defines_are_told_if_those_defined_are_known(folder: Path) -> None:
    asked = rule("x", "{all: [{field: env.stgae, ne: a}, {field: env.region, exists: true}]}")
    written(folder, f"rules:\n{asked}{rule('y', '{field: environment.zone, ne: b}')}")
    assert check("rules.yaml").stdout == "2 rules: nothing found\n"
    written(folder, '[rules]\nenvironment = {stage = "a"}\n', "acteon.toml")
    told = "rules.yaml:{}: rule '{}': {} has no '{}', so it is always null; {} [warning {}]"
    assert check("rules.yaml", "-c", "acteon.toml").stdout.splitlines()[:-1] == [
        told.format(2, "x", "env", "stgae", "did you mean 'stage'?", "unknown-field"),
        told.format(
            5, "y", "environment", "zone", "define it under [rules.environment]", "unknown-field"
        ),
    ]
    both = check("rules.yaml", "-c", "acteon.toml", "--env", "zone=1", "--env", "stgae=1")
    assert both.stdout == "2 rules: nothing found\n"


def test_variables_of_the_environment_are_known(folder: Path) -> None:
    written(folder, "rules:\n" + rule("x", "{field: region, eq: eu}"))
    assert "undefined variable: region" in check("rules.yaml").stdout
    assert check("rules.yaml", "--env", "region=eu").stdout == "1 rule: nothing found\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["empty"], "empty: there are no rule files; their names end in .yaml or .yml"),
        (["missing"], "missing: there is no such file or directory"),
        ([], "acteon.toml: names no rules; name a directory here, or there as [rules] directory"),
        (["-c", "missing.toml"], "missing.toml: there is no such file"),
        (["notes.txt"], "notes.txt: no rule file by its extension; known are: .yaml, .yml"),
        (["--formt", "json"], "no such option '--formt'; did you mean --format?"),
        (
            ["--env", "region"],
            "invalid value for '--env': wanted NAME=VALUE, found 'region'; "
            "acteon-server rules check --help shows what there is",
        ),
        (
            [".", "."],
            "got unexpected extra argument (.); "
            "acteon-server rules check --help shows what there is",
        ),
    ],
)
def test_a_wrong_use_is_told_in_one_line(arguments: list[str], told: str, folder: Path) -> None:
    written(folder, "", "notes.txt")
    (folder / "empty").mkdir()
    done = check(*arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.replace(".cel, ", "") == f"error: {told}\n"


def test_a_shadow_or_disabled_rule_hides_no_other(folder: Path) -> None:
    for more in ("    shadow: true\n", "    enabled: false\n"):
        text = rule("x", IS_A, more=more) + rule("y", IS_A)
        written(folder, f"rules:\n{text}")
        assert check("rules.yaml").stdout == "2 rules: nothing found\n"


def test_a_changed_payload_may_match_what_it_did_not_match_before(folder: Path) -> None:
    change = "{type: modify, changes: {b: 1}}"
    between = rule("change", IS_A, change, ON)
    written(folder, f"rules:\n{rule('x', IS_B)}{between}{rule('y', IS_B)}")
    assert check("rules.yaml").stdout == "3 rules: nothing found\n"


def test_other_time_zones_are_other_conditions(folder: Path) -> None:
    late = "{field: time.hour, gte: 22}"
    berlin = rule("y", late, more="    timezone: Europe/Berlin\n")
    written(folder, f"rules:\n{rule('x', late)}{berlin}")
    assert check("rules.yaml").stdout == "2 rules: nothing found\n"


def test_true_is_another_constant_than_one(folder: Path) -> None:
    one, yes = "{field: action.payload.a, eq: 1}", "{field: action.payload.a, eq: true}"
    written(folder, f"rules:\n{rule('x', one)}{rule('y', yes)}")
    assert check("rules.yaml").stdout == "2 rules: nothing found\n"


VALUES = st.sampled_from([0, 1, 2, 1.0, True, None, "a", "b"])
FIELDS = st.sampled_from(["a", "b"]).map(lambda name: parse_field_path(f"action.payload.{name}"))
COMPARISONS: st.SearchStrategy[Expression] = st.builds(
    Binary,
    st.sampled_from(
        [
            BinaryOperator.EQUAL,
            BinaryOperator.NOT_EQUAL,
            BinaryOperator.LESS,
            BinaryOperator.GREATER_OR_EQUAL,
        ]
    ),
    FIELDS,
    VALUES.map(Literal),
) | st.builds(
    Binary,
    st.just(BinaryOperator.IN),
    FIELDS,
    st.lists(VALUES.map(Literal), max_size=2).map(lambda items: ListOf(tuple(items))),
)
ALL = st.lists(COMPARISONS, min_size=1, max_size=3).map(lambda items: All(tuple(items)))
ANY = st.lists(COMPARISONS, min_size=1, max_size=2).map(lambda items: AnyOf(tuple(items)))


def both(one: Expression, two: Expression) -> Expression:
    return All((one, two))


def made(condition: Expression, effect: Effect, *, shadow: bool) -> Rule:
    continues = isinstance(effect, Modify)
    return Rule(name="", condition=condition, effect=effect, continues=continues, shadow=shadow)


CONDITIONS = ALL | COMPARISONS | st.builds(both, ALL, ANY)
CHANGES = st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=1)
SIMPLE: list[Effect] = [Allow(), Deny(), Suppress()]
EFFECTS = st.sampled_from(SIMPLE) | st.builds(Modify, changes=CHANGES)
RULES = st.lists(
    st.builds(made, CONDITIONS, EFFECTS, shadow=st.sampled_from([False, False, False, True])),
    min_size=2,
    max_size=6,
).map(lambda rules: [evolve(rule, name=str(number)) for number, rule in enumerate(rules)])
PAYLOADS = st.fixed_dictionaries({}, optional={"a": VALUES, "b": VALUES})


@given(RULES, st.lists(PAYLOADS, min_size=1, max_size=8))
@settings(max_examples=300)
def test_what_is_said_never_to_match_never_does(
    rules: list[Rule], payloads: list[dict[str, Any]]
) -> None:
    found = [(each.code, each.problem.rule) for each in findings_about(rules)]
    never = {name for code, name in found if code in {"unreachable", "duplicate-rule"}}
    for each in rules:
        comparisons = isinstance(each.condition, All) and not any(
            isinstance(item, All | AnyOf) for item in each.condition.items
        )
        if comparisons and ("never-true", each.name) in found:
            never.add(each.name)
    compiled = RuleSet.compile(rules, on_error=OnRuleError.SKIP)
    for payload in payloads:
        action = Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
        decision = compiled.decide(action, now=SYSTEM_CLOCK.now())
        matched = {name for name, _ in (*decision.matched, *decision.shadowed)}
        assert not matched & never


@given(ANY, PAYLOADS)
def test_what_is_said_always_to_be_true_always_is(
    condition: AnyOf, payload: dict[str, Any]
) -> None:
    rules = [Rule(name="x", condition=condition, effect=Deny())]
    if any(each.code == "always-true" for each in findings_about(rules)):
        action = Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
        try:
            decision = RuleSet.compile(rules).decide(action, now=SYSTEM_CLOCK.now())
        except EvaluationError:
            return
        assert decision.refused


def test_ten_thousand_rules_are_compared_with_each_other_quickly() -> None:
    same = parse_field_path("action.tenant")
    rules = [
        Rule(
            name=str(number),
            condition=All(
                (
                    Binary(BinaryOperator.EQUAL, same, Literal("acme")),
                    Binary(
                        BinaryOperator.EQUAL, parse_field_path("action.id"), Literal(f"{number}")
                    ),
                )
            ),
            effect=Deny(),
        )
        for number in range(10_000)
    ]
    started = time.process_time()
    found = list(findings_about([*rules, evolve(rules[-1], name="last")]))
    assert [each.code for each in found] == ["duplicate-rule"]
    assert time.process_time() - started < 10
