"""Django's mails, up to the mailbox: real Django, a real server, a real mail server."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from email.message import EmailMessage as Mail
from email.message import MIMEPart
from email.mime.image import MIMEImage
from smtplib import SMTPException
from typing import Any

import django
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import (
    EmailMessage,
    EmailMultiAlternatives,
    mail_admins,
    send_mail,
    send_mass_mail,
)
from django.test import override_settings
from django.utils.translation import gettext_lazy

from acteon.audit import AuditSettings
from acteon.client.django import EmailBackend, EmailNotSentError
from acteon.email import EmailConfig, EmailPlugin
from acteon.email.testing import MailServer, Received
from acteon.executor import ExecutorSettings
from acteon.gateway import Gateway, SyncGateway, parse_rules
from acteon.server.http import create_app
from acteon.server.testing import RunningServer

RULES = """
rules:
  - name: quiet
    priority: 1
    condition: {field: action.payload.subject, eq: Newsletter}
    action: {type: suppress}
  - name: few
    priority: 2
    condition: {field: action.payload.subject, eq: Reminder}
    action: {type: throttle, max_count: 1, window_seconds: 60}
  - name: once
    priority: 3
    condition: {field: action.dedup_key, exists: true}
    action: {type: deduplicate, ttl_seconds: 60}
"""

BACKEND = "acteon.client.django.EmailBackend"
NAMED: dict[str, Any] = (
    {"EMAIL_BACKEND": BACKEND}
    if django.VERSION < (6, 1)
    else {"MAILERS": {"default": {"BACKEND": BACKEND}}}
)
settings.configure(
    **NAMED,
    DEFAULT_FROM_EMAIL="webmaster@localhost",
    ADMINS=[("Ann", "ann@example.com")] if django.VERSION < (6,) else ["ann@example.com"],
    USE_I18N=False,
)
django.setup()

Call = Callable[[], Any]


@pytest.fixture
async def mail() -> AsyncGenerator[MailServer]:
    """Give the mail server at the end of the way, and Django the settings of its beginning."""
    async with MailServer() as smtp:
        config = EmailConfig(
            smtp_host="127.0.0.1",
            smtp_port=smtp.port,
            from_address="Shop <shop@example.com>",
            allowed_senders=("sales@example.com",),
            tls=False,
        )
        async with (
            EmailPlugin.open("email", config) as email,
            Gateway.open(
                rules=parse_rules(RULES),
                providers={"email": email},
                executor=ExecutorSettings(max_retries=0),
                audit_settings=AuditSettings(mode="sync"),
            ) as gateway,
            RunningServer() as server,
        ):
            server.app = create_app(gateway)
            acteon = {"URL": server.url, "NAMESPACE": "shop", "TENANT": "acme"}
            with override_settings(ACTEON=acteon):
                yield smtp


async def sent(call: Call) -> Any:
    """Return what `call` does in a thread, as the servers are in this one."""
    return await asyncio.to_thread(call)


async def got(mail: MailServer, call: Call) -> Received:
    """Return the one mail that `call` sends."""
    assert await sent(call) == 1
    (received,) = await mail.wait_for(1)
    return received


async def test_a_plain_mail_arrives(mail: MailServer) -> None:
    received = await got(
        mail, lambda: send_mail("Order 17", "On its way: ü", None, ["Ann Doe <ann@example.com>"])
    )

    assert (received.sender, received.recipients) == ("shop@example.com", ("ann@example.com",))
    message = received.message
    assert message["From"] == "Shop <shop@example.com>"
    assert message["To"] == "Ann Doe <ann@example.com>"
    assert message["Subject"] == "Order 17"
    assert message.get_content().strip() == "On its way: ü"


def bodies(message: Mail) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind in ("plain", "html"):
        part = message.get_body((kind,))
        assert part is not None
        found[kind] = part.get_content().strip()
    return found


async def test_a_mail_with_everything_arrives_with_everything(mail: MailServer) -> None:
    message = EmailMultiAlternatives(
        gettext_lazy("Order 17"),
        "On its way.",
        "sales@example.com",
        ["ann@example.com"],
        cc=["bob@example.com"],
        bcc=["chief@example.com"],
        reply_to=["help@example.com"],
        headers={"List-Unsubscribe": "<https://example.com/u>", "X-Order": "17"},
    )
    message.attach_alternative("<p>On its <b>way</b>.</p>", "text/html")
    message.attach("order.csv", "item;größe\n", "text/csv")
    message.attach("raw.bin", b"\x00\xff", "application/octet-stream")
    message.attach("guessed.pdf", b"%PDF")
    logo = MIMEImage(b"\x89PNG\r\n\x1a\n")
    logo.add_header("Content-ID", "<logo>")
    logo.add_header("Content-Disposition", "inline", filename="logo.png")
    seal = MIMEPart()
    seal.set_content(b"GIF89a", "image", "gif", filename="seal.gif", cid="<seal>")
    message.attachments += [logo, seal]

    received = await got(mail, message.send)

    assert set(received.recipients) == {"ann@example.com", "bob@example.com", "chief@example.com"}
    arrived = received.message
    headers = {name: arrived[name] for name in ("From", "To", "Cc", "Bcc", "Reply-To", "X-Order")}
    assert headers == {
        "From": "sales@example.com",
        "To": "ann@example.com",
        "Cc": "bob@example.com",
        "Bcc": None,
        "Reply-To": "help@example.com",
        "X-Order": "17",
    }
    assert arrived["List-Unsubscribe"] == "<https://example.com/u>"
    assert bodies(arrived) == {"plain": "On its way.", "html": "<p>On its <b>way</b>.</p>"}
    files = {part.get_filename(): part for part in arrived.walk() if part.get_filename()}
    assert files["order.csv"].get_content() == "item;größe\n"
    assert files["raw.bin"].get_content() == b"\x00\xff"
    assert files["guessed.pdf"].get_content_type() == "application/pdf"
    assert files["logo.png"]["Content-ID"] == "<logo>"
    assert files["seal.gif"]["Content-ID"] == "<seal>"
    assert files["seal.gif"].get_content() == b"GIF89a"
    assert files["logo.png"].get_content() == b"\x89PNG\r\n\x1a\n"


async def test_an_html_body_alone(mail: MailServer) -> None:
    message = EmailMessage("Order", "<p>On its way.</p>", to=["ann@example.com"])
    message.content_subtype = "html"
    received = await got(mail, message.send)
    assert received.message.get_content_type() == "text/html"


async def test_a_mail_that_is_attached(mail: MailServer) -> None:
    message = EmailMessage("Fwd", "See there.", to=["ann@example.com"])
    message.attach("old.eml", EmailMessage("Old", "text", to=["x@example.com"]), "message/rfc822")
    received = await got(mail, message.send)
    (part,) = (part for part in received.message.walk() if part.get_filename())
    assert b"Subject: Old" in part.get_content()


async def test_hidden_recipients_do_not_see_each_other(mail: MailServer) -> None:
    message = EmailMessage("News", "text", bcc=["ann@example.com", "bob@example.com"])
    assert await sent(message.send) == 1
    mails = await mail.wait_for(2)
    assert {(each.recipients, each.message["To"]) for each in mails} == {
        (("ann@example.com",), "ann@example.com"),
        (("bob@example.com",), "bob@example.com"),
    }


async def test_many_go_in_one_batch(mail: MailServer) -> None:
    messages = [(f"Order {n}", "text", None, ["ann@example.com"]) for n in range(250)]
    assert await sent(lambda: send_mass_mail(messages)) == 250
    assert len(await mail.wait_for(250)) == 250


async def test_a_mail_to_nobody_is_not_sent(mail: MailServer) -> None:
    backend = EmailBackend()
    assert await sent(lambda: backend.send_messages([EmailMessage("Order", "text")])) == 0
    assert await sent(lambda: backend.send_messages([])) == 0
    assert mail.mails == []


async def test_one_that_was_sent_before_counts_as_sent(mail: MailServer) -> None:
    def send() -> int:
        message = EmailMessage("Order 17", "text", to=["ann@example.com"])
        message.acteon = {"dedup_key": "order-17"}  # type: ignore[attr-defined]
        return message.send()

    assert [await sent(send), await sent(send)] == [1, 1]
    assert len(mail.mails) == 1


async def test_one_that_a_rule_suppresses_is_not_counted_and_no_error(mail: MailServer) -> None:
    assert await sent(lambda: send_mail("Newsletter", "text", None, ["ann@example.com"])) == 0
    assert mail.mails == []


async def test_one_that_fails_raises_after_the_others_are_sent(mail: MailServer) -> None:
    mail.refused["bob@example.com"] = "550 5.1.1 no such user"
    messages = [
        EmailMessage("One", "text", to=["ann@example.com"]),
        EmailMessage("Two", "text", to=["bob@example.com"]),
        EmailMessage("Three", "text", to=["ann@example.com"], headers={"Message-ID": "<a@b>"}),
        EmailMessage("Four", "text", to=["ann@example.com"]),
    ]
    with pytest.raises(EmailNotSentError) as caught:
        await sent(lambda: EmailBackend().send_messages(messages))

    error = caught.value
    assert isinstance(error, SMTPException)
    assert error.sent == 2
    (second, why), (third, because) = error.failures
    assert (second, third) == ("Two", "Three")
    assert "no such user" in why
    assert "'headers' must not set 'Message-ID'" in because
    assert str(error).startswith("mail 'Two' was not sent: ")
    assert str(error).endswith(" (and 1 more)")


async def test_failing_silently_counts(mail: MailServer) -> None:
    mail.refused["bob@example.com"] = "550 5.1.1 no such user"
    both = [EmailMessage("One", "text", to=[f"{name}@example.com"]) for name in ("ann", "bob")]
    assert await sent(lambda: EmailBackend(fail_silently=True).send_messages(both)) == 1


async def test_one_that_a_quota_holds_back_raises(mail: MailServer) -> None:
    def remind() -> int:
        return send_mail("Reminder", "text", None, ["ann@example.com"])

    assert await sent(remind) == 1
    with pytest.raises(EmailNotSentError, match="a quota is used up for"):
        await sent(remind)


async def test_what_has_no_place_is_told(mail: MailServer) -> None:
    message = EmailMultiAlternatives("Invitation", "text", to=["ann@example.com"])
    message.attach_alternative("BEGIN:VCALENDAR", "text/calendar")
    with pytest.raises(EmailNotSentError, match="an alternative of the type text/calendar"):
        await sent(message.send)


async def test_a_sender_that_is_not_allowed_is_told(mail: MailServer) -> None:
    with pytest.raises(EmailNotSentError, match=r"evil@example\.com"):
        await sent(lambda: send_mail("Order", "text", "evil@example.com", ["ann@example.com"]))


async def test_a_line_break_gets_into_no_header(mail: MailServer) -> None:
    with pytest.raises(EmailNotSentError, match="line breaks"):
        await sent(lambda: send_mail("Order\nBcc: x@example.com", "text", None, ["a@example.com"]))
    assert mail.mails == []


async def test_djangos_own_mails_arrive(mail: MailServer) -> None:
    await sent(lambda: mail_admins("Error", "text"))
    (received,) = await mail.wait_for(1)
    assert received.message["Subject"] == "[Django] Error"


async def test_a_server_that_is_away_raises(mail: MailServer) -> None:
    order = EmailMessage("Order", "text", to=["ann@example.com"])
    with override_settings(ACTEON={**settings.ACTEON, "URL": "http://127.0.0.1:9"}):
        with pytest.raises(EmailNotSentError, match="connection error"):
            await sent(order.send)
        silent = EmailBackend(fail_silently=True)
        assert await sent(lambda: silent.send_messages([order])) == 0


async def test_options_go_before_the_settings(mail: MailServer) -> None:
    order = EmailMessage("Order", "text", to=["ann@example.com"])
    backend = EmailBackend(provider="fax")
    with pytest.raises(EmailNotSentError, match="fax"):
        await sent(lambda: backend.send_messages([order]))


def test_an_embedded_gateway_sends_them() -> None:
    payloads: list[Any] = []

    async def email(action: Any) -> None:
        payloads.append(action.payload)

    with (
        SyncGateway.open(providers=[email]) as gateway,
        override_settings(ACTEON={"GATEWAY": gateway, "NAMESPACE": "shop", "TENANT": "acme"}),
    ):
        assert send_mail("Order", "text", None, ["ann@example.com"]) == 1
    assert payloads == [{"subject": "Order", "body": "text", "to": ["ann@example.com"]}]


@pytest.mark.parametrize(
    ("acteon", "told"),
    [
        ({}, "lacks NAMESPACE, TENANT"),
        ([], "give a dictionary"),
        ({"URI": "http://localhost"}, "has no URI, but "),
        ({"NAMESPACE": "shop", "TENANT": "acme", "URL": "localhost"}, "write it like"),
    ],
)
def test_settings_that_cannot_be_used_are_told(acteon: Any, told: str) -> None:
    with override_settings(ACTEON=acteon), pytest.raises(ImproperlyConfigured, match=told):
        EmailBackend()


def test_the_page_does_what_it_shows(type_section: Any) -> None:
    type_section("Django")
