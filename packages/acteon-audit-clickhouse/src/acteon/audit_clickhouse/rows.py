"""Records as ClickHouse takes and gives them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from acteon.audit import AuditRecord
from acteon.audit_clickhouse.layout import COLUMNS, DOCUMENTS, FOR_EVER, TEXTS

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_MOST: Final = 2**63 - 1

_TEXTS: Final = len(TEXTS)
_members = attrgetter(*COLUMNS)
NAMES: Final = ", ".join(COLUMNS)
"""The columns in the order of rows."""


def row(record: AuditRecord) -> tuple[Any, ...]:
    """Return `record` as a row."""
    members = list(_members(record))
    if not _is_kept("".join(filter(None, members[:_TEXTS]))):
        members[:_TEXTS] = [text and kept(text) for text in members[:_TEXTS]]
    (*texts, payload, verdict, outcome, metadata, dispatched, completed, expires, duration) = (
        members
    )
    return (
        *texts,
        None if payload is None else _document(payload),
        _document(verdict),
        _document(outcome),
        _document(metadata),
        milliseconds(dispatched),
        milliseconds(completed),
        FOR_EVER if expires is None else milliseconds(expires),
        duration if -_MOST <= duration <= _MOST else max(-_MOST, min(duration, _MOST)),
    )


def record(cells: Sequence[Any]) -> AuditRecord:
    """Return the record that the row `cells` holds."""
    members = dict(zip(COLUMNS, cells, strict=True))
    for name in DOCUMENTS:
        if members[name] is not None:
            members[name] = members[name].encode()
    for name in ("dispatched_at", "completed_at"):
        members[name] = instant(members[name])
    expires_at = members["expires_at"]
    members["expires_at"] = None if expires_at == FOR_EVER else instant(expires_at)
    return AuditRecord(**members)


def kept(text: str) -> str:
    """Return `text` as it is kept: halves of pairs become U+FFFD."""
    if _is_kept(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _is_kept(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def milliseconds(instant: datetime) -> int:
    """Return `instant` as it is kept; what is below a millisecond is left out."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def instant(milliseconds: int) -> datetime:
    """Return the instant that is kept as `milliseconds`."""
    return _EPOCH + milliseconds * _MILLISECOND


def _document(encoded: bytes) -> str:
    return encoded.decode(errors="replace")
