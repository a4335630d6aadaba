"""Mails of Django as payloads that the provider `email` takes."""

import mimetypes
from base64 import b64encode
from collections.abc import Iterable
from email.message import Message
from typing import Any, cast

from django.conf import global_settings, settings
from django.core.mail import EmailMessage

_BYTES = "application/octet-stream"


def payloads_of(message: EmailMessage) -> list[dict[str, Any]]:
    """Return the payloads that send `message`: one, if any of its recipients may be seen.

    A mail needs somebody whom it is to. One that has hidden recipients only goes to each of them
    by itself, so that nobody sees another.

    Raises:
        ValueError: It has something in it that has no place in a payload.
    """
    shown = _texts(message.to) or _texts(message.cc)
    hidden = _texts(message.bcc)
    payload = _payload(message)
    if not shown:
        return [{**payload, "to": [each]} for each in hidden]
    payload["to"] = shown
    if _texts(message.to) and message.cc:
        payload["cc"] = _texts(message.cc)
    if hidden:
        payload["bcc"] = hidden
    return [payload]


def _payload(message: EmailMessage) -> dict[str, Any]:
    """Return all but the recipients."""
    headers = {str(name): str(value) for name, value in message.extra_headers.items()}
    given = {name.lower(): name for name in headers}
    payload: dict[str, Any] = {"subject": str(message.subject)}
    sender = headers.pop(given["from"]) if "from" in given else str(message.from_email)
    if sender not in _unnamed():
        payload["from"] = sender
    reply_to = _texts(message.reply_to)
    if not reply_to and "reply-to" in given:
        reply_to = [headers.pop(given["reply-to"])]
    if reply_to:
        payload["reply_to"] = reply_to
    payload.update(_bodies(message))
    if headers:
        payload["headers"] = headers
    if message.attachments:
        payload["attachments"] = [_attachment(each, message) for each in message.attachments]
    return payload


def _unnamed() -> set[str]:
    """Return the senders that stand for whoever the provider sends as."""
    return {
        settings.DEFAULT_FROM_EMAIL,
        global_settings.DEFAULT_FROM_EMAIL,
        global_settings.SERVER_EMAIL,
    }


def _bodies(message: EmailMessage) -> dict[str, str]:
    bodies: dict[str, str] = {}
    body = str(message.body)
    if message.content_subtype == "html":
        bodies["html_body"] = body
    elif message.content_subtype == "plain":
        bodies["body"] = body
    else:
        raise ValueError(
            f"a body of the type text/{message.content_subtype} has no place: attach it"
        )
    for content, mimetype in getattr(message, "alternatives", None) or ():
        name = {"text/html": "html_body", "text/plain": "body"}.get(mimetype)
        if name is None or bodies.get(name):
            raise ValueError(f"an alternative of the type {mimetype} has no place: attach it")
        bodies[name] = str(content)
    return bodies


def _attachment(attachment: Any, message: EmailMessage) -> dict[str, Any]:
    if isinstance(attachment, Message):
        return _part(cast("Any", attachment))  # Whatever its headers and content are.
    filename, content, mimetype = (*attachment, None)[:3]
    mimetype = mimetype or mimetypes.guess_type(filename or "")[0] or _BYTES
    if isinstance(content, EmailMessage):
        content = content.message()
    if isinstance(content, Message):
        content = content.as_bytes()
    if isinstance(content, str):
        charset = message.encoding if isinstance(message.encoding, str) else "utf-8"
        content = content.encode(charset)
        if mimetype.startswith("text/") and "charset" not in mimetype:
            mimetype = f"{mimetype}; charset={charset}"
    return {
        "filename": filename or f"attachment{mimetypes.guess_extension(mimetype) or '.bin'}",
        "content_type": mimetype,
        "data_base64": b64encode(cast("bytes", content)).decode(),
    }


def _part(part: "Message[Any, Any]") -> dict[str, Any]:
    """Return what a part that somebody has made says, such as an image that the HTML shows."""
    kind = part.get_content_type()
    charset = part.get_content_charset()
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        raise ValueError(f"an attachment of the type {kind} has no place: attach it as a file")
    attachment: dict[str, Any] = {
        "filename": part.get_filename() or f"attachment{mimetypes.guess_extension(kind) or '.bin'}",
        "content_type": kind if charset is None else f"{kind}; charset={charset}",
        "data_base64": b64encode(content).decode(),
    }
    content_id = part["Content-ID"]
    if content_id is not None:
        attachment["content_id"] = str(content_id).strip("<> ")
    return attachment


def _texts(values: Iterable[object] | None) -> list[str]:
    return [str(value) for value in values or () if value]
