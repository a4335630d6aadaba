"""The README, executed."""

import re
from pathlib import Path

import pytest

from acteon.rules import RuleParseError, RuleSet
from acteon.rules_yaml import YamlRuleFrontend

README = (Path(__file__).parents[1] / "README.md").read_text()


def block(language: str) -> str:
    (text,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(text)


def test_the_program_loads_the_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "mail.yaml").write_text(block("yaml"))
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(block("python"), names)
    rules = names["rules"]
    assert isinstance(rules, RuleSet)
    assert [rule.name for rule in rules.rules] == ["hold-bulk-mail"]
    assert rules.warnings == ()


def test_all_keys_of_conditions_are_named() -> None:
    text = "rules: [{name: r, action: {type: deny}, condition: {field: a}}]"
    with pytest.raises(RuleParseError) as caught:
        YamlRuleFrontend().parse(text)
    names = re.findall("`([a-z_]+)`", str(caught.value).partition("add one of")[2])
    assert len(names) == 15
    assert " ".join(names) in README.replace("\n  ", " ")
