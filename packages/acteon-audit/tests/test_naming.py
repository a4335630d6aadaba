"""Members of payloads, found by names and paths as redaction finds them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.audit import Redaction, atoms
from acteon.audit.naming import named_values
from acteon.core import MAX_DEPTH

CASES: dict[str, tuple[list[str], object, list[object]]] = {
    "at any depth": (["p"], {"a": [{"p": 1}], "p": 2}, [2, 1]),
    "in any case": (["p"], {"P": 1}, [1]),
    "a path from the root": (["a.b"], {"a": {"b": 1}, "x": {"a": {"b": 2}}}, [1]),
    "a path through lists": (["a.b"], [{"a": [[{"b": 1}], {"b": 2}]}], [2, 1]),
    "one within another": (["p"], {"p": {"p": 1}}, [{"p": 1}, 1]),
    "a list as it is": (["p"], {"p": [1, 2]}, [[1, 2]]),
    "no part of a name": (["p"], {"pp": 1}, []),
    "a key that is a number": (["1"], {1: 2}, [2]),
    "a text": (["p"], "p", []),
    "what JSON has no form for": (["p"], {"a": object(), "p": 1}, [1]),
}


@pytest.mark.parametrize(("names", "payload", "found"), CASES.values(), ids=CASES)
def test_named_values_are_found(names: list[str], payload: object, found: list[object]) -> None:
    assert sorted(map(repr, named_values(payload, names))) == sorted(map(repr, found))


_KEYS = st.sampled_from(["a", "b", "A", "c"])
_PAYLOADS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=10,
)
_NAMES = st.frozensets(st.sampled_from(["a", "b", "a.b", "b.c", "a.a.b"]), max_size=3)


@given(_PAYLOADS, _NAMES)
def test_what_is_found_is_what_a_redaction_replaces(payload: object, names: frozenset[str]) -> None:
    found = list(named_values(payload, names))

    assert bool(found) == (Redaction(names).apply(payload) is not payload)


def test_what_holds_itself_ends() -> None:
    twice: list[Any] = []
    twice += [twice, twice, {"p": 1}]

    assert list(named_values(twice, ["p"])) == [1]
    assert list(atoms(twice)) == [1]


def test_what_is_too_deep_is_not_looked_at() -> None:
    deep: Any = {"p": 1}
    for _ in range(MAX_DEPTH + 1):
        deep = [deep]

    assert list(named_values(deep, ["p"])) == []
    assert list(named_values(deep[0], ["p"])) == [1]


def test_atoms_are_all_that_has_nothing_in_it() -> None:
    assert sorted(map(str, atoms({"a": [1, ("x", None)], "b": {"c": True}}))) == [
        "1",
        "None",
        "True",
        "x",
    ]
