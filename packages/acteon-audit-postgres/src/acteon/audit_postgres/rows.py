"""Records as PostgreSQL takes and gives them."""

from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from acteon.audit import AuditRecord
from acteon.state_postgres.texts import array, is_storable, number, text_array

LONGEST: Final = 1800
"""Bytes of a text in an index: an entry takes no more than about 2,700 in all."""

_TEXTS: Final = (
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
_JSON: Final = ("action_payload", "verdict_details", "outcome_details", "metadata")
_INSTANTS: Final = ("dispatched_at", "completed_at", "expires_at")

COLUMNS: Final = (*_TEXTS, *_JSON, *_INSTANTS, "duration_ms")
SELECTED: Final = ", ".join(
    (
        *_TEXTS,
        *(f"{name}::text AS {name}" for name in _JSON),
        # Without an offset: whatever time zone the session has, none is applied.
        *(f"{name} AT TIME ZONE 'UTC' AS {name}" for name in _INSTANTS),
        "duration_ms",
    )
)
"""What is selected of a record: the columns, in the form that `record` takes."""
PARAMETERS: Final = ", ".join(
    (
        *("%s::text[]" for _ in _TEXTS),
        *("%s::json[]" for _ in _JSON),
        *("%s::timestamptz[]" for _ in _INSTANTS),
        "%s::bigint[]",
    )
)

_members = attrgetter(*COLUMNS)
_NOWHERE: Final = "\x01"
"""Between texts that have no such character. JSON never has it; in others it is looked for."""


def columns(records: Sequence[AuditRecord]) -> list[str]:
    """Return the members of `records` as one array for each of `COLUMNS`."""
    found: list[str] = []
    for name, members in zip(COLUMNS, zip(*map(_members, records), strict=True), strict=True):
        if name in _TEXTS:
            found.append(_array(_all_kept(members)))
        elif name in _JSON:
            found.append(_array([_document(one) for one in members]))
        elif name in _INSTANTS:
            instants = ["NULL" if one is None else one.isoformat() for one in members]
            found.append("{" + ",".join(instants) + "}")
        else:
            found.append(array(map(number, members)))
    return found


def record(row: Sequence[Any]) -> AuditRecord:
    """Return the record that `row`, which has what is `SELECTED`, holds."""
    members = dict(zip(COLUMNS, row, strict=True))
    for name in _JSON:
        if (document := members[name]) is not None:
            members[name] = document.encode()
    for name in _INSTANTS:
        if (instant := members[name]) is not None:
            members[name] = instant.replace(tzinfo=UTC)
    return AuditRecord(**members)


def kept(text: str) -> str:
    """Return `text` as it is kept: what PostgreSQL cannot hold is replaced.

    NUL characters and halves of pairs become U+FFFD. Of a text that is too long for an index a
    hash takes the place of the end.
    """
    if not is_storable(text):
        text = text.replace("\0", "\ufffd")
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if len(text) * 4 > LONGEST and len(encoded := text.encode()) > LONGEST:
        head = encoded[:LONGEST].decode(errors="ignore")
        text = f"{head}…sha256:{sha256(encoded).hexdigest()}"
    return text


def _all_kept(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Return `kept` of all `texts`, which nearly always are kept as they are."""
    given = [text for text in texts if text]
    if is_storable("".join(given)) and max(map(len, given), default=0) * 4 <= LONGEST:
        return texts
    return [None if text is None else kept(text) for text in texts]


def _array(texts: Sequence[str | None]) -> str:
    """Return what `text_array` does; where all of `texts` can be quoted at once, much sooner."""
    given = [text for text in texts if text is not None]
    joined = _NOWHERE.join(given)
    if len(given) < len(texts) or joined.count(_NOWHERE) != len(texts) - 1:
        return text_array(texts)
    if "\\" in joined or '"' in joined:
        joined = joined.replace("\\", "\\\\").replace('"', '\\"')
    return '{"' + joined.replace(_NOWHERE, '","') + '"}'


def _document(encoded: bytes | None) -> str | None:
    return None if encoded is None else encoded.decode(errors="replace").replace("\0", "\ufffd")
