"""What authors of conditions get wrong, and all that they are told: it should do to mend it."""

from pathlib import Path

import pytest

from acteon.rules import ConditionError
from acteon.rules_cel import CelRuleFrontend


def mistakes() -> list[tuple[str, str]]:
    """Return the conditions of `mistakes.txt`, each with what is said about it."""
    text = Path(__file__).with_name("mistakes.txt").read_text()
    cases = [case.partition("----\n") for case in text.split("====\n")]
    return [(condition.removesuffix("\n"), told.strip()) for condition, _, told in cases]


MISTAKES = mistakes()


@pytest.mark.parametrize(("condition", "told"), MISTAKES, ids=[each for each, _ in MISTAKES])
def test_a_mistake_is_told_with_its_place_and_its_remedy(condition: str, told: str) -> None:
    with pytest.raises(ConditionError) as caught:
        CelRuleFrontend().parse_condition(condition)
    error = caught.value
    assert f"{error.line}:{error.column}: {error.message}" == told


def test_no_case_stands_there_twice() -> None:
    assert len({condition for condition, _ in MISTAKES}) == len(MISTAKES) >= 30


@pytest.mark.parametrize(
    "condition", ["", "  \n", "// nothing but a comment", " // a\n // b"], ids=repr
)
def test_an_empty_condition_is_told(condition: str) -> None:
    with pytest.raises(ConditionError) as caught:
        CelRuleFrontend().parse_condition(condition)
    assert caught.value.message == "the condition is empty; write true for one that always holds"
