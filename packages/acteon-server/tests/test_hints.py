import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import InvalidError, MalformedError, WireError, read_action, read_actions
from acteon.server.http.hints import BATCH, ONE, on_no_json, on_shape

READERS = {ONE: read_action, BATCH: read_actions}
NAMES = st.sampled_from(
    ["id", "tenant", "tenat", "Name-Space", "namespace", "payload", "actionType", "\udc80", ""]
)
LONG = "a number of 6,000 digits"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.just(LONG) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=12,
)


def hint_for(path: str, body: bytes) -> str | None:
    """Return the hint at what is wrong with `body`; None if nothing is."""
    try:
        READERS[path](body)
    except MalformedError as error:
        return on_no_json(str(error), body)
    except InvalidError as error:
        return on_shape(str(error), body, path)
    return None


def written(value: Any) -> bytes:
    """Return `value` as JSON, with numbers that Python would not write."""
    return json.dumps(value).replace(json.dumps(LONG), "1" * 6000).encode()


@given(st.sampled_from([ONE, BATCH]), VALUES)
def test_whatever_is_sent_the_hint_is_one_line_that_can_be_sent_back(path: str, value: Any) -> None:
    hint = hint_for(path, written(value))
    if hint is not None:
        assert "\n" not in hint
        hint.encode()


@given(st.sampled_from([ONE, BATCH]), st.binary(max_size=60))
def test_what_is_no_json_gets_its_hint_as_well(path: str, body: bytes) -> None:
    hint = hint_for(path, body)
    assert hint is None or "\n" not in hint


def test_numbers_beyond_what_python_reads_do_not_hide_the_hint() -> None:
    body = b'{"x": ' + b"1" * 5000 + b', "tenat": "t1", "namespace": "n"}'
    with pytest.raises(WireError):
        read_action(body)
    assert hint_for(ONE, body) == "; rename 'tenat'"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (ONE, b'{"namespace": "x"} garbage'),
        (ONE, b'{"namespace": "x"}\x00'),
        (BATCH, b'[{"namespace": "x"}, garbage'),
        (BATCH, b'[{"namespace": "x"}'),
    ],
)
def test_what_follows_in_a_body_that_is_refused_already_may_be_anything(
    path: str, body: bytes
) -> None:
    assert hint_for(path, body) is not None


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b'{"payload": NaN}', "; JSON has no NaN and no Infinity"),
        (b'{"payload": [1, -Infinity]}', "; JSON has no NaN and no Infinity"),
        (b'{"payload": "\\ud800"}', ""),
        (b'{"payload": 1', "; it ends before the last } or ]"),
    ],
)
def test_what_is_no_json_is_told_apart(body: bytes, hint: str) -> None:
    assert hint_for(ONE, body) == hint
