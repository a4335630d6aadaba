"""Records as documents of the index, and back."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from acteon.audit import AuditRecord, AuditSerializationError
from acteon.core import format_instant, parse_instant

LONGEST: Final = 8191
"""Characters of a text in an index; Lucene takes 32,766 bytes."""
LONGEST_ID: Final = 512
"""Bytes of the name of a document."""

TEXTS: Final = (
    "id",
    "action_id",
    "namespace",
    "tenant",
    "provider",
    "action_type",
    "verdict",
    "matched_rule",
    "outcome",
    "caller_id",
    "auth_method",
)
JSON: Final = ("action_payload", "verdict_details", "outcome_details", "metadata")
WHOLE: Final = "whole"
"""The member that has the texts that are too long for an index."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_HASHED: Final = "sha256:"


def kept(text: str) -> str:
    """Return `text` as UTF-8 can have it: with U+FFFD for each lone surrogate."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def term(text: str) -> str:
    """Return what stands for `text` in the index: itself, or its hash if it is too long."""
    return _shortened(text, len(text) > LONGEST)


def document_id(record_id: str) -> str:
    """Return the name of the document of the record `record_id`."""
    return _shortened(record_id, not record_id or len(record_id.encode()) > LONGEST_ID)


def _shortened(text: str, too_long: bool) -> str:
    # What looks like a hash is hashed, so that no text stands for another one.
    if too_long or text.startswith(_HASHED):
        return _HASHED + sha256(text.encode()).hexdigest()
    return text


def micros(instant: datetime) -> int:
    """Return the microseconds from 1970 to `instant`."""
    return (instant - _EPOCH) // _MICROSECOND


def document(record: AuditRecord) -> tuple[str, bytes]:
    """Return the name of the document of `record`, and the document as JSON."""
    source: dict[str, Any] = {}
    whole: dict[str, str] = {}
    for name in TEXTS:
        text = getattr(record, name)
        if text is not None:
            text = kept(text)
            source[name] = shown = term(text)
            if shown is not text:
                whole[name] = text
    for name in JSON:
        # As a text: an object's numbers, and the order of its members, would not stay as they are.
        json: bytes | None = getattr(record, name)
        source[name] = None if json is None else json.decode(errors="replace")
    expires_at = record.expires_at
    source["dispatched_at"] = format_instant(record.dispatched_at)
    source["dispatched_us"] = micros(record.dispatched_at)
    source["completed_at"] = format_instant(record.completed_at)
    source["duration_ms"] = record.duration_ms
    if expires_at is not None:
        source["expires_at"] = format_instant(expires_at)
        source["expires_us"] = micros(expires_at)
    if whole:
        source[WHOLE] = whole
    return document_id(kept(record.id)), msgspec.json.encode(source)


def record(source: Mapping[str, Any]) -> AuditRecord:
    """Return the record that the document `source` holds.

    Raises:
        AuditSerializationError: It is none of ours.
    """
    try:
        members = {name: source.get(name) for name in TEXTS} | source.get(WHOLE, {})
        for name in JSON:
            json = source.get(name)
            members[name] = None if json is None else json.encode()
        expires_at = source.get("expires_at")
        return AuditRecord(
            **members,
            dispatched_at=parse_instant(source["dispatched_at"]),
            completed_at=parse_instant(source["completed_at"]),
            duration_ms=source["duration_ms"],
            expires_at=None if expires_at is None else parse_instant(expires_at),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise AuditSerializationError(
            f"a document of the index is no record, id {source.get('id')!r}"
        ) from error
