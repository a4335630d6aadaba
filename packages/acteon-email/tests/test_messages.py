"""How messages are put together, and what is refused before there is a connection."""

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from acteon.core import Action
from acteon.email.addresses import parse_mailbox
from acteon.email.message import Composer, Message
from acteon.provider import ExecutionFailedError, ProviderError, ProviderSerializationError

Mail = Callable[..., Action]

NOW = datetime(2025, 1, 31, 12, 30, tzinfo=UTC)
COMPOSER = Composer(
    sender=parse_mailbox("Shop <shop@example.com>"),
    allowed_senders=frozenset({"sales@example.com", "@other.example"}),
    max_recipients=3,
    max_bytes=5000,
)
PDF = {"filename": "a.pdf", "content_type": "application/pdf", "data_base64": "cGRm"}
LOGO = {
    "filename": "logo.png",
    "content_type": "image/png",
    "data_base64": "cG5n",
    "content_id": "logo",
}


def composed(action: Action) -> Message:
    return COMPOSER.compose(action, NOW)


def read(action: Action) -> EmailMessage:
    found = message_from_bytes(composed(action).content, policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


def tree(part: Any) -> Any:
    if not part.is_multipart():
        return part.get_content_type()
    return {part.get_content_type(): [tree(each) for each in part.iter_parts()]}


def refused(action: Action) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        composed(action)
    return caught.value


def test_the_header_says_everything(mail: Mail) -> None:
    content = composed(
        mail(
            to="ann@example.com, Bob <bob@example.com>",
            cc="Jürgen <j@example.com>",
            reply_to="help@example.com",
            headers={"In-Reply-To": "<1@example.com>", "Auto-Submitted": "auto-generated"},
        )
    ).content
    assert content.decode().split("\r\n") == [
        "From: Shop <shop@example.com>",
        "To: ann@example.com, Bob <bob@example.com>",
        "Subject: Hello",
        "Reply-To: help@example.com",
        "Cc: =?utf-8?b?SsO8cmdlbg==?= <j@example.com>",
        "Date: Fri, 31 Jan 2025 12:30:00 +0000",
        # SHA-256 of ["shop","tenant-1","action-1"]
        "Message-ID: "
        "<66ab25d17b3e0b4409f6dcc79201d23b39e54e9b826c86cbdc162e3bc56b3a84@example.com>",
        "X-Acteon-Action-Id: action-1",
        "In-Reply-To: <1@example.com>",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: 7bit",
        "",
        "Hello Ann.",
        "",
    ]


@pytest.mark.parametrize(
    ("payload", "parts"),
    [
        ({"body": None}, "text/plain"),
        ({"body": "x"}, "text/plain"),
        ({"body": None, "html_body": "<p>"}, "text/html"),
        ({"html_body": "<p>"}, {"multipart/alternative": ["text/plain", "text/html"]}),
        ({"attachments": [PDF]}, {"multipart/mixed": ["text/plain", "application/pdf"]}),
        ({"attachments": [LOGO]}, {"multipart/mixed": ["text/plain", "image/png"]}),
        (
            {"html_body": "<img src='cid:logo'>", "attachments": [PDF, LOGO]},
            {
                "multipart/mixed": [
                    {
                        "multipart/alternative": [
                            "text/plain",
                            {"multipart/related": ["text/html", "image/png"]},
                        ]
                    },
                    "application/pdf",
                ]
            },
        ),
    ],
)
def test_parts_are_nested_as_receivers_expect(mail: Mail, payload: Any, parts: Any) -> None:
    assert tree(read(mail(**payload))) == parts


def test_an_image_of_the_html_is_named_and_inline(mail: Mail) -> None:
    for content_id in ("logo", "<logo>"):
        message = read(
            mail(body=None, html_body="<p>", attachments=[LOGO | {"content_id": content_id}])
        )
        (_, image) = message.iter_parts()
        assert image["Content-ID"] == "<logo>"
        assert image["Content-Disposition"].content_disposition == "inline"
        assert image.get_filename() == "logo.png"


@pytest.mark.parametrize(
    ("given_type", "found"),
    [
        (None, "application/octet-stream"),
        ("", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("multipart/mixed; boundary=x", "application/octet-stream"),
        ("message/rfc822", "application/octet-stream"),
        ("Text/CSV; charset=iso-8859-1", "text/csv"),
        ("image/svg+xml", "image/svg+xml"),
    ],
)
def test_content_types(mail: Mail, given_type: str | None, found: str) -> None:
    (part,) = read(mail(attachments=[PDF | {"content_type": given_type}])).iter_attachments()
    assert part.get_content_type() == found
    assert part.get_payload(decode=True) == b"pdf"
    assert part.get_content_charset() == ("iso-8859-1" if found == "text/csv" else None)


def test_a_recipient_who_is_named_twice_is_one(mail: Mail) -> None:
    message = composed(mail(to="a@x.com, A <a@X.com>", cc="a@x.com", bcc=["b@x.com", "A@x.com"]))
    assert [each.address for each in message.recipients] == ["a@x.com", "b@x.com", "A@x.com"]


def test_the_sender_may_be_one_of_those_who_are_allowed(mail: Mail) -> None:
    for text in (
        "sales@EXAMPLE.com",
        "Anybody <any@other.example>",
        "Other name <shop@example.com>",
    ):
        assert composed(mail(**{"from": text})).sender == parse_mailbox(text)
    error = refused(mail(**{"from": "boss@example.com"}))
    assert type(error) is ExecutionFailedError
    assert str(error) == (
        "execution failed: invalid from address: boss@example.com is not among allowed_senders"
    )


def test_an_id_may_be_any_text(mail: Mail) -> None:
    action = evolve(mail(), id="a b\r\nBcc: eve@example.com\0%é" + "x" * 2000)
    header = read(action)["X-Acteon-Action-Id"]
    assert header == "a%20b%0D%0ABcc:%20eve@example.com%00%25%C3%A9" + "x" * 2000
    assert "Bcc" not in read(action)


@pytest.mark.parametrize("bad", ["\r\nBcc: eve@example.com", "\n", "\r", "\0", "\u2028", "\x85"])
@pytest.mark.parametrize(
    "place", ["subject", "to", "cc", "bcc", "reply_to", "from", "header", "filename", "content_id"]
)
def test_nothing_gets_into_the_header_by_the_back_door(mail: Mail, bad: str, place: str) -> None:
    for text in (f"eve@example.com{bad}", f"Eve{bad} <eve@example.com>", f"{bad}eve@example.com"):
        payload: dict[str, Any] = {place: text}
        if place == "header":
            payload = {"headers": {"X-Test": text}}
        elif place in {"filename", "content_id"}:
            payload = {"attachments": [PDF | {place: text}]}
        assert refused(mail(**payload)).delivery == "none"


@pytest.mark.parametrize(
    "name",
    [
        *("Bcc", "to", "FROM", "Sender", "Content-Type", "Resent-To", "Message-ID", "Received"),
        *("DKIM-Signature", "X-Acteon-Action-Id", "a b", "a:b", "", "é", "X\r\nBcc", "x" * 77),
    ],
)
def test_headers_that_are_not_the_callers_are_refused(mail: Mail, name: str) -> None:
    assert type(refused(mail(headers={name: "x"}))) is ProviderSerializationError


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ({"to": None}, "payload: 'to' is missing"),
        ({"subject": None}, "payload: 'subject' is missing"),
        ({"to": 5}, "payload: 'to' must be a text or a list of texts"),
        ({"cc": ["a@b", 5]}, "payload: 'cc' must be a text or a list of texts"),
        ({"subject": 5}, "payload: 'subject' must be a text"),
        ({"body": ["x"]}, "payload: 'body' must be a text"),
        ({"body": "\ud800"}, "payload: 'body' is no Unicode: it holds half a surrogate pair"),
        (
            {"subject": "a\nb"},
            "payload: 'subject' must not hold line breaks or control characters",
        ),
        ({"headers": ["x"]}, "payload: 'headers' must be an object of texts"),
        ({"headers": {"X-A": 1}}, "payload: 'headers': 'X-A' must be a text"),
        ({"headers": {"X-A": None}}, "payload: 'headers': 'X-A' must be a text"),
        ({"headers": {"X-A": "1", "x-a": "2"}}, "payload: 'headers' sets 'x-a' twice"),
        ({"headers": {"Bcc": "1"}}, "payload: 'headers' must not set 'Bcc'"),
        ({"attachments": {}}, "payload: 'attachments' must be a list of objects"),
        ({"attachments": ["x"]}, "payload: attachments[0] must be an object"),
        ({"attachments": [PDF, {}]}, "payload: attachments[1]: 'data_base64' is missing"),
        ({"attachments": [{"data_base64": ""}]}, "payload: attachments[0]: 'filename' is missing"),
        (
            {"attachments": [PDF | {"filename": "../x"}]},
            "payload: attachments[0]: 'filename' must be the name of a file",
        ),
        (
            {"attachments": [PDF | {"data_base64": "a-_b"}]},
            "payload: attachments[0]: 'data_base64' is no Base64",
        ),
        (
            {"attachments": [PDF | {"data_base64": "YQ"}]},
            "payload: attachments[0]: 'data_base64' is no Base64",
        ),
        (
            {"attachments": [PDF | {"content_id": "a b"}]},
            "payload: attachments[0]: 'content_id' must be 1 to 200 printable ASCII ones",
        ),
        (
            {"attachments": [PDF, PDF | {"data_base64": "A" * 5000}]},
            "payload: attachments[1]: the message gets longer than max_message_bytes = 5000",
        ),
        ({"bcc": ["a@b", "c@d", "e@f"]}, "4 recipients are more than max_recipients = 3"),
    ],
)
def test_a_payload_of_the_wrong_shape_is_told(mail: Mail, payload: Any, text: str) -> None:
    error = refused(mail(**payload))
    assert type(error) is ProviderSerializationError
    assert str(error) == f"serialization error: {text}"


@pytest.mark.parametrize("payload", [None, 5, "to", ["to"]])
def test_a_payload_must_be_an_object(mail: Mail, payload: Any) -> None:
    error = refused(evolve(mail(), payload=payload))
    assert str(error) == "serialization error: the payload must be an object"


def test_a_message_that_is_too_long_is_told(mail: Mail) -> None:
    error = refused(mail(body="x" * 6000))
    assert type(error) is ProviderSerializationError
    assert "more than max_message_bytes = 5000" in str(error)


@pytest.mark.parametrize(
    ("key", "what"),
    [("to", "recipient"), ("reply_to", "reply-to"), ("cc", "CC"), ("bcc", "BCC"), ("from", "from")],
)
def test_a_bad_address_is_told(mail: Mail, key: str, what: str) -> None:
    error = refused(mail(**{key: "no address"}))
    assert type(error) is ExecutionFailedError
    assert str(error) == f"execution failed: invalid {what} address: 'no address' is none"


def test_the_first_that_is_wrong_is_told(mail: Mail) -> None:
    payload: dict[str, Any] = {
        "subject": 5,
        "from": "boss",
        "to": "to",
        "reply_to": "reply",
        "cc": "cc",
        "bcc": "bcc",
    }
    told: list[str] = []
    for key in ("subject", "from", "to", "reply_to", "cc", "bcc"):
        told.append(str(refused(mail(**payload))).split(": ")[1])
        payload[key] = {"subject": "x", "from": None, "to": "a@b"}.get(key)
    assert told == [
        "payload",
        "invalid from address",
        "invalid recipient address",
        "invalid reply-to address",
        "invalid CC address",
        "invalid BCC address",
    ]


@pytest.mark.parametrize("empty", ["", " ", [], ["a@b", ""]])
def test_a_mail_to_nobody_is_refused(mail: Mail, empty: Any) -> None:
    assert type(refused(mail(to=empty))) is ExecutionFailedError


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(
    payload=st.fixed_dictionaries(
        {"to": st.just("a@b") | json_values, "subject": st.just("x") | json_values},
        optional=dict.fromkeys(
            ("body", "html_body", "cc", "bcc", "reply_to", "from", "headers"), json_values
        )
        | {
            "attachments": st.lists(
                st.fixed_dictionaries(
                    {}, optional=dict.fromkeys(PDF | LOGO, json_values | st.just("YQ=="))
                ),
                max_size=2,
            )
        },
    )
)
def test_every_payload_is_a_message_or_an_error_of_ours(payload: Any) -> None:
    action = Action(namespace="n", tenant="t", provider="p", action_type="a", payload=payload)
    try:
        message = composed(action)
    except (ExecutionFailedError, ProviderSerializationError):
        return
    assert message.content.endswith(b"\r\n")


def test_a_large_attachment_comes_whole(mail: Mail) -> None:
    data = bytes(range(256)) * 4000
    large = evolve(COMPOSER, max_bytes=10_000_000)
    encoded = base64.encodebytes(data).decode()  # in lines, as some callers have it
    content = large.compose(mail(attachments=[PDF | {"data_base64": encoded}]), NOW).content
    found = message_from_bytes(content, policy=SMTP)
    assert isinstance(found, EmailMessage)
    (part,) = found.iter_attachments()
    assert part.get_payload(decode=True) == data
