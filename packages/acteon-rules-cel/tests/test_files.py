"""`.cel` files, `cel:` in YAML files, and where their mistakes are told."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from acteon.core import RULES, Action, load_plugin
from acteon.rules import Problem, RuleFrontend, RuleParseError, RuleSet, describe
from acteon.rules_cel import CelRuleFrontend
from acteon.rules_yaml import YamlRuleFrontend

NOW = datetime(2026, 1, 5, tzinfo=UTC)
FILE = """\
version: 2
rules:
  - name: large-orders
    description: Somebody looks at these first
    condition: action.payload.amount > 500 && action.payload.currency == "EUR"
    action: {type: deny}
  - name: rare-items
    condition: |
      // One of them is enough.
      action.payload.items.exists(i,
        i.rare && i.price > 100)
    action: {type: suppress}
  - name: everything-else
    condition: true
    action: {type: reroute, target_provider: archive}
"""


def problems(text: str, frontend: RuleFrontend, **options: Any) -> tuple[Problem, ...]:
    with pytest.raises(RuleParseError) as caught:
        frontend.parse(text, file="r.cel", **options)
    return caught.value.problems


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"amount": 501, "currency": "EUR"}, "large-orders"),
        (
            {"amount": 1, "currency": "EUR", "items": [{}, {"rare": True, "price": 101}]},
            "rare-items",
        ),
        ({"amount": 1, "currency": "EUR", "items": []}, "everything-else"),
    ],
)
def test_a_file_says_what_rules_do(payload: dict[str, Any], name: str) -> None:
    rules = RuleSet.compile(CelRuleFrontend().parse(FILE, file="r.cel", strict=True).rules)
    action = Action(
        namespace="n", tenant="t", provider="p", action_type="a", payload={"items": [], **payload}
    )
    assert rules.decide(action, now=NOW).rule == name


def test_rules_know_where_they_stand() -> None:
    rules = CelRuleFrontend().parse(FILE, file="r.cel").rules
    assert [(rule.name, rule.source, rule.line) for rule in rules] == [
        ("large-orders", "r.cel", 3),
        ("rare-items", "r.cel", 7),
        ("everything-else", "r.cel", 13),
    ]
    assert describe(rules[2].condition) == "true"


def test_the_frontend_is_registered() -> None:
    plugin: type[RuleFrontend] = load_plugin(RULES, "cel", RuleFrontend)
    assert plugin is CelRuleFrontend


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ("action.payload.amount = 5", (4, 38)),
        ("'action.payload.amount = 5'", (4, 39)),
        ('"action.payload.amount = 5"', (4, 39)),
        ('"action.payload.to == \\"a\\" and true"', (4, 44)),
        ("|\n      true &&\n        action.nope == 1", (6, 16)),
        ("|\n      true &&\n      action.payload.amount = 5", (6, 29)),
        ("[true]", (4, 16)),
        ("{cel: 'true'}", (4, 16)),
        ("''", (4, 16)),
    ],
)
def test_a_mistake_is_told_with_line_and_column_of_the_file(
    condition: str, place: tuple[int, int]
) -> None:
    text = f"rules:\n  - name: r\n    action: {{type: deny}}\n    condition: {condition}\n"
    (problem,) = problems(text, CelRuleFrontend())
    assert (problem.line, problem.column) == place
    assert (problem.rule, problem.path) == ("r", "rules[0].condition")


def test_all_mistakes_of_a_file_are_told_at_once() -> None:
    text = """\
rules:
  - name: a
    condition: action.payload.amount = 5
    action: {type: deny}
  - name: b
    condition: nope == 1
    action: {type: denied}
  - condition: size(
    action: {type: allow}
    unknown: 1
"""
    lines = [problem.located for problem in problems(text, CelRuleFrontend(), strict=True)]
    assert lines[0].startswith("r.cel:3:38: rule 'a': condition: ")
    assert len(lines) == 6
    for part in (
        "not understood from `=` on; write == to compare",
        "unknown name `nope`",
        "denied",
        "`(` is not closed; write )",
        "missing field `name`",
        "unknown",
    ):
        assert any(part in line for line in lines), (part, lines)


def test_keys_that_mean_nothing_are_warnings_unless_the_file_is_strict() -> None:
    text = "rules: [{name: r, condition: 'true', action: {type: deny}, prio: 1}]"
    (warning,) = CelRuleFrontend().parse(text, file="r.cel").warnings
    assert "prio" in warning.message
    (problem,) = problems(text, CelRuleFrontend(), strict=True)
    assert "prio" in problem.message


@pytest.mark.parametrize(
    ("condition", "matches"),
    [
        ("{cel: 'action.payload.amount > 5'}", True),
        ("{all: [{field: action.tenant, eq: t}, {cel: action.payload.amount > 5}]}", True),
        ("{not: {cel: action.payload.amount > 5}}", False),
        ("{any: [{cel: action.payload.amount > 50}, {field: action.tenant, eq: t}]}", True),
        ("{none: [{cel: action.payload.amount > 5}]}", False),
    ],
)
def test_yaml_files_may_have_conditions_in_cel(condition: str, matches: bool) -> None:
    text = f"rules: [{{name: r, condition: {condition}, action: {{type: deny}}}}]"
    rules = RuleSet.compile(YamlRuleFrontend().parse(text, strict=True).rules)
    action = Action(namespace="n", tenant="t", provider="p", action_type="a", payload={"amount": 6})
    assert (rules.decide(action, now=NOW).rule == "r") is matches


def test_a_mistake_in_cel_in_yaml_is_told_at_its_place() -> None:
    text = """\
rules:
  - name: r
    condition:
      all:
        - {field: action.tenant, eq: t}
        - cel: action.payload.amount > 5 and true
    action: {type: deny}
"""
    (problem,) = problems(text, YamlRuleFrontend())
    assert problem.path == "rules[0].condition.all[1].cel"
    assert (problem.line, problem.column) == (6, 42)
    assert problem.message == "not understood from `and` on; write && for and"


def test_the_file_that_the_readme_shows_can_be_used() -> None:
    readme = Path(__file__).parents[1].joinpath("README.md").read_text()
    (shown,) = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    parsed = CelRuleFrontend().parse(shown, strict=True)
    assert [rule.name for rule in parsed.rules] == ["large-orders-at-night", "three-per-recipient"]
    payload = {"amount": 501, "items": [{"price": 101}]}
    action = Action(namespace="n", tenant="t", provider="p", action_type="order", payload=payload)
    night = datetime(2026, 1, 5, 21, 30, tzinfo=UTC)  # 22:30 in Berlin
    rules = RuleSet.compile(parsed.rules)
    assert rules.decide(action, now=night).rule == "large-orders-at-night"
    assert rules.decide(action, now=night.replace(hour=20)).rule is None
