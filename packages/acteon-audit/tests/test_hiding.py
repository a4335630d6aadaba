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


@pytest.mark.parametrize(
    ("secret", "text", "told"),
    [
        ("pä/ss w&rd", "body p\\u00e4/ss w&rd", f"body {X}"),
        ("pä/ss w&rd", "body p\\u00E4\\/ss w&rd!", f"body {X}!"),
        ("pass-word", "\\u0070\\u0061\\u0073\\u0073-word", X),
        ("pä/ss w&rd", "?p=p%c3%a4%2fss+w%26rd&x=1", f"?p={X}&x=1"),
        ("pä/ss w&rd", "?p=p%C3%A4%2Fss%20w%26rd", f"?p={X}"),
        ("pä/ss w&rd", "<b>p&auml;/ss w&amp;rd</b>", f"<b>{X}</b>"),
        ("pä/ss w&rd", "p&#228;&#x2f;ss w&#38;rd", X),
        ('it\'s "mine"', "it&#39;s &quot;mine&quot;", X),
        ('it\'s "mine"', "said {'x': 'it\\'s \"mine\"'}", f"said {{'x': '{X}'}}"),
        ("a 😀 key", "\\ud83d a \\ud83d\\ude00 key", f"\\ud83d {X}"),
        (
            "twice/over",
            '{"m": "{\\"p\\": \\"twice%252Fover\\"}"}',
            f'{{"m": "{{\\"p\\": \\"{X}\\"}}"}}',
        ),
        ("line\nend", "told: line end", f"told: {X}"),
        ("pass-word", "Authorization: Basic dXNlcjpwYXNzLXdvcmQ=", f"Authorization: Basic {X}"),
        ("pass-word", "token=cGFzcy13b3Jk;", f"token={X};"),
        ("pä-swörd?>", "key cMOkLXN3w7ZyZD8-", f"key {X}"),
        ("correct-horse-battery", "the value 'correct-hor' is none", f"the value '{X}' is none"),
        ("correct-horse-battery", "cannot convert 'correct-horse…'", f"cannot convert '{X}…'"),
        ("correct-horse-battery", "no user correct-ho", f"no user {X}"),
        ("correct-horse-battery", "it is correct, is it", "it is correct, is it"),
        ("correct-horse-battery", "&nosuch; %zz \\q \\", "&nosuch; %zz \\q \\"),
    ],
)
def test_whatever_wrote_it_it_is_not_told(secret: str, text: str, told: str) -> None:
    assert hidden(text, {"secret": secret}) == told


@given(st.text(max_size=300))
def test_other_texts_stay_as_they_are(text: str) -> None:
    secret = "no text has \U0001f511 this in it"
    assume(not any(text.endswith(secret[:size]) for size in range(4, len(secret))))
    assume(not any(f"{secret[:4]}" in text for _ in "x"))
    assert hidden(text, {"secret": secret}) == text
