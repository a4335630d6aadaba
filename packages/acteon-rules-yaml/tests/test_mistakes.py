"""What authors of rules get wrong, and all that they are told: it should be enough to mend it."""

from pathlib import Path

import pytest

from acteon.rules import RuleParseError
from acteon.rules_yaml import YamlRuleFrontend

NUMBER_OPERATORS = (
    "`eq`, `ne`, `gt`, `lt`, `gte`, `lte`, `contains`, `starts_with`, `ends_with`, `matches`, "
    "`in_list`, `in`, `not_in`"
)
LISTS = {
    "NUMBER-OPERATORS": NUMBER_OPERATORS,
    "OPERATORS": f"`exists`, `is_null`, {NUMBER_OPERATORS}",
    "FORMS": "`all`, `any`, `field`, `state_seen`, `state_counter`, `not`, `none`, `cel`",
}
"""What `mistakes.txt` would repeat."""


def mistakes() -> list[tuple[str, str]]:
    """Return the files of `mistakes.txt`, each with all that is said about it, line by line.

    The rule there is called `r`, which is left out, and so is the name of the file.
    """
    text = Path(__file__).with_name("mistakes.txt").read_text()
    return [(file, told) for file, _, told in (s.partition("----\n") for s in text.split("====\n"))]


def told(text: str) -> str:
    try:
        problems = YamlRuleFrontend().parse(text, file="r.yaml").warnings
    except RuleParseError as error:
        problems = error.problems
    lines = [problem.located for problem in problems]
    return "\n".join(
        line.removeprefix("r.yaml:").strip().replace("rule 'r': ", "") for line in lines
    )


@pytest.mark.parametrize(("text", "expected"), mistakes(), ids=lambda _: "")
def test_a_mistake_is_told_with_its_place_and_its_remedy(text: str, expected: str) -> None:
    for name, names in LISTS.items():
        expected = expected.replace(f"one of {name}", f"one of {names}")
    assert told(text) == expected.strip()
