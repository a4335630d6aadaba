"""Records as PostgreSQL takes and gives them."""

import re
from collections.abc import Sequence
from datetime import UTC
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from acteon.audit import AuditRecord
from acteon.audit_postgres.layout import COLUMNS, DOCUMENTS, INSTANTS, MEMBERS, NUMBER, TEXTS, WHOLE
from acteon.core import decode_json, encode_json
from acteon.state_postgres.texts import array, is_storable, number, text_array

LONGEST: Final = 1800
"""Bytes of a text in an index: an entry takes no more than about 2,700 in all."""

NAMES: Final = ", ".join(COLUMNS)
SELECTED: Final = ", ".join(
    (
        *TEXTS,
        *(f"{name}::text AS {name}" for name in DOCUMENTS),
        # Without an offset: whatever time zone the session has, none is applied.
        *(f"{name} AT TIME ZONE 'UTC' AS {name}" for name in INSTANTS),
        NUMBER,
        f"{WHOLE}::text AS {WHOLE}",
    )
)
"""What is selected of a record: the columns, in the form that `record` takes."""
PARAMETERS: Final = ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())

_ESCAPE: Final = "\x1a"
"""Begins what stands for a character that PostgreSQL cannot hold, and for itself."""
_ODD: Final = re.compile(f"[\0{_ESCAPE}\ud800-\udfff]")
_ESCAPED: Final = re.compile(f"{_ESCAPE}([0-9a-f]{{4}})")

_members = attrgetter(*MEMBERS)
_NOWHERE: Final = "\x01"
"""Between texts that have no such character. JSON never has it; in others it is looked for."""


def columns(records: Sequence[AuditRecord]) -> list[str]:
    """Return the members of `records` as one array for each of `COLUMNS`."""
    found: list[str] = []
    whole: list[dict[str, str]] = [{} for _ in records]
    for name, members in zip(MEMBERS, zip(*map(_members, records), strict=True), strict=True):
        if name in TEXTS:
            found.append(_array(_all_kept(name, members, whole)))
        elif name in DOCUMENTS:
            found.append(_array([_document(one) for one in members]))
        elif name in INSTANTS:
            instants = ["NULL" if one is None else one.isoformat() for one in members]
            found.append("{" + ",".join(instants) + "}")
        else:
            found.append(array(map(number, members)))
    found.append(text_array(encode_json(texts).decode() if texts else None for texts in whole))
    return found


def record(row: Sequence[Any]) -> AuditRecord:
    """Return the record that `row`, which has what is `SELECTED`, holds."""
    members = dict(zip(COLUMNS, row, strict=True))
    whole = members.pop(WHOLE)
    if whole is not None:
        members.update(decode_json(whole.encode()))
    for name in TEXTS:
        if (text := members[name]) is not None and _ESCAPE in text:
            members[name] = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    for name in DOCUMENTS:
        if (document := members[name]) is not None:
            members[name] = document.encode()
    for name in INSTANTS:
        if (instant := members[name]) is not None:
            members[name] = instant.replace(tzinfo=UTC)
    return AuditRecord(**members)


def kept(text: str) -> str:
    """Return `text` as it is kept in an index, and looked for; different texts' differ.

    NUL characters and halves of pairs, which PostgreSQL cannot hold, are escaped. Of a text that
    is too long for an index a hash takes the place of the end.
    """
    return _short(_escaped(text))


def _escaped(text: str) -> str:
    if is_storable(text) and _ESCAPE not in text:
        return text
    return _ODD.sub(lambda found: f"{_ESCAPE}{ord(found[0]):04x}", text)


def _short(text: str) -> str:
    if len(text) * 4 > LONGEST and len(encoded := text.encode()) > LONGEST:
        head = encoded[:LONGEST].decode(errors="ignore")
        text = f"{head}…sha256:{sha256(encoded).hexdigest()}"
    return text


def _all_kept(
    name: str, texts: Sequence[str | None], whole: Sequence[dict[str, str]]
) -> Sequence[str | None]:
    """Return `kept` of all `texts`, which nearly always are kept as they are.

    Those that are shortened are put under `name` into `whole`.
    """
    given = [text for text in texts if text]
    joined = "".join(given)
    if (
        is_storable(joined)
        and _ESCAPE not in joined
        and max(map(len, given), default=0) * 4 <= LONGEST
    ):
        return texts
    found: list[str | None] = []
    for text, long in zip(texts, whole, strict=True):
        if text is None:
            found.append(None)
            continue
        escaped = _escaped(text)
        found.append(_short(escaped))
        if found[-1] != escaped:
            long[name] = escaped
    return found


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
