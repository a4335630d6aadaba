import math
from typing import Any

import pytest

from acteon.rules import Modify, RuleParseError
from acteon.rules.expression import Binary, Literal
from acteon.rules_yaml import YamlRuleFrontend


def change(text: str) -> Any:
    """Return what `text` means in a merge patch."""
    start = "rules:\n- name: r\n  condition: {all: []}\n  action:\n    type: modify\n    changes: "
    (rule,) = YamlRuleFrontend().parse(start + text).rules
    assert isinstance(rule.effect, Modify)
    return rule.effect.changes


def operand(text: str) -> Any:
    """Return what `text` means beside an operator."""
    rules = (
        f"rules:\n- name: r\n  action: {{type: deny}}\n  condition:\n    field: a\n    eq: {text}"
    )
    (rule,) = YamlRuleFrontend().parse(rules).rules
    assert isinstance(rule.condition, Binary)
    assert isinstance(rule.condition.right, Literal)
    return rule.condition.right.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *[(text, True) for text in ("true", "True", "TRUE", "!!bool true")],
        *[(text, False) for text in ("false", "False", "FALSE")],
        *[(text, text) for text in ("yes", "no", "on", "off", "y", "n", "tRUE")],
        ("5", 5),
        ("+5", 5),
        ("-5", -5),
        ("-0", 0),
        ("0x1F", 31),
        ("-0x5", -5),
        ("0o17", 15),
        ("0b11", 3),
        *[(text, text) for text in ("0777", "-08", "00", "0X1F", "1_000", "1:30", "12:30:45")],
        ("5.0", 5.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.5", -0.5),
        ("1e3", 1000.0),
        ("1E3", 1000.0),
        ("+.5", 0.5),
        ("1.e3", 1000.0),
        ("01.5", 1.5),
        ("01e3", 1000.0),
        *[(text, text) for text in ("1e400", "inf", "nan", "2025-01-01", "2025-01-01T00:00:00Z")],
        ('"5"', "5"),
        ("'true'", "true"),
        ("|\n      x", "x"),
        ("!!str 5", "5"),
        ('!!int "5"', 5),
        ("!!float 5", 5.0),
        ("1" * 41, float("1" * 41)),
        ("0x" + "f" * 33, "0x" + "f" * 33),
    ],
)
def test_it_means(text: str, expected: Any) -> None:
    for value in (change(text), operand(text)):
        assert value == expected
        assert type(value) is type(expected)


@pytest.mark.parametrize("text", ["null", "Null", "NULL", "~", "", ".inf", "-.inf", ".nan"])
def test_it_is_null_in_a_patch(text: str) -> None:
    assert change(text) is None


def test_integers_beyond_64_bits_are_floats_for_operators_only() -> None:
    assert change("18446744073709551615") == 2**64 - 1
    value = operand("18446744073709551615")
    assert type(value) is float
    assert math.isclose(value, 2.0**64)


@pytest.mark.parametrize(
    "text",
    ["18446744073709551616", "-9223372036854775809", "!!int x", "!!bool yes", '!!null ""', "!x 5"],
)
def test_it_is_refused(text: str) -> None:
    with pytest.raises(RuleParseError):
        change(text)
    with pytest.raises(RuleParseError):
        operand(text)


@pytest.mark.parametrize(
    ("text", "expected"), [("123", "123"), ("~", "~"), ("!x 5", "5"), ("1e3", "1e3"), ("", "")]
)
def test_names_are_texts_as_they_stand(text: str, expected: str) -> None:
    rules = f"rules:\n- name: {text}\n  condition: {{all: []}}\n  action: {{type: deny}}"
    (rule,) = YamlRuleFrontend().parse(rules).rules
    assert rule.name == expected
