import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.rules import merge_patch
from acteon.rules.kinds import is_list, is_map

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("target", "changes", "expected"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_the_examples_of_the_rfc(target: Any, changes: Any, expected: Any) -> None:
    assert merge_patch(target, changes) == expected


@given(JSON, JSON)
def test_neither_side_changes_even_when_the_result_does(target: Any, changes: Any) -> None:
    patch = copy.deepcopy(changes)
    before = copy.deepcopy(target)
    merged = merge_patch(target, changes)
    assert target == before
    spoil(merged, changes)
    assert changes == patch


def spoil(merged: Any, changes: Any) -> None:
    """Alter all that `merged` got from `changes`."""
    if is_map(changes) and is_map(merged):
        for name, change in changes.items():
            if name in merged:
                spoil(merged[name], change)
        merged.clear()
    elif is_list(merged):
        merged.append("spoilt")
