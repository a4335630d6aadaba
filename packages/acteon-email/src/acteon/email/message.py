"""From an action to a message and its envelope; nothing is sent here.

```
multipart/mixed                 with attachments
├── multipart/alternative       with both bodies
│   ├── text/plain
│   └── multipart/related       with attachments that the HTML names
│       ├── text/html
│       └── image/png, …
└── application/pdf, …
```

Bodies are UTF-8 and go over the wire as lines of ASCII; the ends of their lines become CRLF. The
message is made before there is a connection, and needs nothing of the server but SMTPUTF8 if an
address cannot do without.
"""

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from email.message import MIMEPart
from email.policy import SMTP
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen

from acteon.core import Action, InvalidError, encode_json
from acteon.email.addresses import Mailbox, parse_mailbox, parse_mailboxes
from acteon.email.headers import address_header, text_header
from acteon.email.payload import Attachment, Payload, parse_payload
from acteon.provider import ExecutionFailedError, ProviderSerializationError

_SEVEN_BITS: Final = re.compile("[\t\n -~]*")
_LONGEST_LINE: Final = 78
# All that is printable ASCII but for blanks and the percent sign, which begins an escape.
_SAFE: Final = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"


@frozen(kw_only=True)
class Message:
    """A mail that is ready to be sent.

    Attributes:
        sender: Who it is from; the envelope's sender, too.
        recipients: To whom it goes, each once, in the order of `to`, `cc` and `bcc`.
        message_id: Its `Message-ID`, the same for every attempt of the action.
        content: Header and body, lines ending in CRLF, as the receiver is to have them.
        needs_utf8: Whether the server must offer SMTPUTF8.
        to: The payload's `to`, as it came.
        subject: The payload's subject.
    """

    sender: Mailbox
    recipients: tuple[Mailbox, ...]
    message_id: str
    content: bytes = field(repr=False)
    needs_utf8: bool
    to: Any
    subject: str


@frozen(kw_only=True)
class Composer:
    """Makes messages.

    Attributes:
        sender: Who they are from, unless a payload says otherwise.
        allowed_senders: Who else they may be from: addresses, and `@` with a domain.
        max_recipients: How many a message may have.
        max_bytes: How long a message may be.
    """

    sender: Mailbox
    allowed_senders: frozenset[str]
    max_recipients: int
    max_bytes: int

    def compose(self, action: Action, now: datetime) -> Message:
        """Return the message that `action` asks for.

        Args:
            action: What is to be sent.
            now: For its date.

        Raises:
            ProviderSerializationError: The payload has not the right shape, or is too much.
            ExecutionFailedError: An address is none, or not allowed.
        """
        payload = parse_payload(action.payload, self.max_bytes)
        sender = self._sender(payload.sender)
        to = _mailboxes(payload.to, "recipient")
        if not to:
            raise ExecutionFailedError("invalid recipient address: there is none")
        reply_to = _mailboxes(payload.reply_to, "reply-to")
        cc = _mailboxes(payload.cc, "CC")
        bcc = _mailboxes(payload.bcc, "BCC")
        recipients = {mailbox.address: mailbox for mailbox in (*to, *cc, *bcc)}
        if len(recipients) > self.max_recipients:
            raise ProviderSerializationError(
                f"{len(recipients)} recipients are more than max_recipients = {self.max_recipients}"
            )
        message_id = f"<{_key(action)}@{sender.domain}>"
        header = [
            address_header("From", [sender]),
            address_header("To", to),
            text_header("Subject", payload.subject),
            *([address_header("Reply-To", reply_to)] if reply_to else []),
            *([address_header("Cc", cc)] if cc else []),
            text_header("Date", format_datetime(now)),
            text_header("Message-ID", message_id),
            # An id may be any text; the usual ones stay as they are.
            text_header("X-Acteon-Action-Id", quote(action.id, safe=_SAFE)),
            *(text_header(name, text) for name, text in payload.headers.items()),
            b"MIME-Version: 1.0\r\n",
        ]
        content = b"".join([*header, _body(payload).as_bytes(policy=SMTP)])
        if len(content) > self.max_bytes:
            raise ProviderSerializationError(
                f"the message has {len(content)} bytes, more than "
                f"max_message_bytes = {self.max_bytes}"
            )
        everybody = (sender, *reply_to, *recipients.values())
        return Message(
            sender=sender,
            recipients=tuple(recipients.values()),
            message_id=message_id,
            content=content,
            needs_utf8=any(mailbox.needs_utf8 for mailbox in everybody),
            to=payload.to_verbatim,
            subject=payload.subject,
        )

    def _sender(self, text: str | None) -> Mailbox:
        if text is None:
            return self.sender
        try:
            sender = parse_mailbox(text)
        except ValueError as error:
            raise ExecutionFailedError(f"invalid from address: {error}") from None
        allowed = {self.sender.address, *self.allowed_senders}
        if allowed.isdisjoint({sender.address, f"@{sender.domain}"}):
            raise ExecutionFailedError(
                f"invalid from address: {sender.address} is not among allowed_senders"
            )
        return sender


def _key(action: Action) -> str:
    """Return what names `action` for receivers, as `Idempotency-Key` does in a webhook's."""
    try:
        named = encode_json([action.namespace, action.tenant, action.id])
    except InvalidError as error:
        raise ProviderSerializationError(str(error)) from None
    return hashlib.sha256(named).hexdigest()


def _mailboxes(texts: tuple[str, ...], what: str) -> tuple[Mailbox, ...]:
    try:
        return tuple(mailbox for text in texts for mailbox in parse_mailboxes(text))
    except ValueError as error:
        raise ExecutionFailedError(f"invalid {what} address: {error}") from None


def _body(payload: Payload) -> MIMEPart:
    part = MIMEPart(policy=SMTP)
    named, others = list[Attachment](), list[Attachment]()
    for attachment in payload.attachments:
        is_named = attachment.content_id is not None and payload.html_body is not None
        (named if is_named else others).append(attachment)
    if payload.html_body is None:
        _set_text(part, payload.body or "", "plain")
    elif payload.body is None:
        _set_html(part, payload.html_body, named)
    else:
        _set_text(part, payload.body, "plain")
        part.make_alternative()
        html = MIMEPart(policy=SMTP)
        _set_html(html, payload.html_body, named)
        part.attach(html)
    if others:
        part.make_mixed()
        for attachment in others:
            part.attach(_file(attachment, "attachment"))
    return part


def _set_html(part: MIMEPart, text: str, named: Iterable[Attachment]) -> None:
    _set_text(part, text, "html")
    files = [_file(attachment, "inline") for attachment in named]
    if files:
        part.make_related()
        for file in files:
            part.attach(file)


def _set_text(part: MIMEPart, text: str, subtype: str) -> None:
    text = re.sub(r"\r\n?", "\n", text)
    is_short = max(map(len, text.split("\n"))) <= _LONGEST_LINE
    if is_short and _SEVEN_BITS.fullmatch(text):
        encoding = "7bit"
    else:
        # People read the one without a program, and the other is shorter.
        is_mostly_ascii = sum(map(str.isascii, text)) * 6 > len(text) * 5
        encoding = "quoted-printable" if is_mostly_ascii else "base64"
    part.set_content(text, subtype=subtype, charset="utf-8", cte=encoding)


def _file(attachment: Attachment, disposition: str) -> MIMEPart:
    part = MIMEPart(policy=SMTP)
    part.set_content(
        attachment.data,
        attachment.maintype,
        attachment.subtype,
        cte="base64",
        disposition=disposition,
        filename=attachment.filename,
        cid=None if attachment.content_id is None else f"<{attachment.content_id}>",
        params={} if attachment.charset is None else {"charset": attachment.charset},
    )
    return part
