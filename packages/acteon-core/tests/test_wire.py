import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import (
    Action,
    InvalidError,
    MalformedError,
    Reader,
    decode_json,
    encode_json,
    read_action,
    read_actions,
)

MINIMAL = {
    "namespace": "notifications",
    "tenant": "tenant-1",
    "provider": "email",
    "action_type": "send_email",
    "payload": None,
}
FULL = MINIMAL | {
    "id": "a-1",
    "payload": {"to": "u@example.com"},
    "metadata": {"team": "infra"},
    "dedup_key": "k",
    "created_at": "2026-03-01T08:00:00.125Z",
}

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)


def text(**changes: object) -> bytes:
    return json.dumps(FULL | changes).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in FULL.items() if key != name}).encode()


def test_an_action_comes_back_as_it_was_sent() -> None:
    assert read_action(text()).as_json() == FULL


def test_what_may_be_left_out_has_a_default() -> None:
    action = read_action(json.dumps(MINIMAL).encode())

    assert (action.metadata, action.dedup_key) == ({}, None)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-.{12}", action.id)
    assert action.created_text.endswith("Z")


def test_each_action_has_an_id_of_its_own() -> None:
    body = json.dumps([MINIMAL] * 50).encode()

    assert len({action.id for action in read_actions(body)}) == 50


def test_created_at_is_kept_as_it_came_and_shown_in_utc() -> None:
    action = read_action(text(created_at="2025-01-01 02:00:60+02:00"))

    assert action.created_at == "2025-01-01 02:00:60+02:00"
    assert action.created_text == "2025-01-01T00:00:60Z"


@pytest.mark.parametrize("name", ["namespace", "tenant", "provider", "action_type", "payload"])
def test_a_missing_field_is_named(name: str) -> None:
    with pytest.raises(InvalidError, match=f"`{name}`"):
        read_action(without(name))


@pytest.mark.parametrize(
    "body",
    [
        text(metadata=None),
        text(metadata={"k": 1}),
        text(metadata={"labels": {"a": "b"}}),
        text(tenant=5),
        text(id=None),
        text(created_at="2025-01-01"),
        text(created_at="2025-02-30T00:00:00Z"),
        text(created_at=1735689600),
        text(dedup_key=False),
        b"[]",
        b"null",
        b'"x"',
        b'{"id":5,',
        text().replace(b'{"namespace"', b'{"id": "b", "namespace"'),
        text().replace(b'{"namespace"', b'{"\\u0069d": "b", "namespace"'),
    ],
)
def test_json_of_another_shape_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidError):
        read_action(body)


@pytest.mark.parametrize(
    "payload",
    [
        b"NaN",
        b"Infinity",
        b"1e400",
        b"1" * 5000,
        b'"\\ud800"',
        b'"\xff"',
        b'"\x01"',
        b"[1,]",
        b"// x",
        b"[" * 200 + b"]" * 200,
        b'{"a":' * 2000 + b"1" + b"}" * 2000,
        b"[" * 100_000,
    ],
)
@pytest.mark.parametrize("member", ["payload", "unknown"])
def test_what_is_no_json_is_malformed(payload: bytes, member: str) -> None:
    body = b'{"%s": %s, %s' % (member.encode(), payload, without("payload")[1:])
    if member == "unknown" and payload in (b"1e400", b"1" * 5000, b'"\\ud800"'):
        return  # What is skipped is not decoded.

    with pytest.raises(MalformedError):
        read_action(body)


@pytest.mark.parametrize("body", [b"", b"{", text() + b" x", b"\xef\xbb\xbf" + text()])
def test_what_ends_early_or_late_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedError):
        read_action(body)


@pytest.mark.parametrize("rest", [b'"' + b'\\"' * 500_000, b'"' * 100_001, b'"\\'])
def test_a_string_without_an_end_is_refused_at_once(rest: bytes) -> None:
    with pytest.raises(MalformedError):
        read_action(b"[" * 128 + rest)


def test_a_long_number_beside_a_repeated_name_is_no_obstacle() -> None:
    body = text(payload={"id": 1}).replace(
        b'{"namespace"', b'{"skipped": %s, "namespace"' % (b"1" * 5000)
    )

    assert read_action(body).payload == {"id": 1}


def test_brackets_in_texts_do_not_nest() -> None:
    assert read_action(text(payload="[{" * 500)).payload == "[{" * 500
    assert read_action(text(payload='\\"[' * 500)).payload == '\\"[' * 500


def test_many_brackets_side_by_side_do_not_nest() -> None:
    assert len(read_action(text(payload=[[1]] * 1000)).payload) == 1000


def test_the_depth_limit_counts_from_the_outermost_bracket() -> None:
    assert decode_json(b"[" * 127 + b"]" * 127)
    with pytest.raises(MalformedError, match="127 levels"):
        decode_json(b"[" * 128 + b"]" * 128)


def test_a_name_of_a_field_may_stand_elsewhere_any_number_of_times() -> None:
    payload = {"id": "x", "payload": {"id": "y", "tenant": ["id", "id"]}}

    assert read_action(text(payload=payload)).payload == payload


def test_a_field_given_twice_in_any_action_of_a_list_refuses_the_list() -> None:
    twice = text().replace(b'{"namespace"', b'{"tenant": "b", "namespace"')

    with pytest.raises(InvalidError, match="duplicate field `tenant`"):
        read_actions(b"[%s, %s]" % (text(), twice))


def test_of_equal_keys_inside_the_payload_the_last_counts() -> None:
    assert read_action(text().replace(b'{"to"', b'{"to": 1, "to"')).payload == FULL["payload"]


@given(json_values)
def test_any_payload_survives(value: object) -> None:
    try:
        body = encode_json(FULL | {"payload": value})
    except InvalidError:
        return
    assert read_action(body).payload == value


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    try:
        read_action(body)
    except (MalformedError, InvalidError):
        return


def test_keys_come_out_sorted_compact_and_raw() -> None:
    assert (
        encode_json({"b": 1, "a": "é", "c": [1.5, None]})
        == '{"a":"é","b":1,"c":[1.5,null]}'.encode()
    )


@pytest.mark.parametrize("value", [{1, 2}.__iter__(), object(), "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(InvalidError):
        encode_json(value)


def test_a_reader_without_fields_lets_keys_repeat() -> None:
    assert Reader(dict[str, int], ()).read(b'{"a":1,"a":2}') == {"a": 2}


def test_an_action_made_in_code_is_checked_as_well() -> None:
    with pytest.raises(ValueError, match="created_at"):
        Action(**(MINIMAL | {"created_at": "yesterday"}))  # type: ignore[arg-type]
