"""Identifiers of actions, records and lock owners."""

import os
import sys
from typing import Final

_MADE_AT_ONCE: Final = 64

_ready: list[str] = []


def new_id() -> str:
    """Return a fresh random UUID (version 4, RFC 9562) as lower-case text."""
    # Every dispatch needs some, and asking the system is what they cost: so many are made at once.
    try:
        return _ready.pop()
    except IndexError:
        made = _make()
        first = made.pop()
        _ready.extend(made)
        return first


def _make() -> list[str]:
    text = os.urandom(16 * _MADE_AT_ONCE).hex()
    return [_uuid(text[start : start + 32]) for start in range(0, len(text), 32)]


def _uuid(text: str) -> str:
    variant = "89ab"[int(text[16], 16) & 3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


if sys.platform != "win32":
    # A child of this process must not use the ids that its parent is going to use.
    os.register_at_fork(after_in_child=_ready.clear)
