"""Payloads and texts made from an action."""

import json
import subprocess
import sys
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from acteon.core import Action, encode_json
from acteon.provider import ProviderSerializationError
from acteon.provider.templates import MAX_CHARACTERS, NAMES, PayloadTemplate, TextTemplate

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
        ("{{ -payload.n }}", -3),
        ("{{ - payload.n -}}", -3),
        ("{{+ payload.n }}", 3),
        ("{{ payload.n ** 2 * 'x' }}", "xxxxxxxxx"),
        ("{{ payload['items'] | map('string') }}", ["1", "{'x': None}"]),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ (1, 2) }}", [1, 2]),
        ("{{ '<a>' | escape }}", "&lt;a&gt;"),
        ("{{ payload.who | tojson }}", '"Ann"'),
        ("{{ payload['items'] | tojson(indent=1) }}", '[\n 1,\n {\n  "x": null\n }\n]'),
        ("{% for name, value in payload | items if value is none %}{{ name }}{% endfor %}", "no"),
        ("{% if payload.n > 2 %}{% set x = 1 %}{% endif %}{{ x }}", "1"),
        ("{% macro f(a) %}{{ a }}{{ caller() }}{% endmacro %}{% call f(1) %}2{% endcall %}", "12"),
        ("{% for i in 'ab' %}{{ loop.index }}{% endfor %}", "12"),
        ("a\r\nb\n", "a\r\nb\n"),
        ("{{ payload.n }}\nb\n", "3\nb\n"),
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
        ("{{ id | nofilter }}", "is no template: No filter named 'nofilter'"),
        ("{{ id is notest }}", "is no template: No test named 'notest'"),
        ("{{ payload. }}", "is no template: expected name or number (line 1)"),
        ("{{ }}", "is no template: "),
        (
            {"a": "{{ paylod.x }}"},
            "a: is no template: there is no 'paylod'; did you mean 'payload'?",
        ),
        (
            "{{ nothing }}",
            "there is no 'nothing'; there are action_type, created_at, dedup_key, id,",
        ),
        ("{{ lipsum() }}", "there is no 'lipsum'"),
        ("a\n{% include 'x' %}", "is no template: there is no other one that it can use (line 2)"),
        ("{% extends 'x' %}", "there is no other one"),
        ("{% import 'x' as x %}", "there is no other one"),
        ("{% from 'x' import x %}", "there is no other one"),
        ({"at": [date(2025, 1, 1)]}, "at[0]: date is nothing that JSON knows"),
        ({"a": float("nan")}, "a: float is nothing that JSON knows"),
        ({"a": {1: "x"}}, "a: the name 1 is no text"),
        ({"a": "\ud800"}, "cannot be written as JSON"),
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
        ("x {{ payload.hush }}", "'hush' is undefined"),
        ("{{ payload.hush }}", "'hush' is undefined"),
        ("{{ [payload.hush] }}", "'hush' is undefined"),
        ("{{ payload.hush | tojson }}", "'hush' is undefined"),
        ("x {{ payload[payload.who] }}", "something in it is undefined"),
        ("{{ payload[payload.who] }}", "something in it is undefined"),
        ("{{ payload.who | attr('__' ~ payload.who) }}", "cannot be filled in: "),
        ("{% if payload.n > 5 %}{% set x = 1 %}{% endif %}{{ x }}", "'x' is undefined"),
        ("{{ payload.items() }}", "TypeError"),
        ("{{ payload.get('who') }}", "'get' is undefined"),
        ("{{ 'x' | xmlattr }}", "AttributeError"),
        ("{{ [] | first }}", "something in it is undefined"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "RecursionError"),
        ("{{ payload.who.upper }}", "TypeError"),
        ("{{ {1: 2} }}", "TypeError"),
        ("{{ 10 ** 400 }}", "TypeError"),
        ("{{ 1e308 * 10 }}", "TypeError"),
        ("{{ payload['items'].append(1) }}", "unsafe"),
        ("{{ payload.who + 1 }}", "TypeError"),
        ("x {{ 1 // 0 }}", "ZeroDivisionError"),
        ("{{ payload.who.__class__ }}", "unsafe"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("x{{ payload.update({'who': 1}) }}", "cannot be filled in"),
        ("{% for i in range(1000000) %}x{% endfor %}", "OverflowError"),
        ("{% for i in range(9000) %}{{ 'x' * 1000 }}{% endfor %}", str(MAX_CHARACTERS)),
        (["y" * 60_000, "{{ 'x' * 1000000 }}", "z" * 60_000, "{{ 'x' * 60000 }}"], "of '[3]'"),
        (["{{ 'x' * 1000000 }}", {"a": "b{{ 'x' * 1000000 }}"}], str(MAX_CHARACTERS)),
        ("{{ 'x' * 10 ** 12 }}", str(MAX_CHARACTERS)),
        ("{{ 10 ** 12 * [1] }}", str(MAX_CHARACTERS)),
        ("{{ 10 ** (10 ** 10) }}", str(MAX_CHARACTERS)),
        ("{{ [[payload.who] * 1000] * 1000 }}", str(MAX_CHARACTERS)),
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
    assert hash(PayloadTemplate.of({"a": "b"})) == hash(PayloadTemplate.of({"a": "b"}))
    assert PayloadTemplate.of({"a": True}) != PayloadTemplate.of({"a": 1})


def test_a_template_does_not_show_its_source() -> None:
    shown = f"{PayloadTemplate.of({'token': 'hush'})!r} {TextTemplate.of('hush')!r}"
    assert "hush" not in shown


def test_templates_see_the_members_of_an_action() -> None:
    assert frozenset(ACTION.as_json()) == NAMES
    for name, value in ACTION.as_json().items():
        assert PayloadTemplate.of(f"{{{{ {name} }}}}").render(ACTION) == value


@given(st.sampled_from("{}%#-+ abc.'[]()|~\n\\") | st.text())
@example("{{")
def test_a_text_is_a_template_or_is_refused(text: str) -> None:
    source = "{{ payload.who" + text
    try:
        template = PayloadTemplate.of([text, source])
    except ValueError:
        return
    with suppress(ProviderSerializationError):
        encode_json(template.render(ACTION))


def test_providers_can_be_imported_without_jinja() -> None:
    look = "import sys, acteon.provider; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], check=False).returncode == 0
