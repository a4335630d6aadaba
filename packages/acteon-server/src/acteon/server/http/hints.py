"""What the sender of a body that is refused most likely wants to hear."""

import difflib
import json
import re
from typing import Any, Final

from acteon.server.config.kinds import is_list, is_table

BATCH: Final = "/v1/dispatch/batch"
ONE: Final = "/v1/dispatch"

_MISSING: Final = re.compile(r"missing required field `(\w+)`")
_TRUNCATED: Final = "truncated"
_NOT_JSON: Final[tuple[tuple[re.Pattern[bytes], str], ...]] = (
    (re.compile(rb"\s*\Z"), "the body is empty"),
    (re.compile(rb"\s*@"), "for curl to send a file: -d @FILE"),
    (re.compile(rb"\s*[\w%.-]+="), "the body is a form; send JSON"),
    (re.compile(rb"\s*[\[{]\s*'"), "JSON has double quotes"),
    (re.compile(rb"\s*[\[{]\s*\\"), "the quotes are escaped once too often"),
    (re.compile(rb"\s*(?://|/\*|#)"), "JSON has no comments"),
    (re.compile(rb"(?s).*[:\[,]\s*(?:True|False|None)\b"), "write true, false and null"),
    (re.compile(rb"(?s).*\xe2\x80[\x98\x99\x9c\x9d]"), 'write straight quotes: "'),
    (re.compile(rb"\s*[\[{]\s*\w+\s*:"), "JSON has keys in double quotes"),
    (re.compile(rb"(?s).*[:\[,]\s*-?(?:NaN|Infinity)\b"), "JSON has no NaN and no Infinity"),
)
_LOOKED_AT: Final = 10_000
"""Bytes of the body; what is wrong is told without a hint beyond that."""


def on_type(kind: bytes | None) -> str:
    """Return the hint for a body that is said to be of `kind`."""
    found = "no Content-Type" if kind is None else "another one"
    return f", found {found}; with curl: -H 'Content-Type: application/json'"


def on_no_json(text: str, body: bytes) -> str:
    """Return the hint for a body that is no JSON, for the reason `text`; it quotes nothing."""
    start = body[:_LOOKED_AT]
    for pattern, hint in _NOT_JSON:
        if pattern.match(start):
            return f"; {hint}"
    if _TRUNCATED in text and not body.rstrip().endswith((b"}", b"]")):
        return "; it ends before the last } or ]"
    return ""


def on_shape(text: str, body: bytes, path: str) -> str:
    """Return the hint for JSON of another shape than `path` takes, for the reason `text`."""
    if path.endswith(ONE) and "got `array`" in text and " at " not in text:
        return f"; a list of actions goes to {BATCH}"
    if path.endswith(BATCH) and "Expected `array`, got `object`" in text and " at " not in text:
        return f"; one action goes to {ONE}, and a list has no key around it"
    missing = _MISSING.search(text)
    if missing is None or not path.endswith((ONE, BATCH)) or len(body) > _LOOKED_AT:
        return ""
    return _misspelt(missing[1], body)


def _misspelt(field: str, body: bytes) -> str:
    """Return a hint at the unknown key that was meant to be `field`."""
    try:
        # Only its keys matter; numbers may be longer than Python's own limit.
        document: Any = json.loads(body, parse_int=str)
    except ValueError:
        return ""  # What follows the object is no JSON: the shape was looked at first.
    for item in document if is_list(document) else [document]:
        if is_table(item) and field not in item:
            unknown = {_plain(str(key)): str(key) for key in item if key not in _FIELDS}
            name = _plain(field)
            close = difflib.get_close_matches(name, unknown, n=1) or [
                found for found in unknown if found in name
            ]
            return f"; rename {unknown[close[0]][:60]!r}" if close else ""
    return ""


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()


_FIELDS: Final = frozenset(
    {
        *("id", "namespace", "tenant", "provider", "action_type", "payload"),
        *("metadata", "dedup_key", "created_at"),
    }
)
