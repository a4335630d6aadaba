"""What an action's payload says: checked, and still as the caller wrote it."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar, cast

from attrs import field, frozen

from acteon.provider import ProviderSerializationError

T = TypeVar("T")

_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+\-.^_`|~]{1,76}")
_LINE_BREAKS: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_CONTENT_TYPE: Final = re.compile(
    r'([\w.+-]+)/([\w.+-]+)\s*(?:;\s*charset="?([\w.:+-]+)"?\s*)?', re.ASCII
)
_CONTENT_ID: Final = re.compile(r"<([!-;=?-~]{1,200})>|([!-;=?-~]{1,200})")
_COMPOSITE: Final = frozenset({"multipart", "message"})  # RFC 2045, 6.4: they cannot be Base64

STRUCTURAL: Final = frozenset(
    {
        "bcc",
        "cc",
        "date",
        "delivered-to",
        "dkim-signature",
        "from",
        "message-id",
        "mime-version",
        "received",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
        "x-acteon-action-id",
    }
)
"""Fields that follow from the rest of the payload, or belong to mail servers."""
_STRUCTURAL_PREFIXES: Final = ("content-", "resent-", "arc-")


@frozen(kw_only=True)
class Attachment:
    """A file.

    Attributes:
        filename: Its name; no path, as receivers ignore or abuse one.
        maintype: What stands before the slash of its content type.
        subtype: What stands behind it.
        charset: Of a text.
        data: The content.
        content_id: What the HTML body calls it (`<img src="cid:…">`).
    """

    filename: str
    maintype: str
    subtype: str
    charset: str | None
    data: bytes = field(repr=False)
    content_id: str | None


@frozen(kw_only=True)
class Payload:
    """The members of a payload; addresses are not yet looked at."""

    sender: str | None
    to: tuple[str, ...]
    cc: tuple[str, ...]
    bcc: tuple[str, ...]
    reply_to: tuple[str, ...]
    to_verbatim: Any
    subject: str
    body: str | None
    html_body: str | None
    headers: Mapping[str, str]
    attachments: tuple[Attachment, ...]


def parse_payload(value: Any, max_bytes: int) -> Payload:
    """Return what `value` says; members that are not known are nobody's business here.

    Args:
        value: The payload of an action.
        max_bytes: How long all attachments may be together, encoded.

    Raises:
        ProviderSerializationError: A member is missing, or not what it should be.
    """
    if not isinstance(value, Mapping):
        raise ProviderSerializationError("the payload must be an object")
    members = cast("Mapping[str, Any]", value)
    to = _texts(members, "to")
    if to is None:
        raise ProviderSerializationError("payload: 'to' is missing")
    subject = _line(members, "subject")
    if subject is None:
        raise ProviderSerializationError("payload: 'subject' is missing")
    return Payload(
        sender=_text(members, "from"),
        to=to,
        cc=_texts(members, "cc") or (),
        bcc=_texts(members, "bcc") or (),
        reply_to=_texts(members, "reply_to") or (),
        to_verbatim=members["to"],
        subject=subject,
        body=_text(members, "body"),
        html_body=_text(members, "html_body"),
        headers=_headers(members.get("headers")),
        attachments=_attachments(members.get("attachments"), max_bytes),
    )


def _text(members: Mapping[str, Any], key: str, where: str = "payload") -> str | None:
    value = members.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        raise ProviderSerializationError(f"{where}: {key!r} must be a text")
    return _unicode(value, f"{where}: {key!r}")


def _line(members: Mapping[str, Any], key: str, where: str = "payload") -> str | None:
    value = _text(members, key, where)
    return None if value is None else _one_line(value, f"{where}: {key!r}")


def _texts(members: Mapping[str, Any], key: str) -> tuple[str, ...] | None:
    value = members.get(key)
    if value is None:
        return None
    if isinstance(value, str):
        value = [value]
    texts = cast("list[Any]", value) if isinstance(value, (list, tuple)) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ProviderSerializationError(f"payload: {key!r} must be a text or a list of texts")
    return tuple(_unicode(text, f"payload: {key!r}") for text in texts)


def _unicode(text: str, where: str) -> str:
    if _SURROGATE.search(text):
        raise ProviderSerializationError(f"{where} is no Unicode: it holds half a surrogate pair")
    return text


def _one_line(text: str, where: str) -> str:
    if _LINE_BREAKS.search(text):
        raise ProviderSerializationError(f"{where} must not hold line breaks or control characters")
    return text


def _headers(value: Any) -> Mapping[str, str]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ProviderSerializationError("payload: 'headers' must be an object of texts")
    headers = cast("Mapping[str, Any]", value)
    seen: set[str] = set()
    found: dict[str, str] = {}
    for name in headers:
        if not _NAME.fullmatch(name):
            raise ProviderSerializationError(f"payload: {name[:80]!r} is no name of a header")
        lower = name.lower()
        if lower in STRUCTURAL or lower.startswith(_STRUCTURAL_PREFIXES):
            raise ProviderSerializationError(f"payload: 'headers' must not set {name!r}")
        if lower in seen:
            raise ProviderSerializationError(f"payload: 'headers' sets {name!r} twice")
        seen.add(lower)
        text = _line(headers, name, "payload: 'headers'")
        if text is None:
            raise ProviderSerializationError(f"payload: 'headers': {name!r} must be a text")
        found[name] = text
    return found


def _attachments(value: Any, max_bytes: int) -> tuple[Attachment, ...]:
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        raise ProviderSerializationError("payload: 'attachments' must be a list of objects")
    found: list[Attachment] = []
    left = max_bytes
    for index, entry in enumerate(cast("list[Any]", value)):
        where = f"payload: attachments[{index}]"
        if not isinstance(entry, Mapping):
            raise ProviderSerializationError(f"{where} must be an object")
        members = cast("Mapping[str, Any]", entry)
        encoded = _needed(_text(members, "data_base64", where), "data_base64", where)
        left -= len(encoded)
        if left < 0:
            raise ProviderSerializationError(
                f"{where}: the message gets longer than max_message_bytes = {max_bytes}"
            )
        found.append(_attachment(members, encoded, where))
    return tuple(found)


def _attachment(members: Mapping[str, Any], encoded: str, where: str) -> Attachment:
    filename = _needed(_line(members, "filename", where), "filename", where)
    if not filename.strip() or re.search(r"[/\\]", filename) or len(filename) > 255:
        raise ProviderSerializationError(f"{where}: 'filename' must be the name of a file")
    maintype, subtype, charset = _content_type(_line(members, "content_type", where) or "")
    content_id = _line(members, "content_id", where)
    if content_id is not None:
        named = _CONTENT_ID.fullmatch(content_id)
        if named is None:
            raise ProviderSerializationError(
                f"{where}: 'content_id' must be 1 to 200 printable ASCII ones"
            )
        content_id = named[1] or named[2]
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise ProviderSerializationError(f"{where}: 'data_base64' is no Base64") from None
    return Attachment(
        filename=filename,
        maintype=maintype,
        subtype=subtype,
        charset=charset,
        data=data,
        content_id=content_id,
    )


def _content_type(text: str) -> tuple[str, str, str | None]:
    """Return type, subtype and charset; what cannot be attached as it is counts as bytes."""
    found = _CONTENT_TYPE.fullmatch(text.strip())
    if found is None or found[1].lower() in _COMPOSITE:
        return "application", "octet-stream", None
    maintype, subtype = found[1].lower(), found[2].lower()
    return maintype, subtype, found[3] if maintype == "text" else None


def _needed(value: T | None, key: str, where: str) -> T:
    if value is None:
        raise ProviderSerializationError(f"{where}: {key!r} is missing")
    return value
