"""Mails go through a real mail server into a mailbox."""

import base64
from collections.abc import Callable, Iterator
from datetime import timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from acteon.core import Action
from acteon.email import EmailConfig, EmailPlugin
from acteon.provider import ExecutionFailedError, ProviderConnectionError
from servers import mail as mail_server
from servers.waiting import wait_until

pytestmark = pytest.mark.server

Mail = Callable[..., Action]

LIMIT = timedelta(seconds=20)
BODY = ".\n..\nGrüße aus 東京,\n.\n\nFrom here on it is longer: " + "Ünïcode " * 200 + "\n"
DATA = bytes(range(256)) * 300


@pytest.fixture(scope="module")
def exim() -> Iterator[mail_server.Mail]:
    with mail_server.running() as server:
        yield server


@pytest.fixture
def config(exim: mail_server.Mail) -> EmailConfig:
    return EmailConfig(
        smtp_host=exim.host,
        smtp_port=exim.port,
        from_address="Läden & Söhne <shop@mail.test>",
        username="acteon",
        password="acteon",
        tls=False,
    )


def delivered(exim: mail_server.Mail, recipient: str) -> EmailMessage:
    """Return the mail to `recipient` from the mailbox, once it is there."""
    files: list[Path] = []

    def there() -> bool:
        files[:] = [
            path
            for path in (exim.mailbox / "new").iterdir()
            if f"Envelope-to: {recipient}\n".encode() in path.read_bytes()
        ]
        return bool(files)

    wait_until(f"the mail to {recipient} is in the mailbox", there, LIMIT)
    (file,) = files
    # Files of a Maildir have the line ends of the system.
    found = message_from_bytes(file.read_bytes().replace(b"\n", b"\r\n"), policy=SMTP)
    assert isinstance(found, EmailMessage)
    return found


async def test_a_mail_arrives_as_it_was_sent(
    exim: mail_server.Mail, config: EmailConfig, mail: Mail
) -> None:
    action = mail(
        to='"Doe, Ann" <ann@mail.test>',
        bcc="eve@mail.test",
        subject="Rechnung für 東京 " * 8,
        body=BODY,
        html_body="<p>Grüße</p>",
        headers={"In-Reply-To": "<before@mail.test>"},
        attachments=[
            {"filename": "Übersicht 1.bin", "data_base64": base64.b64encode(DATA).decode()}
        ],
    )
    async with EmailPlugin.open("email", config) as provider:
        response = await provider.execute(action)
        await provider.health_check()
    message = delivered(exim, "ann@mail.test")
    assert message["Message-ID"] == response.body["message_id"]
    assert delivered(exim, "eve@mail.test")["Message-ID"] == message["Message-ID"]
    assert response.body["accepted"] == ["ann@mail.test", "eve@mail.test"]
    assert message["Subject"] == action.payload["subject"]
    assert str(message["From"].addresses[0].display_name) == "Läden & Söhne"
    assert message["To"].addresses[0].display_name == "Doe, Ann"
    assert message["In-Reply-To"] == "<before@mail.test>"
    assert message["X-Acteon-Action-Id"] == "action-1"
    assert message["Bcc"] is None
    assert not message.defects
    (attachment,) = message.iter_attachments()
    assert (attachment.get_filename(), attachment.get_payload(decode=True)) == (
        "Übersicht 1.bin",
        DATA,
    )
    for kind, text in (("plain", BODY), ("html", "<p>Grüße</p>\n")):
        body = message.get_body((kind,))
        assert isinstance(body, EmailMessage)
        assert body.get_content().replace("\r\n", "\n") == text


async def test_an_address_that_is_not_ascii_is_known_there(
    exim: mail_server.Mail, config: EmailConfig, mail: Mail
) -> None:
    async with EmailPlugin.open("email", config) as provider:
        await provider.execute(mail(to="jörg@mail.test", subject="Für Jörg"))
    assert delivered(exim, "jörg@mail.test")["Subject"] == "Für Jörg"


async def test_its_refusals_are_understood(config: EmailConfig, mail: Mail) -> None:
    async with EmailPlugin.open("email", config) as provider:
        with pytest.raises(ExecutionFailedError, match=r"permanent SMTP error: 550 no such user$"):
            await provider.execute(mail(to="nobody@mail.test"))
        with pytest.raises(ExecutionFailedError, match=r"550 relay not permitted$"):
            await provider.execute(mail(to="ann@elsewhere.test"))
        with pytest.raises(ProviderConnectionError, match=r"transient SMTP error: 451 come back"):
            await provider.execute(mail(to="later@mail.test"))
