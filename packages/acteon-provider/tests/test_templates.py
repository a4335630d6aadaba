"""Payloads and texts made from an action."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action, encode_json
from acteon.provider import ProviderSerializationError
from acteon.provider.templates import MAX_CHARACTERS, PayloadTemplate, TextTemplate

ACTION = Action(
    namespace="shop",
    tenant="acme",
    provider="hook",
    action_type="order_placed",
    payload={"who": "Ann", "items": [1, {"x": None}], "keys": "mine", "n": 3, "no": None},
    metadata={"stage": "test"},
    id="a-1",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("source", "made"),
    [
        ("plain", "plain"),
        ("{{ payload.who }}!", "Ann!"),
        ("{{ payload.items }}", [1, {"x": None}]),
        ("  {{ payload.n }}  ", 3),
        ("{{- payload.n -}}", 3),
        ("{{ payload.no }}", None),
        ("{{ payload.n }}{{ payload.n }}", "33"),
        ("{{ payload.keys }}", "mine"),
        ("{{ payload['who'] | upper }}", "ANN"),
        ("{{ metadata.stage }}-{{ namespace }}-{{ tenant }}", "test-shop-acme"),
        ("{{ id }}/{{ action_type }}/{{ provider }}", "a-1/order_placed/hook"),
        ("{% for i in payload['items'] %}x{% endfor %}", "xx"),
        ("{{ payload.missing | default('none') }}", "none"),
        ("{{ '}}' }}", "}}"),
        ({"a": ["{{ payload.n }}", 1, None, True]}, {"a": [3, 1, None, True]}),
        ({}, {}),
    ],
)
def test_what_is_made(source: Any, made: Any) -> None:
    assert PayloadTemplate.of(source).render(ACTION) == made


@given(JSON)
def test_tojson_writes_whatever_there_is(value: Any) -> None:
    action = Action(
        namespace="n", tenant="t", provider="p", action_type="a", payload={"value": value}
    )
    made = TextTemplate.of("{{ payload.value | tojson }}").render(action)
    assert json.loads(made) == value


@given(JSON)
def test_one_expression_gives_the_value_itself(value: Any) -> None:
    action = Action(
        namespace="n", tenant="t", provider="p", action_type="a", payload={"value": value}
    )
    made = PayloadTemplate.of({"made": "{{ payload.value }}"}).render(action)
    assert encode_json(made) == encode_json({"made": value})


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            {"a": {"b": ["x", "{{ payload.who"]}},
            "a.b[1]: is no template: unexpected end of template",
        ),
        ("{% if %}", "is no template: "),
        ("a\nb {{ 1 + }}", "(line 2)"),
        ("{{ x | nofilter }}", "is no template: No filter named 'nofilter'"),
    ],
)
def test_what_is_no_template_is_told_at_once(source: Any, told: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - its text is looked at
        PayloadTemplate.of(source)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ({"a": "{{ payload.hush }}"}, "the template of 'a' cannot be filled in"),
        ("x {{ payload.hush }}", "has no attribute 'hush'"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ payload.who + 1 }}", "TypeError"),
        ("x {{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ payload.who.__class__ }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("x{{ payload.update({'who': 1}) }}", "cannot be filled in"),
        ("{% for i in range(1000000) %}x{% endfor %}", "OverflowError"),
        ("{% for i in range(9000) %}{{ 'x' * 1000 }}{% endfor %}", str(MAX_CHARACTERS)),
    ],
)
def test_what_cannot_be_filled_in_is_told(source: Any, told: str) -> None:
    with pytest.raises(ProviderSerializationError) as refused:
        PayloadTemplate.of(source).render(ACTION)
    assert told in str(refused.value)
    assert "Ann" not in str(refused.value)
    assert ACTION.payload["who"] == "Ann"


def test_templates_are_equal_if_their_sources_are() -> None:
    assert PayloadTemplate.of({"a": "{{ id }}"}) == PayloadTemplate.of({"a": "{{ id }}"})
    assert PayloadTemplate.of({"a": "{{ id }}"}) != PayloadTemplate.of({"a": "{{ tenant }}"})
    assert TextTemplate.of("x") == TextTemplate.of("x")
    assert hash(TextTemplate.of("x")) == hash(TextTemplate.of("x"))
