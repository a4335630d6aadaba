import json
from collections import OrderedDict
from copy import deepcopy
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import Redaction
from acteon.core import MAX_DEPTH

X = "[REDACTED]"
CASES: dict[str, tuple[list[str], object, object]] = {
    "a name at the root": (["password"], {"password": "p", "a": 1}, {"password": X, "a": 1}),
    "a name at any depth": (["p"], {"a": [{"b": {"p": 1}}]}, {"a": [{"b": {"p": X}}]}),
    "a value of any kind": (
        ["o", "l", "n"],
        {"o": {"o": 1}, "l": [1], "n": None},
        {"o": X, "l": X, "n": X},
    ),
    "any case of the key": (["password"], {"PassWord": 1}, {"PassWord": X}),
    "any case of the field": (["PASSWORD"], {"password": 1}, {"password": X}),
    "letters beyond ASCII": (["ÄRGER"], {"Ärger": 1}, {"Ärger": X}),
    "no part of a name": (["pass"], {"password": 1, "bypass": 1}, {"password": 1, "bypass": 1}),
    "no blanks cut off": ([" p"], {"p": 1, " p": 2}, {"p": 1, " p": X}),
    "a path from the root": (["a.b"], {"a": {"b": 1, "c": 2}}, {"a": {"b": X, "c": 2}}),
    "no path from elsewhere": (["a.b"], {"x": {"a": {"b": 1}}}, {"x": {"a": {"b": 1}}}),
    "a path through lists": (["a.b"], {"a": [[{"b": 1}], {"b": 2}]}, {"a": [[{"b": X}], {"b": X}]}),
    "a path from a list": (["a.b"], [{"a": {"b": 1}}], [{"a": {"b": X}}]),
    "a path in any case": (["A.b"], {"a": {"B": 1}}, {"a": {"B": X}}),
    "a key with a dot": (["a.b"], {"x": {"a.b": 1}}, {"x": {"a.b": X}}),
    "a path over a key with a dot": (["a.b.c"], {"a.b": {"c": 1}}, {"a.b": {"c": X}}),
    "a path over an empty key": ([".b"], {"": {"b": 1}, "b": 2}, {"": {"b": X}, "b": 2}),
    "the outer of two": (["a", "b"], {"a": {"b": 1}}, {"a": X}),
    "a text is no object": (["password"], "password", "password"),
    "null": (["password"], None, None),
    "no fields": ([], {"a": 1}, {"a": 1}),
    "a tuple": (["p"], ({"p": 1},), [{"p": X}]),
    "a kind of dict": (["p"], {"a": OrderedDict(p=1)}, {"a": {"p": X}}),
    "a key that is a number": (["1"], {1: 2, 3: 4}, {1: X, 3: 4}),
}


@pytest.mark.parametrize(("fields", "payload", "expected"), CASES.values(), ids=CASES)
def test_named_values_are_replaced(fields: list[str], payload: object, expected: object) -> None:
    before = deepcopy(payload)

    assert Redaction(fields).apply(payload) == expected
    assert payload == before


def test_the_placeholder_is_what_was_asked_for() -> None:
    assert Redaction(["a"], placeholder="***").apply({"a": 1}) == {"a": "***"}


def test_a_payload_without_named_values_is_given_back_itself() -> None:
    payload = {"a": [{"b": 1}, (2,)]}

    assert Redaction(["c", "a.c"]).apply(payload) is payload


def nested(levels: int) -> Any:
    payload: Any = {"p": 1}
    for _ in range(levels - 1):
        payload = [payload]
    return payload


def test_what_is_nested_deeper_than_the_wire_allows_is_replaced() -> None:
    redacted = Redaction(["p"]).apply(nested(MAX_DEPTH))
    for _ in range(MAX_DEPTH - 1):
        redacted = redacted[0]
    assert redacted == {"p": X}

    redacted = Redaction(["q"]).apply(nested(100_000))
    for _ in range(MAX_DEPTH):
        redacted = redacted[0]
    assert redacted == X


def test_what_holds_itself_is_replaced_there() -> None:
    payload: dict[str, Any] = {"p": 1, "q": 2}
    payload.update(one=payload, two=[payload, payload], three={"four": payload})
    wanted = {"p": X, "q": 2, "one": X, "two": [X, X], "three": {"four": X}}

    assert Redaction(["p"]).apply(payload) == wanted
    assert Redaction(["p", "a.b"]).apply(payload) == wanted


def test_what_is_held_twice_is_kept_twice() -> None:
    shared = {"p": 1, "q": 2}

    assert Redaction(["p"]).apply([shared, shared]) == [{"p": X, "q": 2}, {"p": X, "q": 2}]


class Field(Enum):
    SECRET = "secret"


class Login(msgspec.Struct):
    user: str
    secret: str


def test_what_is_no_plain_json_hides_nothing() -> None:
    redaction = Redaction(["secret"])

    assert redaction.apply({Field.SECRET: 1}) == {Field.SECRET: X}
    assert redaction.apply([Login("ann", "s")]) == [{"user": "ann", "secret": X}]
    assert redaction.apply([msgspec.Raw(b'{"secret":1}')]) == [X]
    assert redaction.apply(object()) == X


NAMES = st.sampled_from(["a", "B", "p", "P", "a.p", "q", ""])
SECRET = "the secret itself"
PAYLOADS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.lists(st.sampled_from(["p", "A.p", "b.q", "a", "a.b.p"]), max_size=3)


@given(PAYLOADS, FIELDS)
def test_redacting_twice_is_redacting_once(payload: object, fields: list[str]) -> None:
    once = Redaction(fields).apply(payload)

    assert Redaction(fields).apply(once) == once


@given(PAYLOADS, FIELDS)
def test_it_equals_the_plain_definition(payload: object, fields: list[str]) -> None:
    before = deepcopy(payload)
    wanted = plainly(payload, {name.lower() for name in fields}, ())

    assert Redaction(fields).apply(payload) == wanted
    assert payload == before


def plainly(value: Any, fields: set[str], path: tuple[str, ...]) -> Any:
    if isinstance(value, list):
        return [plainly(item, fields, path) for item in value]  # pyright: ignore[reportUnknownVariableType] - JSON
    if not isinstance(value, dict):
        return value
    redacted: dict[str, Any] = {}
    for key, item in value.items():  # pyright: ignore[reportUnknownVariableType] - JSON
        here = (*path, str(key).lower())  # pyright: ignore[reportUnknownArgumentType]
        hit = here[-1] in fields or ".".join(here) in fields
        redacted[key] = X if hit else plainly(item, fields, here)
    return redacted


@given(PAYLOADS.map(lambda payload: {"x": payload, "p": SECRET, "list": [{"P": [SECRET]}]}))
def test_no_named_value_survives(payload: object) -> None:
    assert SECRET not in json.dumps(Redaction(["p"]).apply(payload))
