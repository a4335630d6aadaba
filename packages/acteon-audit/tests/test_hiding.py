"""Texts that others wrote, without the values that a redaction blots out."""

from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from acteon.audit import Redaction
from acteon.audit.hiding import hiding

X = "[REDACTED]"
REDACTION = Redaction(["secret", "card.number"], texts=True)


def hidden(text: str, payload: object, redaction: Redaction = REDACTION) -> str:
    return hiding(redaction, [payload], {"Secret": "label-value"})(text)


@pytest.mark.parametrize(
    ("payload", "text", "told"),
    [
        ({"secret": "hunter22"}, "no user hunter22 here", f"no user {X} here"),
        ({"secret": "hunter22"}, "hunter22:hunter22", f"{X}:{X}"),
        ({"a": [{"SECRET": {"b": ["hunter22"]}}]}, "hunter22", X),
        ({"card": {"number": 4111111111111111}}, "no 4111111111111111", f"no {X}"),
        ({"secret": ["abcd", "abcdefgh"]}, "abcdefgh abcd", f"{X} {X}"),
        ({"secret": "abc"}, "abc", "abc"),
        ({"secret": None}, "None null", "None null"),
        ({"secret": True}, "True true", "True true"),
        ({"other": "hunter22"}, "hunter22", "hunter22"),
        ({"secret": "label"}, "label-value", f"{X}-value"),
        ({"secret": "\ud800 odd"}, "'\\ud800 odd'", f"'{X}'"),
    ],
)
def test_redacted_values_are_not_told(payload: object, text: str, told: str) -> None:
    assert hidden(text, payload) == told


def test_labels_are_looked_at_where_they_are_redacted() -> None:
    redaction = Redaction(["secret"], metadata=True, texts=True, placeholder="*")

    assert hidden("label-value", {}, redaction) == "*"


@given(st.text(min_size=4, max_size=20), st.text("xyz ", max_size=5), st.text("xyz ", max_size=5))
def test_however_it_is_quoted_it_is_not_told(secret: str, before: str, after: str) -> None:
    assume(secret not in X)
    for written in (
        secret,
        repr(secret)[1:-1],
        msgspec.json.encode(secret)[1:-1].decode(),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    ):
        told = hidden(f"{before}|{written}|{after}", {"secret": secret})
        assert X in told
        assert secret not in told.replace(X, "")
