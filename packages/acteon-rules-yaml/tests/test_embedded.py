"""Files whose conditions are written in another language, and where its errors are told."""

import re
import sys
from pathlib import Path

import pytest

from acteon.core import RULES, plugin_names
from acteon.rules import (
    ConditionError,
    ConditionLanguage,
    ParsedCondition,
    ParsedRules,
    Problem,
    RuleFrontend,
    RuleParseError,
    describe,
)
from acteon.rules.expression import Expression, Literal
from acteon.rules_yaml import (
    Node,
    Report,
    Scalar,
    YamlRuleFrontend,
    read_condition_text,
    read_rules,
)
from acteon.rules_yaml.embedded import read_embedded


class Words(RuleFrontend, ConditionLanguage):
    """Knows `yes`, which is true, and takes `old` for it with a warning."""

    language = "Words"

    def parse(self, text: str, *, file: str = "", strict: bool = False) -> ParsedRules:
        return read_rules(
            text, file=file, strict=strict, language=self.language, read_condition=self._read
        )

    def _read(self, node: Node, path: str, report: Report) -> Expression | None:
        assert isinstance(node, Scalar)
        return read_condition_text(self, node.text, node, path, report)

    def parse_condition(self, text: str) -> ParsedCondition:
        wrong = re.search(r"[^a-z'\s]", text)
        if wrong:
            before = text[: wrong.start()]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            raise ConditionError(f"no word: {wrong[0]}", line, column)
        warnings = ("`old` is old",) if "old" in text else ()
        return ParsedCondition(Literal(True), warnings)


def problems(condition: str, *, start: str = "rules:\n") -> tuple[Problem, ...]:
    text = f"{start}- name: r\n  action: {{type: deny}}\n  condition: {condition}\n"
    with pytest.raises(RuleParseError) as caught:
        Words().parse(text, file="r.words")
    return caught.value.problems


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ("yes yes ?", (4, 22)),
        ("'yes yes ?'", (4, 23)),
        ('"yes yes ?"', (4, 23)),
        ("'yes'' ?'", (4, 21)),
        (r'"\x79\u0065s ?"', (4, 27)),
        (r'"yes \n?"', (4, 14)),
        (r'"\"?"', (4, 15)),
        ('"\\U00000079 ?"', (4, 26)),
        ("|\n    yes\n      yes ?\n    yes", (6, 11)),
        ("|2-\n    yes\n     ?", (6, 6)),
        ("|  # why\n    ?", (5, 5)),
        (">-\n    yes\n    yes ?", (5, 5)),
        (">\n\n    yes ?", (6, 5)),
        ("yes\n    yes ?", (4, 14)),
        ("'yes\n    yes ?'", (4, 14)),
        ("!!str yes ?", (4, 14)),
        ("&a yes ?", (4, 14)),
    ],
)
def test_an_error_is_told_at_its_place_in_the_file(condition: str, place: tuple[int, int]) -> None:
    (problem,) = problems(condition)
    assert (problem.line, problem.column) == place
    assert (problem.rule, problem.path) == ("r", "rules[0].condition")


def test_line_ends_do_not_move_a_place() -> None:
    start = "# one\r\n# two\r\nrules:\r\n"
    (problem,) = problems("|\r\n    yes\r\n    yes ?", start=start)
    assert (problem.line, problem.column) == (8, 9)


def test_the_language_is_named() -> None:
    text = "rules: [{name: r, action: {type: deny}, condition: 5}]"
    with pytest.raises(RuleParseError, match=r"^parse error: Words parse error in r: rules\[0\]"):
        Words().parse(text, file="r")
    with pytest.raises(RuleParseError, match=r"^parse error: Words parse error: missing field"):
        Words().parse("")
    with pytest.raises(RuleParseError, match=r"^parse error: Words parse error: while parsing"):
        Words().parse("a: {")


def test_the_rest_of_a_rule_is_read_as_everywhere() -> None:
    text = "rules: [{name: r, shadow: true, action: {type: deny}, condition: yes old}]"
    parsed = Words().parse(text)
    assert (parsed.rules[0].shadow, describe(parsed.rules[0].condition)) == (True, "true")
    assert [str(warning) for warning in parsed.warnings] == [
        "rules[0].condition: `old` is old (rule 'r') at line 1 column 66"
    ]
    with pytest.raises(RuleParseError, match="`old` is old"):
        Words().parse(text, strict=True)


@pytest.fixture
def words_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a package that offers the language `words`, and a frontend that is none."""
    (tmp_path / "acteon_words.py").write_text(
        "from acteon.rules_yaml import YamlRuleFrontend\n"
        "from acteon.rules import ConditionLanguage, ParsedCondition\n"
        "from acteon.rules.expression import Literal\n"
        "class Words(YamlRuleFrontend, ConditionLanguage):\n"
        "    def parse_condition(self, text):\n"
        "        return ParsedCondition(Literal(text))\n"
    )
    info = tmp_path / "acteon_words-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acteon-words\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[acteon.rules]\nwords = acteon_words:Words\nplain = acteon.rules_yaml:YamlRuleFrontend\n"
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])


@pytest.mark.usefixtures("words_package")
def test_a_language_is_found_by_its_name() -> None:
    report = Report("r.yaml")
    node = Scalar(1, 1, None, "a", True)
    assert read_embedded("words", "a", node, "", report) == Literal("a")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "there is no acteon.rules plugin 'nosuch'; "),
        ("plain", "'plain' reads whole files, and no conditions of others"),
    ],
)
@pytest.mark.usefixtures("words_package")
def test_a_language_that_is_not_there_is_told(name: str, message: str) -> None:
    report = Report("r.yaml")
    node = Scalar(3, 7, None, "a", True)
    assert read_embedded(name, "a", node, "rules[0].condition.cel", report) is None
    with pytest.raises(RuleParseError) as caught:
        report.warnings(strict=False)
    (problem,) = caught.value.problems
    assert problem.message.startswith(message)
    assert (problem.path, problem.line, problem.column) == ("rules[0].condition.cel", 3, 7)


def test_a_cel_condition_is_read_by_the_package_of_that_language() -> None:
    text = "rules: [{name: r, condition: {cel: 'action.tenant == \"t\"'}, action: {type: deny}}]"
    if "cel" in plugin_names(RULES):
        (rule,) = YamlRuleFrontend().parse(text).rules
        assert describe(rule.condition) == 'action.tenant == "t"'
    else:
        with pytest.raises(RuleParseError, match="not installed: pip install acteon-rules-cel"):
            YamlRuleFrontend().parse(text)
