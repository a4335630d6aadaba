"""What was put into a payload arrives: over a socket, and read with the standard library."""

import asyncio
import base64
import re
from email.message import EmailMessage
from typing import Any, cast

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from acteon.core import Action
from acteon.email import EmailConfig, EmailProvider
from acteon.email.testing import MailServer, Received

# Everything but controls and surrogates, and what looks like the protocol.
characters = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"))
texts = st.text(characters | st.sampled_from(" =?_.-"), max_size=200)
tricky = st.sampled_from(
    [
        "",
        ".",
        ".\n",
        "..",
        "\n.\n",
        "a\r\n.\r\nMAIL FROM:<x@y>\r\n",
        "\n..\n.x",
        "a\rb\nc\r\nd",
        "x" * 5000,
        ("x" * 5000 + "\n") * 3,
        "From here on",
        "trailing   \n blanks \t\n",
        "=?utf-8?q?no=20word?=",
        "\x00\x07\x1b",
        "日本語のテキスト" * 500,
        "=3D=20 soft=\n",
        "\N{FAMILY}\u200d\N{GIRL}",
    ]
)
bodies = st.none() | tricky | st.text(characters | st.sampled_from("\r\n\t\0"), max_size=300)
subjects = texts | st.sampled_from(
    [
        "=?utf-8?q?no=20word?=",
        "  two  blanks  ",
        "x" * 1000,
        "word " * 200,
        "日本語" * 60,
        "ends with blank ",
        "é" * 300,
    ]
)
atoms = st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}(\.[A-Za-z0-9-]{1,8})?", fullmatch=True)
unicode_atoms = st.sampled_from(["grüße", "用户", "δοκιμή", "почта.ящик"])
quoted = st.text('aZ0 ,@<>();:."\\', min_size=1, max_size=10).map(
    lambda text: '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'
)
domains = st.sampled_from(
    ["example.com", "a-b.example", "localhost", "xn--bcher-kva.example", "[192.0.2.1]", "x_y.test"]
)
names = st.just("") | texts.map(lambda text: text.replace('"', "'").replace("\\", "/"))


@st.composite
def mailboxes(draw: st.DrawFn) -> tuple[str, str, str]:
    """Draw a name, an address, and both as a payload has them."""
    name, local = draw(names).strip(), draw(atoms | quoted | unicode_atoms)
    address = f"{local}@{draw(domains)}"
    return name, address, f'"{name}" <{address}>' if name else address


files = st.fixed_dictionaries(
    {
        "filename": st.text(
            st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="/\\"),
            min_size=1,
            max_size=120,
        )
        .map(str.strip)
        .filter(bool),
        "content": st.binary(max_size=500) | st.just(b"\r\n.\r\n" * 50),
        "content_type": st.sampled_from(["text/csv", "image/png", "application/pdf", "no type"]),
    }
)
header_names = st.from_regex(r"X-[A-Za-z0-9-]{1,60}", fullmatch=True).filter(
    lambda name: name.lower() != "x-acteon-action-id"
)


async def delivered(payload: dict[str, Any]) -> tuple[Received, dict[str, Any]]:
    action = Action(
        namespace="n", tenant="t", provider="email", action_type="mail", payload=payload
    )
    async with MailServer() as server:
        config = EmailConfig(
            smtp_host="127.0.0.1",
            smtp_port=server.port,
            from_address="shop@example.com",
            tls=False,
        )
        async with EmailProvider(config) as provider:
            response = await provider.execute(action)
        (received,) = server.mails
        return received, response.body


def text_of(message: EmailMessage, kind: str) -> str | None:
    part = message.get_body((kind,))
    if part is None:
        return None
    content = cast("bytes", part.get_payload(decode=True)).decode(part.get_content_charset("ascii"))
    return content.replace("\r\n", "\n").removesuffix("\n")


def lines_of(text: str | None) -> str | None:
    return None if text is None else re.sub("\r\n?", "\n", text).removesuffix("\n")


@settings(deadline=None, max_examples=60, phases=[Phase.generate])
@given(
    subject=subjects,
    body=bodies,
    html=bodies,
    to=st.lists(mailboxes(), min_size=1, max_size=4),
    cc=st.lists(mailboxes(), max_size=2),
    attachments=st.lists(files, max_size=2),
    headers=st.dictionaries(header_names, texts, max_size=3),
)
def test_what_was_sent_arrives(
    subject: str,
    body: str | None,
    html: str | None,
    to: list[tuple[str, str, str]],
    cc: list[tuple[str, str, str]],
    attachments: list[dict[str, Any]],
    headers: dict[str, str],
) -> None:
    headers = {name.lower(): text for name, text in headers.items()}
    payload = {
        "to": [written for _, _, written in to],
        "cc": ", ".join(written for _, _, written in cc) or None,
        "subject": subject,
        "body": body,
        "html_body": html,
        "headers": headers,
        "attachments": [
            {
                "filename": file["filename"],
                "content_type": file["content_type"],
                "data_base64": base64.b64encode(file["content"]).decode(),
            }
            for file in attachments
        ],
    }
    received, told = asyncio.run(delivered(payload))
    message = received.message

    assert str(message["Subject"]) == subject
    assert text_of(message, "html") == lines_of(html)
    if body is not None or html is None:
        assert text_of(message, "plain") == lines_of(body or "")
    for key, people in (("To", to), ("Cc", cc)):
        found = message[key].addresses if people else ()
        assert [bare(each.addr_spec) for each in found] == [bare(each[1]) for each in people]
        # This reader keeps the blanks between the encoded words of a name, against RFC 2047, 6.2.
        assert ["".join(each.display_name.split()) for each in found] == [
            "".join(name.split()) for name, _, _ in people
        ]
    wanted = list(dict.fromkeys(plain(address) for _, address, _ in (*to, *cc)))
    assert told["accepted"] == wanted
    assert list(map(bare, received.recipients)) == list(map(bare, wanted))
    for name, text in headers.items():
        assert str(message[name]) == text
    found = [
        (part.get_filename(), part.get_payload(decode=True)) for part in message.iter_attachments()
    ]
    assert found == [(file["filename"], file["content"]) for file in attachments]
    assert received.content.endswith(b"\r\n")
    assert not any(
        len(line) > 998 or b"\r" in line or b"\n" in line
        for line in received.content.split(b"\r\n")
    )


def bare(address: str) -> str:
    """Return `address` without quotes: both readers drop some that it needs."""
    return re.sub(r'["\\]', "", address)


def plain(address: str) -> str:
    """Return `address` as servers see it: without quotes that it does not need."""
    local, _, domain = address.rpartition("@")
    if re.fullmatch(r'"[aZ0]+(\.[aZ0]+)*"', local):
        return f"{local[1:-1]}@{domain}"
    return address
